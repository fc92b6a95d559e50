"""Smallest AI's doors: the synthesis socket, and whole phrases."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from aiohttp import web

from simulators import tone
from simulators.base import Simulator, json_response, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.smallest.request import WrongRequest, checked
from simulators.smallest.session import Session, Spoken, spoken_as


class SmallestSimulator(Simulator):
    """Smallest AI's text-to-speech, ``/waves/v1/tts/live`` and ``/waves/v1/tts``.

    Args:
        speed: Multiple of real time at which audio comes.
        closes_when_complete: Whether a socket is closed after ``complete``, as one page has it.
        idle_timeout_seconds: After so long without a message the socket is closed.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How connections are treated.
        script: How the first connections are treated.

    Attributes:
        spoken: Every text, with the tone that it is heard by.
    """

    vendor: ClassVar[str] = "smallest"

    def __init__(
        self,
        *,
        speed: float = 6.0,
        closes_when_complete: bool = False,
        idle_timeout_seconds: float = 60.0,
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self.speed = speed
        self.closes_when_complete = closes_when_complete
        self.idle_timeout_seconds = idle_timeout_seconds
        self.spoken: list[Spoken] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """The socket, and phrases over HTTP."""
        return [
            self.door("GET", "/waves/v1/tts/live", self._live),
            self.door("POST", "/waves/v1/tts", self._whole),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """A refusal in Smallest's shape."""
        kinds = {401: "Unauthorized", 400: "InvalidRequest", 429: "RateLimitExceeded"}
        body = {"error": kinds.get(status, "InternalServerError"), "message": "simulated"}
        return json_response(body, status=status, headers=headers)

    async def _live(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._authenticate(connection)
        websocket = await connection.upgrade(request)
        session = Session(
            connection,
            speed=self.speed,
            closes_when_complete=self.closes_when_complete,
            spoken=self.spoken,
            violate=self.violate,
        )
        await session.run(websocket, idle_timeout_seconds=self.idle_timeout_seconds)
        return websocket

    async def _whole(self, _request: web.Request, connection: Connection) -> web.StreamResponse:
        self._authenticate(connection)
        try:
            body = checked(connection.received.json(), over_socket=False)
        except (ValueError, WrongRequest) as error:
            self.violate(f"request {connection.index}: {error}")
            refuse(self.error_response(400, {}))
        spoken = spoken_as(body, len(self.spoken))
        self.spoken.append(spoken)
        audio = tone.tone(spoken.frequency_hz, spoken.duration_ms, "pcm_s16le", spoken.rate_hz)
        body_sent = b"" if connection.behaviour.empty else audio
        connection.sent(len(body_sent))
        return web.Response(body=body_sent, content_type="audio/wav")

    def _authenticate(self, connection: Connection) -> None:
        scheme, _, key = connection.received.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key or (self.api_key is not None and key != self.api_key):
            self.violate(f"connection {connection.index}: no valid key")
            refuse(self.error_response(401, {}))
