"""Cartesia's text-to-speech: ``/tts/websocket``, ``/tts/bytes`` and ``/tts/sse``."""

import base64
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, NoReturn

from aiohttp import web

from simulators import tone
from simulators.base import Simulator, new_id, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.cartesia import messages
from simulators.cartesia.request import Generation, InvalidRequest, bad_request, parse_generation
from simulators.cartesia.session import Session
from simulators.cartesia.voice import Spoken, pieces, spoken, word_times
from simulators.connection import Connection
from simulators.pace import Pace

_VERSION: Final = re.compile(r"\d{4}-\d\d-\d\d")
_HANDSHAKE_QUERY: Final = frozenset({"api_key", "access_token", "cartesia_version"})
_WAV_FORMATS: Final = {"pcm_s16le": 1, "pcm_f32le": 3, "pcm_alaw": 6, "pcm_mulaw": 7}
_REFUSALS: Final = {
    401: ("Unauthorized", "Invalid API key.", "unauthorized"),
    402: ("Payment required", "Credit limit reached.", "quota_exceeded"),
    429: (
        "Too many concurrent requests",
        "You have exceeded your plan's concurrency limit.",
        "concurrency_limited",
    ),
    503: ("Service unavailable", "The service is temporarily unavailable.", None),
}


class CartesiaSimulator(Simulator):
    """Cartesia, strict in what it receives; it speaks in tones.

    Args:
        speed: Multiple of real time at which audio comes.
        ms_per_character: Length of speech.
        tone_per: A new tone with every ``context`` or with every ``transcript``.
        late_chunks: Chunks that still come after a cancel.
        context_expiry_ms: A context without new text expires so long after its last audio.
        idle_timeout_seconds: A WebSocket without messages is closed after this.
        voice: How words sound; without it, in tones by context or transcript.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How connections are treated.
        script: How the first connections are treated.

    Attributes:
        spoken: Every utterance, with the tone that it is heard by.
        finished: The ids of contexts that are done, cancelled or expired, in that order.
    """

    vendor: ClassVar[str] = "cartesia"

    def __init__(
        self,
        *,
        speed: float = 6.0,
        ms_per_character: float = 70.0,
        tone_per: Literal["context", "transcript"] = "context",
        late_chunks: int = 1,
        context_expiry_ms: float = 1000.0,
        idle_timeout_seconds: float = 300.0,
        voice: tone.Voice | None = None,
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self.speed = speed
        self.ms_per_character = ms_per_character
        self.tone_per = tone_per
        self.late_chunks = late_chunks
        self.context_expiry_ms = context_expiry_ms
        self.idle_timeout_seconds = idle_timeout_seconds
        self.voice = voice
        self.spoken: list[Spoken] = []
        self.finished: list[str] = []
        self._tones = 0

    def routes(self) -> Iterable[web.RouteDef]:
        """The three ways to have text spoken."""
        return [
            self.door("GET", "/tts/websocket", self._websocket),
            self.door("POST", "/tts/bytes", self._bytes),
            self.door("POST", "/tts/sse", self._sse),
        ]

    @property
    def tts_url(self) -> str:
        """Address of the WebSocket."""
        return f"{self.ws_url}/tts/websocket"

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """An error as Cartesia words it."""
        title, text, code = _REFUSALS.get(status, ("Internal error", "It failed.", None))
        problem = InvalidRequest(title, text, error_code=code, status=status)
        return messages.error_response(problem, "9999", dict(headers))

    def next_tone(self) -> int:
        """A number that no context had before; chooses its tone."""
        self._tones += 1
        return self._tones - 1

    def speak(self, generation: Generation, text: str, context_number: int) -> Spoken:
        """Note an utterance and choose its tone."""
        number = context_number if self.tone_per == "context" else len(self.spoken)
        frequency_hz = tone.frequency(number)
        utterance = spoken(generation, text, frequency_hz, self.ms_per_character, self.voice)
        self.spoken.append(utterance)
        self.changed()
        return utterance

    def _finish(self, context_id: str) -> None:
        self.finished.append(context_id)
        self.changed()

    # -- doors -------------------------------------------------------------------------

    async def _websocket(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        version = self._authenticate(connection, _HANDSHAKE_QUERY)
        websocket = await connection.upgrade(request)
        session = Session(settings=self, connection=connection, version=version, ended=self._finish)
        await session.run(websocket, idle_timeout_seconds=self.idle_timeout_seconds)
        return websocket

    async def _bytes(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        generation = self._parse_body(connection, "bytes")
        utterance = self.speak(generation, generation.transcript, self.next_tone())
        is_wav = generation.container == "wav"
        response = web.StreamResponse(
            headers={
                "Content-Type": "audio/wav" if is_wav else "application/octet-stream",
                "X-Request-ID": new_id(),
            }
        )
        await response.prepare(request)
        if is_wav:
            await response.write(_wav_header(utterance))

        async def write(data: str, _words: Sequence[Any]) -> None:
            await response.write(base64.b64decode(data))

        await self._stream(connection, utterance, write)
        return response

    async def _sse(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        generation = self._parse_body(connection, "sse")
        utterance = self.speak(generation, generation.transcript, self.next_tone())
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Request-ID": new_id()}
        )
        await response.prepare(request)
        context_id = generation.context_id
        head, tail = messages.chunk_frame(context_id)

        async def write(data: str, words: Sequence[tuple[str, float, float]]) -> None:
            if words and generation.add_timestamps:
                text = messages.timestamps(context_id, words)
                await response.write(f"event: timestamps\ndata: {text}\n\n".encode())
            await response.write(f"event: chunk\ndata: {head}{data}{tail}\n\n".encode())

        if await self._stream(connection, utterance, write):
            text = messages.done(context_id)
            await response.write(f"event: done\ndata: {text}\n\n".encode())
        return response

    async def _stream(
        self, connection: Connection, utterance: Spoken, write: Callable[..., Any]
    ) -> bool:
        """Send an utterance over HTTP; False where it was broken off."""
        connection.accepted()
        behaviour = connection.behaviour
        await connection.before_first()
        pace = Pace(behaviour.speed or self.speed)
        words = word_times(utterance)
        audio = pieces(utterance, rate_hz=behaviour.audio_rate_hz, odd=behaviour.odd_frames)
        for piece in () if behaviour.empty else audio:
            if connection.silent:
                await connection.lie_low()
            if connection.due_error():
                connection.drop()
                return False
            end_ms = piece.start_ms + piece.duration_ms
            due = [word for word in words if word[1] * 1000 < end_ms]
            words = words[len(due) :]
            await write(piece.data, due)
            connection.sent(piece.size)
            utterance.sent_ms += piece.duration_ms
            await pace.after(piece.duration_ms)
        return True

    # -- checks ------------------------------------------------------------------------

    def _authenticate(self, connection: Connection, known_query: frozenset[str]) -> str:
        """Check key and version; returns the version."""
        headers, query = connection.received.headers, dict(connection.received.query)
        version = query.get("cartesia_version") or headers.get("Cartesia-Version", "")
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        key = query.get("api_key") or query.get("access_token") or headers.get("X-API-Key", "")
        key = key or (token if scheme == "Bearer" else "")
        if not key or (self.api_key is not None and key != self.api_key):
            self.violate(f"connection {connection.index}: no valid key")
            refuse(self.error_response(401, {}))
        problem = None
        if not _VERSION.fullmatch(version):
            problem = f"Cartesia-Version must be a date, not {version!r}."
        elif set(query) - known_query:
            problem = f"Unknown query parameters: {sorted(set(query) - known_query)}"
        if problem is not None:
            self._refuse_invalid(connection, bad_request(problem), version)
        return version

    def _parse_body(self, connection: Connection, door: str) -> Generation:
        version = self._authenticate(connection, frozenset())
        try:
            try:
                body = connection.received.json()
            except ValueError as error:
                raise bad_request(f"The body isn't JSON: {error}") from error
            generation = parse_generation(body, door)
            if not generation.transcript.strip():
                raise bad_request("transcript must not be empty.")
        except InvalidRequest as problem:
            self._refuse_invalid(connection, problem, version)
        return generation

    def _refuse_invalid(
        self, connection: Connection, problem: InvalidRequest, version: str
    ) -> NoReturn:
        self.violate(f"connection {connection.index}: {problem}")
        refuse(messages.error_response(problem, version, {}))


def _wav_header(utterance: Spoken) -> bytes:
    """The 44 bytes before the samples."""
    width = tone.BYTES_PER_SAMPLE[utterance.encoding]
    rate_hz = utterance.rate_hz
    size = tone.bytes_for(utterance.duration_ms, utterance.encoding, rate_hz)
    kind = _WAV_FORMATS[utterance.encoding]
    fields = (16, kind, 1, rate_hz, rate_hz * width, width, width * 8)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", *fields, b"data", size
    )
