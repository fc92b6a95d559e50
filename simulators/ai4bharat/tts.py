"""AI4Bharat's text-to-speech server (Indic Parler), as VoiceERA ships it: a WebSocket."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators import tone
from simulators.base import Simulator, names, new_id, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.pace import Pace

RATE_HZ: Final = 44_100
ENCODING: Final = "pcm_f32le"
_FIELDS: Final = names("prompt description language language_id lang")
_LANGUAGES: Final = names(
    "as bn brx doi en gu hi kn kok mai ml mni mr ne or sa sat sd ta te ur pa ks bhb bhili"
)
_REQUEST_TIMEOUT_SECONDS: Final = 30.0


@dataclass(slots=True)
class Synthesis:
    """A prompt that was, or is being, spoken.

    Attributes:
        frequency_hz: The tone that it is heard by.
        duration_ms: How long the whole of it is.
        sent_ms: How much of it was sent.
        voice: How words sound; without it, all of it is the tone.
    """

    prompt: str
    description: str
    language: str
    frequency_hz: int
    duration_ms: float
    sent_ms: float = 0.0
    voice: tone.Voice | None = None


class AI4BharatTTSSimulator(Simulator):
    """The text-to-speech server; one synthesis per connection, on any path.

    Args:
        speed: Multiple of real time at which audio comes.
        ms_per_character: Length of speech.
        first_audio_ms: Time to the first audio; ``meta`` comes at once.
        voice: How words sound; without it, every prompt is a tone.
        port: Port, 0 for a free one.
        behaviour: How connections are treated.
        script: How the first connections are treated.

    Attributes:
        spoken: Every prompt, with the tone that it is heard by.
    """

    vendor: ClassVar[str] = "ai4bharat-tts"

    def __init__(
        self,
        *,
        speed: float = 6.0,
        ms_per_character: float = 70.0,
        first_audio_ms: float = 0.0,
        voice: tone.Voice | None = None,
        port: int = 0,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, behaviour=behaviour, script=script)
        self.speed = speed
        self.ms_per_character = ms_per_character
        self.first_audio_ms = first_audio_ms
        self.voice = voice
        self.spoken: list[Synthesis] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """Every path."""
        return [self.door("GET", "/{path:.*}", self._serve)]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """A refused handshake."""
        return web.Response(text=f"{status}", status=status, headers=headers)

    async def _serve(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            self.violate(f"connection {connection.index}: no WebSocket upgrade")
            text = "Failed to open a WebSocket connection: invalid Connection header.\n"
            refuse(web.Response(text=text, status=426, headers={"Upgrade": "websocket"}))
        websocket = await connection.upgrade(request)
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT_SECONDS):
                message = await websocket.receive()
        except TimeoutError:
            await connection.close(1000)
            return websocket
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return websocket
        await self._synthesise(websocket, connection, message.data)
        return websocket

    async def _synthesise(
        self, websocket: web.WebSocketResponse, connection: Connection, text: str | bytes
    ) -> None:
        if isinstance(text, bytes):
            self.violate(f"connection {connection.index}: the request came in a binary frame")
            text = text.decode(errors="replace")
        connection.read(text)
        try:
            synthesis = self._parse(text)
        except ValueError as error:
            self.violate(f"connection {connection.index}: {error}")
            await self._end(connection, {"type": "error", "message": f"bad request: {error}"})
            return
        self.spoken.append(synthesis)
        self.changed()
        watch = asyncio.create_task(self._watch(websocket, connection))
        speaking = asyncio.create_task(self._speak(connection, synthesis))
        try:
            await asyncio.wait((watch, speaking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watch, speaking):
                task.cancel()
            await asyncio.gather(watch, speaking, return_exceptions=True)

    async def _watch(self, websocket: web.WebSocketResponse, connection: Connection) -> None:
        """Return when the client has gone; note what it has no business to send."""
        async for message in websocket:
            kind = "binary" if message.type is WSMsgType.BINARY else "text"
            self.violate(f"connection {connection.index}: a second message ({kind})")

    def _parse(self, text: str) -> Synthesis:
        try:
            body = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise ValueError(f"not JSON: {error}") from error
        if not isinstance(body, dict):
            raise ValueError("not an object")
        for name in ("prompt", "description"):
            if not isinstance(body.get(name), str) or not body[name].strip():
                raise ValueError(f"'{name}' is required")
        language = str(body.get("language") or body.get("language_id") or body.get("lang") or "")
        if language and language not in _LANGUAGES:
            self.violate(f"unknown language {language!r}")
        for name in sorted(set(body) - _FIELDS):
            self.violate(f"unknown field {name}")
        return Synthesis(
            prompt=body["prompt"],
            description=body["description"],
            language=language,
            frequency_hz=tone.frequency(len(self.spoken)),
            duration_ms=tone.speech_ms(body["prompt"], ms_per_character=self.ms_per_character),
            voice=self.voice,
        )

    async def _speak(self, connection: Connection, synthesis: Synthesis) -> None:
        behaviour, pid = connection.behaviour, new_id()
        if behaviour.error_after_bytes == 0 and connection.due_error():
            await self._end(connection, {"type": "error", "message": "synthesis failed"})
            return
        await connection.say(
            _text(
                {
                    "type": "meta",
                    "pid": pid,
                    "sample_rate": RATE_HZ,
                    "dtype": "float32",
                    "channels": 1,
                }
            )
        )
        if self.first_audio_ms:
            await asyncio.sleep(self.first_audio_ms / 1000)
        pace = Pace(behaviour.speed or self.speed)
        for duration_ms, frame in () if behaviour.empty else _frames(synthesis, behaviour):
            if connection.due_error():
                await self._end(connection, {"type": "error", "message": "synthesis failed"})
                return
            await connection.say(frame)
            connection.sent(len(frame))
            synthesis.sent_ms += duration_ms
            await pace.after(duration_ms)
        await self._end(connection, {"type": "done", "pid": pid})

    async def _end(self, connection: Connection, message: Mapping[str, Any]) -> None:
        """The last message; the server then closes, unless it has fallen silent."""
        await connection.say(_text(message))
        if connection.silent:
            await connection.lie_low()
        await connection.close(1000)


def _frames(synthesis: Synthesis, behaviour: Behaviour) -> Iterator[tuple[float, bytes]]:
    """The audio with the length of each frame in milliseconds."""
    rate_hz = behaviour.audio_rate_hz or RATE_HZ
    frequency_hz = synthesis.frequency_hz
    whole = tone.chunk(frequency_hz, ENCODING, rate_hz)
    if behaviour.odd_frames or synthesis.voice is not None:
        audio = tone.speech(
            synthesis.prompt,
            synthesis.duration_ms,
            ENCODING,
            rate_hz,
            voice=synthesis.voice,
            frequency_hz=frequency_hz,
        )
        size = len(whole) - (3 if behaviour.odd_frames else 0)
        for start in range(0, len(audio), size):
            frame = audio[start : start + size]
            yield tone.CHUNK_MS * len(frame) / len(whole), frame
        return
    left_ms = synthesis.duration_ms
    while left_ms >= tone.CHUNK_MS:
        yield tone.CHUNK_MS, whole
        left_ms -= tone.CHUNK_MS
    rest = tone.tone(frequency_hz, left_ms, ENCODING, rate_hz)
    if rest:
        yield left_ms, rest


def _text(message: Any) -> str:
    return msgspec.json.encode(message).decode()
