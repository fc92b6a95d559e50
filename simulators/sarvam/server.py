"""Sarvam's doors: speech-to-text, chat completions and text-to-speech."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from aiohttp import web

from simulators import tone
from simulators.base import Simulator, json_response, names, new_id, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.openai.reply import ChatRequest, Replies
from simulators.sarvam.chat import MODELS_BY_VERSION, ChatDesk
from simulators.sarvam.config import MODELS
from simulators.sarvam.recognition import HeardSpeech, RecognitionSession, wrong_parameter
from simulators.sarvam.session import Session, Spoken

_QUERY: Final = names("model send_completion_event")
_CODES: Final = {403: "invalid_api_key_error", 429: "rate_limit_exceeded_error"}
_REJECTED_SETTINGS: Final = 4000


class SarvamSimulator(Simulator):
    """Sarvam's realtime speech-to-text, chat completions and streaming text-to-speech.

    Args:
        utterances: What is heard, one after the other.
        replies: What is answered.
        speed: Multiple of real time at which audio comes.
        voice: How words sound; without it, every text is a tone.
        idle_timeout_seconds: After so long without a message a socket is closed.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How connections are treated.
        script: How the first connections are treated.

    Attributes:
        heard: Every utterance.
        spoken: Every text, with the tone that it is heard by.
    """

    vendor: ClassVar[str] = "sarvam"

    def __init__(
        self,
        *,
        utterances: Sequence[str] = ("नमस्ते",),
        replies: Replies = ("जी, मैं आपकी मदद करूँगी।",),
        speed: float = 6.0,
        voice: tone.Voice | None = None,
        idle_timeout_seconds: float = 60.0,
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self._desk = ChatDesk(replies, self._refuse_chat)
        self.utterances = utterances
        self.speed = speed
        self.voice = voice
        self.idle_timeout_seconds = idle_timeout_seconds
        self.heard: list[HeardSpeech] = []
        self.spoken: list[Spoken] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """Two sockets and the chats."""
        return [
            self.door("GET", "/text-to-speech/ws", self._speak),
            self.door("GET", "/speech-to-text-realtime/ws", self._listen),
            *(
                self.door("POST", f"/{version}/chat/completions", self._chat)
                for version in MODELS_BY_VERSION
            ),
        ]

    @property
    def chats(self) -> list[ChatRequest]:
        """The valid chat requests, in order."""
        return self._desk.chats

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """A refusal in Sarvam's shape."""
        return self._error(status, "simulated", headers)

    def _error(self, status: int, message: str, headers: Mapping[str, str]) -> web.Response:
        code = _CODES.get(status, "internal_server_error" if status >= 500 else "invalid_request")
        error = {"message": message, "code": code, "request_id": new_id()}
        return json_response({"error": error}, status=status, headers=headers)

    def _check_key(self, connection: Connection) -> None:
        key = connection.received.headers.get("api-subscription-key", "")
        if not key or (self.api_key is not None and key != self.api_key):
            self.violate(f"connection {connection.index}: no valid key")
            refuse(self._error(403, "Invalid API key", {}))

    def _refuse_chat(self, connection: Connection, text: str) -> None:
        self.violate(f"request {connection.index}: {text}")
        refuse(self._error(400, text, {}))

    async def _chat(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._check_key(connection)
        return await self._desk.answer(request, connection)

    async def _listen(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._check_key(connection)
        wrong = wrong_parameter(connection.received.query)
        websocket = await connection.upgrade(request)
        if wrong is not None:
            self.violate(f"connection {connection.index}: {wrong}")
            await connection.close(_REJECTED_SETTINGS, wrong)
            return websocket
        session = RecognitionSession(
            connection, utterances=self.utterances, heard=self.heard, violate=self.violate
        )
        await session.run(websocket, idle_timeout_seconds=self.idle_timeout_seconds)
        return websocket

    async def _speak(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._check_key(connection)
        query = dict(connection.received.query)
        model = query.get("model", "")
        if model not in MODELS or set(query) - _QUERY:
            self.violate(f"connection {connection.index}: query {query}")
            refuse(self._error(400, "Wrong query", {}))
        websocket = await connection.upgrade(request)
        session = Session(
            connection,
            model=model,
            with_final=query.get("send_completion_event") == "true",
            speed=self.speed,
            voice=self.voice,
            spoken=self.spoken,
            violate=self.violate,
        )
        await session.run(websocket, idle_timeout_seconds=self.idle_timeout_seconds)
        return websocket
