"""ElevenLabs' text-to-speech over one socket with several contexts.

Shapes as in ElevenLabs' documentation and Pipecat 1.14's client.
"""

import asyncio
import base64
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators import tone
from simulators.base import names
from simulators.connection import Connection
from simulators.elevenlabs.models import FORMATS, TTS_LANGUAGES
from simulators.pace import Pace

_QUERY: Final = names(
    "model_id output_format auto_mode language_code enable_ssml_parsing enable_logging"
    " apply_text_normalization inactivity_timeout"
)
_MESSAGE: Final = names("text context_id flush close_context close_socket voice_settings")
_VOICE_SETTINGS: Final = names("stability similarity_boost style use_speaker_boost speed")
_MOST_CONTEXTS: Final = 5


@dataclass(slots=True)
class Spoken:
    """A text that was, or is being, spoken.

    Attributes:
        frequency_hz: Its tone.
        duration_ms: How long the whole of it is.
    """

    text: str
    model: str
    language: str | None
    voice: str
    rate_hz: int
    frequency_hz: int
    duration_ms: float


@dataclass(frozen=True, slots=True)
class SpeakQuery:
    """A valid query."""

    voice: str
    model: str
    language: str | None
    encoding: str
    rate_hz: int
    auto_mode: bool


def parse_speak_query(voice: str, query: Sequence[tuple[str, str]]) -> SpeakQuery:
    """Check a query as ElevenLabs does.

    Raises:
        ValueError: What is wrong with it.
    """
    single: Mapping[str, str] = dict(query)
    if unknown := set(single) - _QUERY:
        raise ValueError(f"unknown parameters {sorted(unknown)}")
    model, language = single.get("model_id", ""), single.get("language_code")
    check_model(model, language)
    output_format = single.get("output_format", "")
    if output_format not in FORMATS:
        raise ValueError(f"unknown output format {output_format}")
    encoding, rate_hz = FORMATS[output_format]
    return SpeakQuery(voice, model, language, encoding, rate_hz, single.get("auto_mode") == "true")


def check_model(model: str, language: str | None) -> None:
    """Check that a model exists and takes a language code.

    Raises:
        ValueError: It doesn't.
    """
    if model not in TTS_LANGUAGES:
        raise ValueError(f"unknown model {model}")
    if language is not None and language not in TTS_LANGUAGES[model]:
        raise ValueError(f"{model} does not support language {language}")


@dataclass(slots=True)
class _Context:
    """One stream of text.

    Attributes:
        buffer: Text that is not yet being spoken.
        closed: Whether no more text may come.
    """

    buffer: str = ""
    closed: bool = False


