"""AI4Bharat's speech-to-text server (Indic Conformer), as VoiceERA ships it: HTTP."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NoReturn

from aiohttp import web

from simulators.base import Simulator, json_response, names, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.energy import loudness

RATE_HZ: Final = 16_000
_LANGUAGES: Final = names("as bn brx doi gu hi kn kok ks mai ml mni mr ne or pa sa sat sd ta te ur")
_BHILI_SHORTEST_BYTES: Final = 3200


@dataclass(frozen=True, slots=True)
class Segment:
    """Speech that is to be transcribed.

    Attributes:
        number: Counted from 0 over the simulator.
        language: As the client named it.
        audio: 16 kHz, 16-bit little-endian, mono.
        sha256: Of ``audio``, in hexadecimal.
    """

    number: int
    language: str
    audio: bytes
    sha256: str

    @property
    def duration_ms(self) -> float:
        """How long it is, taken as 16 kHz."""
        return len(self.audio) / 2 / RATE_HZ * 1000


#: Texts in turn, again from the first after the last; or by SHA-256 of the audio or language
#: (``*`` for any other); or a function.
Texts = Sequence[str] | Mapping[str, str] | Callable[[Segment], str]


class AI4BharatSTTSimulator(Simulator):
    """The speech-to-text server.

    Args:
        texts: What is recognised.
        latency_ms: Time that a transcription takes.
        quiet_below: Mean sample size below which audio is silence and its text empty.
        has_bhili: Whether ``/transcribe/bhili`` works.
        port: Port, 0 for a free one.
        behaviour: How requests are treated; ``stall_after_ms=0`` is the server whose
            inference thread has died and that answers nothing any more.
        script: How the first requests are treated.

    Attributes:
        segments: What was to be transcribed, in order.
    """

    vendor: ClassVar[str] = "ai4bharat-stt"

    def __init__(
        self,
        *,
        texts: Texts = ("नमस्ते",),
        latency_ms: float = 0.0,
        quiet_below: float = 150.0,
        has_bhili: bool = False,
        port: int = 0,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, behaviour=behaviour, script=script)
        self.texts = texts
        self.latency_ms = latency_ms
        self.quiet_below = quiet_below
        self.has_bhili = has_bhili
        self.segments: list[Segment] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """Banner, health and the two models."""
        return [
            self.page("GET", "/", self._banner),
            self.page("GET", "/health", self._health),
            self.door("POST", "/transcribe", self._transcribe),
            self.door("POST", "/transcribe/bhili", self._transcribe_bhili),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """An error as the server words it."""
        if status == 503:
            return json_response({"detail": "STT queue is full"}, status=503, headers=headers)
        return web.Response(text="Internal Server Error", status=status, headers=headers)

    async def _banner(self, _request: web.Request, _connection: Connection) -> web.Response:
        return json_response({"service": "Indic STT", "status": "running"})

    async def _health(self, _request: web.Request, _connection: Connection) -> web.Response:
        waiting = sum(not connection.ended.is_set() for connection in self.connections)
        return json_response(
            {
                "status": "healthy",
                "device": "cpu",
                "bhili_enabled": "no",
                "main_loaded": True,
                "bhili_loaded": self.has_bhili,
                "main_queue_size": waiting,
                "bhili_queue_size": 0,
                "max_batch_size": 16,
                "batch_timeout_ms": 100,
            }
        )

    async def _transcribe(self, _request: web.Request, connection: Connection) -> web.Response:
        segment = self._parse(connection)
        if segment.language not in _LANGUAGES:
            self._fail(connection, f"unknown language {segment.language!r}")
        return await self._answer(connection, segment)

    async def _transcribe_bhili(
        self, _request: web.Request, connection: Connection
    ) -> web.Response:
        segment = self._parse(connection)
        if not self.has_bhili:
            self.violate(f"request {connection.index}: the Bhili model isn't there")
            refuse(json_response({"detail": "Bhili model is disabled"}, status=503))
        if len(segment.audio) < _BHILI_SHORTEST_BYTES:
            return json_response({"text": ""})
        return await self._answer(connection, segment)

    def _parse(self, connection: Connection) -> Segment:
        encoded, language = self._fields(connection)
        try:
            audio = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            self._fail(connection, "audio_b64 isn't base64")
        if len(audio) % 2:
            self._fail(connection, f"{len(audio)} bytes of 16-bit samples: half a sample")
        if audio[:4] == b"RIFF":
            self.violate(f"request {connection.index}: a WAV header, which is taken for audio")
        connection.hear(audio)
        digest = hashlib.sha256(audio).hexdigest()
        segment = Segment(len(self.segments), language, audio, digest)
        self.segments.append(segment)
        self.changed()
        return segment

    def _fields(self, connection: Connection) -> tuple[str, str]:
        """``audio_b64`` and ``language_id``, or 422."""
        try:
            body = connection.received.json()
        except ValueError:
            self._refuse_invalid(connection, "json_invalid", ["body", 0], "JSON decode error", {})
        if not isinstance(body, dict):
            text = "Input should be a valid dictionary or object to extract fields from"
            self._refuse_invalid(connection, "model_attributes_type", ["body"], text, body)
        encoded, language = body.get("audio_b64"), body.get("language_id", "hi")
        if "audio_b64" not in body:
            where = ["body", "audio_b64"]
            self._refuse_invalid(connection, "missing", where, "Field required", body)
        for name, value in (("audio_b64", encoded), ("language_id", language)):
            if not isinstance(value, str):
                text = "Input should be a valid string"
                self._refuse_invalid(connection, "string_type", ["body", name], text, value)
        for name in sorted(set(body) - {"audio_b64", "language_id"}):
            self.violate(f"request {connection.index}: unknown field {name}")
        return str(encoded), str(language)

    def _refuse_invalid(
        self, connection: Connection, kind: str, where: Sequence[str | int], text: str, value: Any
    ) -> NoReturn:
        self.violate(f"request {connection.index}: {'.'.join(map(str, where))}: {text}")
        detail = [{"type": kind, "loc": where, "msg": text, "input": value}]
        refuse(json_response({"detail": detail}, status=422))

    def _fail(self, connection: Connection, text: str) -> NoReturn:
        self.violate(f"request {connection.index}: {text}")
        refuse(self.error_response(500, {}))

    async def _answer(self, connection: Connection, segment: Segment) -> web.Response:
        connection.accepted()
        behaviour = connection.behaviour
        wait_ms = self.latency_ms + behaviour.first_result_delay_ms
        if behaviour.speed is not None:
            wait_ms += segment.duration_ms / behaviour.speed
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if connection.silent:
            await connection.lie_low()
        if behaviour.garbage_frames:
            return web.Response(text='{"text":', content_type="application/json")
        if connection.due_error():
            return self.error_response(500, {})
        text = "" if behaviour.empty else self._text(segment)
        return json_response({"text": text})

    def _text(self, segment: Segment) -> str:
        if loudness(segment.audio) < self.quiet_below:
            return ""
        if callable(self.texts):
            return self.texts(segment)
        if isinstance(self.texts, Mapping):
            for key in (segment.sha256, segment.language, "*"):
                if key in self.texts:
                    return self.texts[key]
            return ""
        return self.texts[segment.number % len(self.texts)] if self.texts else ""
