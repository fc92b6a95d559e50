"""ElevenLabs' doors: realtime speech-to-text, and text-to-speech by socket and by request."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, NoReturn

import msgspec
from aiohttp import web

from simulators import tone
from simulators.base import Simulator, json_response, names, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.elevenlabs.listen import ListenSession, parse_listen_query
from simulators.elevenlabs.models import FORMATS
from simulators.elevenlabs.speak import SpeakSession, Spoken, check_model, parse_speak_query

_VOICE: Final = re.compile(r"[A-Za-z0-9]{20}")
_BODY: Final = names("text model_id language_code voice_settings apply_text_normalization")
_STATUS: Final = {401: "invalid_api_key", 402: "quota_exceeded", 429: "too_many_requests"}


class ElevenLabsSimulator(Simulator):
    """ElevenLabs, strict in what it receives.

    Args:
        utterances: What each stretch of speech on a connection is recognised as, in turn.
        speed: Multiple of real time at which it speaks over the socket.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How connections are treated.
        script: How the first connections are treated.
        keep_audio: Keep received audio.

    Attributes:
        spoken: Every text, with the tone that it is heard by.
    """

    vendor: ClassVar[str] = "elevenlabs"

    def __init__(
        self,
        *,
        utterances: Sequence[str] = ("hello",),
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
        self.speed = speed
        self.spoken: list[Spoken] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """Listening, and speaking over a socket or in one request."""
        speech = "/v1/text-to-speech/{voice}"
        return [
            self.door("GET", "/v1/speech-to-text/realtime", self._listen),
            self.door("GET", f"{speech}/multi-stream-input", self._speak),
            self.door("POST", speech, self._convert),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """A refusal in ElevenLabs' shape."""
        return self._error(status, "simulated", headers)

    def _error(
        self, status: int, message: str, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        word = _STATUS.get(status, "server_error" if status >= 500 else "invalid_request")
        detail = {"status": word, "message": message}
        return json_response({"detail": detail}, status=status, headers=headers)

    async def _listen(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._authenticate(connection)
        try:
            query = parse_listen_query(connection.received.query)
        except ValueError as error:
            self._refuse(connection, str(error))
        websocket = await connection.upgrade(request)
        session = ListenSession(
            connection,
            query,
            text_of=lambda number: self.utterances[number % len(self.utterances)],
            violate=self.violate,
        )
        await session.run(websocket)
        return websocket

    async def _speak(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._authenticate(connection)
        try:
            query = parse_speak_query(self._voice(request), connection.received.query)
        except ValueError as error:
            self._refuse(connection, str(error))
        websocket = await connection.upgrade(request)
        session = SpeakSession(
            connection, query, speed=self.speed, spoken=self.spoken, violate=self.violate
        )
        await session.run(websocket)
        return websocket

    async def _convert(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._authenticate(connection)
        try:
            body: Any = msgspec.json.decode(connection.received.body)
            output_format = dict(connection.received.query).get("output_format", "")
            if not isinstance(body, dict) or set(body) - _BODY or not body.get("text"):
                raise ValueError(f"body {body!r:.80}")
            if output_format not in FORMATS:
                raise ValueError(f"unknown output format {output_format}")
            model, language = str(body.get("model_id")), body.get("language_code")
            check_model(model, language)
            voice = self._voice(request)
        except (msgspec.DecodeError, ValueError) as error:
            self._refuse(connection, str(error))
        encoding, rate_hz = FORMATS[output_format]
        frequency_hz = tone.frequency(len(self.spoken))
        duration_ms = tone.speech_ms(body["text"])
        self.spoken.append(
            Spoken(body["text"], model, language, voice, rate_hz, frequency_hz, duration_ms)
        )
        connection.accepted()
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await response.prepare(request)
        await connection.before_first()
        audio = tone.tone(frequency_hz, duration_ms, encoding, rate_hz)
        for start in range(0, 0 if connection.behaviour.empty else len(audio), 3_200):
            await response.write(audio[start : start + 3_200])
            connection.sent(len(audio[start : start + 3_200]))
        await response.write_eof()
        return response

    def _authenticate(self, connection: Connection) -> None:
        key = connection.received.headers.get("xi-api-key", "")
        if not key or (self.api_key is not None and key != self.api_key):
            self.violate(f"connection {connection.index}: no valid key")
            refuse(self._error(401, "Invalid API key"))

    def _refuse(self, connection: Connection, text: str) -> NoReturn:
        self.violate(f"connection {connection.index}: {text}")
        refuse(self._error(400, text))

    @staticmethod
    def _voice(request: web.Request) -> str:
        voice = request.match_info["voice"]
        if not _VOICE.fullmatch(voice):
            raise ValueError(f"unknown voice {voice}")
        return voice
