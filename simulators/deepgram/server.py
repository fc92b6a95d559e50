"""Deepgram's doors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar, TypeVar

from aiohttp import web

from simulators.base import Simulator, json_response, new_id, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.deepgram.flux import FluxSession, parse_flux_query
from simulators.deepgram.listen import ListenSession
from simulators.deepgram.query import parse_query
from simulators.deepgram.script import Utterances, recognise
from simulators.deepgram.speak import SpeakSession, Spoken, parse_speak_query
from simulators.deepgram.stream import Timing

Q = TypeVar("Q")


class DeepgramSimulator(Simulator):
    """Deepgram, strict in what it receives, scripted in what it hears.

    Args:
        utterances: What each stretch of speech is recognised as.
        timing: How it listens.
        latency_ms: Time from the audio to every result.
        shared_script: Count utterances over all connections, so that a client that
            reconnects goes on in the script; by default each connection starts anew.
        idle_timeout_seconds: Without audio or message for so long, it closes with 1011.
        speed: Multiple of real time at which it speaks.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How connections are treated.
        script: How the first connections are treated.
        keep_audio: Keep received audio.

    Attributes:
        spoken: Every text, with the tone that it is heard by.
    """

    vendor: ClassVar[str] = "deepgram"

    def __init__(
        self,
        *,
        utterances: Utterances = ("hello",),
        timing: Timing | None = None,
        latency_ms: float = 0.0,
        shared_script: bool = False,
        idle_timeout_seconds: float = 10.0,
        speed: float = 6.0,
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
        keep_audio: bool = True,
    ) -> None:
        super().__init__(
            port=port, api_key=api_key, behaviour=behaviour, script=script, keep_audio=keep_audio
        )
        self.utterances = utterances
        self.timing = timing or Timing()
        self.latency_ms = latency_ms
        self.shared_script = shared_script
        self.idle_timeout_seconds = idle_timeout_seconds
        self.speed = speed
        self.utterance_count = 0
        self.spoken: list[Spoken] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """Both versions of listening and of speaking."""
        return [
            self.door("GET", "/v1/listen", self._listen),
            self.door("GET", "/v2/listen", self._listen_to_turns),
            self.door("GET", "/v1/speak", self._speak),
            self.door("GET", "/v2/speak", self._speak),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """An error as Deepgram words it, in ``dg-error`` too."""
        code, text = {
            401: ("INVALID_AUTH", "Invalid credentials."),
            402: ("ASR_PAYMENT_REQUIRED", "Project does not have enough credits."),
            403: ("INSUFFICIENT_PERMISSIONS", "Project lacks access to the requested model."),
            429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
            503: ("SERVICE_UNAVAILABLE", "The service is temporarily unavailable."),
        }.get(status, ("INTERNAL_SERVER_ERROR", "Internal server error."))
        return self._error(status, code, text, headers)

    def _error(
        self, status: int, code: str, text: str, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        request_id = new_id()
        body = {"err_code": code, "err_msg": text, "request_id": request_id}
        extra = {"dg-request-id": request_id, "dg-error": text, **(headers or {})}
        return json_response(body, status=status, headers=extra)

    async def _listen(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        query, websocket = await self._accept(request, connection, parse_query)
        await ListenSession(self, connection, query).run(websocket)
        return websocket

    async def _listen_to_turns(
        self, request: web.Request, connection: Connection
    ) -> web.StreamResponse:
        query, websocket = await self._accept(request, connection, parse_flux_query)
        session = FluxSession(
            connection,
            query,
            recognise=lambda heard: recognise(self.utterances, heard),
            violate=self.violate,
        )
        await session.run(websocket)
        return websocket

    async def _speak(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        parse = partial(parse_speak_query, int(request.path[2]))
        query, websocket = await self._accept(request, connection, parse)
        session = SpeakSession(
            connection, query, speed=self.speed, spoken=self.spoken, violate=self.violate
        )
        await session.run(websocket)
        return websocket

    async def _accept(
        self,
        request: web.Request,
        connection: Connection,
        parse: Callable[[Sequence[tuple[str, str]]], Q],
    ) -> tuple[Q, web.WebSocketResponse]:
        """Check key, query and upgrade, or refuse."""
        protocols = self._authenticate(connection)
        try:
            query = parse(connection.received.query)
        except ValueError as error:
            self.violate(f"connection {connection.index}: {error}")
            refuse(self._error(400, "Bad Request", str(error)))
        if request.headers.get("Upgrade", "").lower() != "websocket":
            self.violate(f"connection {connection.index}: no WebSocket upgrade")
            refuse(self._error(400, "Bad Request", "Expected a WebSocket upgrade."))
        return query, await connection.upgrade(request, protocols=protocols)

    def _authenticate(self, connection: Connection) -> Sequence[str]:
        """Check the key; returns the subprotocols to choose from."""
        headers = connection.received.headers
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        offered = [part.strip() for part in headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if not key and len(offered) == 2:
            scheme, key = offered
        known = scheme.lower() in ("token", "bearer") and key.strip() != ""
        if not known or (self.api_key is not None and key != self.api_key):
            self.violate(f"connection {connection.index}: no valid key")
            refuse(self.error_response(401, {}))
        return offered[:1] if offered[0] else ()