class SpeakSession:
    """One client.

    Args:
        connection: Over which it goes.
        query: What the client asked for.
        speed: Multiple of real time at which audio comes.
        spoken: Where every text is noted.
        violate: Told what no correct client would have sent.
    """

    def __init__(
        self,
        connection: Connection,
        query: SpeakQuery,
        *,
        speed: float,
        spoken: list[Spoken],
        violate: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._query = query
        self._speed = speed
        self._spoken = spoken
        self._violate = violate
        self._contexts: dict[str, _Context] = {}
        self._work: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue(1000)

    async def run(self, websocket: web.WebSocketResponse) -> None:
        """Speak until either side closes."""
        speaking = asyncio.create_task(self._speak_all())
        try:
            async for message in websocket:
                if self._connection.is_deaf:
                    await self._connection.lie_low()
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
                else:
                    await self._refuse("a binary frame")
        finally:
            speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await speaking

    async def _take(self, text: str) -> None:
        self._connection.read(text)
        try:
            body: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            body = None
        if not isinstance(body, dict) or set(body) - _MESSAGE:
            await self._refuse(f"message {text[:80]!r}")
        elif body.get("close_socket"):
            if not self._connection.silent:
                await self._connection.close(1000)
        elif "context_id" in body:
            await self._obey(str(body["context_id"]), body)
        elif body != {"text": ""}:
            await self._refuse("a message without a context")

    async def _obey(self, context_id: str, body: Mapping[str, Any]) -> None:
        context = self._contexts.get(context_id)
        if context is None:
            if body.get("close_context") or body.get("flush"):
                return
            context = self._contexts[context_id] = _Context()
            if sum(not c.closed for c in self._contexts.values()) > _MOST_CONTEXTS:
                await self._refuse("more than five contexts")
                return
        elif "voice_settings" in body:
            await self._refuse("voice settings after a context's first message")
            return
        text = str(body.get("text", ""))
        if set(body.get("voice_settings", ())) - _VOICE_SETTINGS or (context.closed and text):
            await self._refuse(f"context {context_id}: {sorted(body)}")
            return
        if context.closed:
            return
        context.buffer = (context.buffer + text).lstrip(" ")
        context.closed = bool(body.get("close_context"))
        if body.get("flush") or context.closed or self._query.auto_mode:
            if context.buffer.strip():
                self._work.put_nowait((context_id, context.buffer))
            context.buffer = ""
        if context.closed:
            self._work.put_nowait((context_id, None))

    async def _speak_all(self) -> None:
        while True:
            context_id, text = await self._work.get()
            if text is not None:
                await self._speak(context_id, text)
            else:
                self._contexts.pop(context_id, None)
                await self._say({"contextId": context_id, "isFinal": True})

    async def _speak(self, context_id: str, text: str) -> None:
        behaviour, query = self._connection.behaviour, self._query
        spoken = self._note(text)
        await self._connection.before_first()
        rate_hz = behaviour.audio_rate_hz or query.rate_hz
        audio = tone.tone(spoken.frequency_hz, spoken.duration_ms, query.encoding, rate_hz)
        size = len(tone.chunk(spoken.frequency_hz, query.encoding, rate_hz)) - behaviour.odd_frames
        pace = Pace(behaviour.speed or self._speed)
        starts = range(0, 0 if behaviour.empty else len(audio), size)
        for number, start in enumerate(starts):
            if self._connection.due_error():
                await self._fail("Synthesis failed.")
                return
            piece = audio[start : start + size]
            said = text[len(text) * number // len(starts) : len(text) * (number + 1) // len(starts)]
            alignment = _alignment(said, tone.CHUNK_MS * len(piece) / size)
            await self._say(
                {
                    "contextId": context_id,
                    "audio": base64.b64encode(piece).decode(),
                    "isFinal": False,
                    "alignment": alignment,
                    "normalizedAlignment": alignment,
                }
            )
            self._connection.sent(len(piece))
            await pace.after(tone.CHUNK_MS * len(piece) / size)

    def _note(self, text: str) -> Spoken:
        query = self._query
        spoken = Spoken(
            text,
            query.model,
            query.language,
            query.voice,
            query.rate_hz,
            tone.frequency(len(self._spoken)),
            tone.speech_ms(text),
        )
        self._spoken.append(spoken)
        return spoken

    async def _refuse(self, text: str) -> None:
        self._violate(f"connection {self._connection.index}: {text}")
        await self._fail(text)

    async def _fail(self, text: str) -> None:
        await self._say({"message": text, "error": "policy_violation", "code": 1008})
        if not self._connection.silent:
            await self._connection.close(1008, text)

    async def _say(self, message: Mapping[str, Any]) -> None:
        await self._connection.say(msgspec.json.encode(message).decode())


def _alignment(text: str, duration_ms: float) -> dict[str, Any] | None:
    """When each letter is spoken, from the beginning of its piece of sound."""
    if not text:
        return None
    step = duration_ms / len(text)
    return {
        "chars": list(text),
        "charStartTimesMs": [round(number * step) for number in range(len(text))],
        "charDurationsMs": [round(step)] * len(text),
    }
