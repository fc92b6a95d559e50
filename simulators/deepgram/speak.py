"""Deepgram's streaming text-to-speech: ``/v1/speak`` (Aura) and ``/v2/speak`` (Flux voices).

Shapes as in Deepgram's SDK 7.17 and its documentation.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators import tone
from simulators.base import names, new_id
from simulators.connection import Connection
from simulators.deepgram.messages import to_json
from simulators.deepgram.query import BadRequest
from simulators.pace import Pace

_QUERY: Final = {
    1: names("model encoding sample_rate speed mip_opt_out container"),
    2: names("model encoding sample_rate speed expressivity mip_opt_out tag"),
}
_VOICE: Final = {
    1: re.compile(r"aura(-2)?-[a-z]+-(en|es|de|nl|fr|it|ja)"),
    2: re.compile(r"flux-[a-z]+-en"),
}
_ENCODING: Final = {"linear16": "pcm_s16le", "mulaw": "pcm_mulaw", "alaw": "pcm_alaw"}
_RATES_HZ: Final = frozenset({8000, 16000, 24000, 32000, 44100, 48000})
_MESSAGES: Final = {
    1: names("Speak Flush Clear Close"),
    2: names("Speak Flush Interrupt Configure Close"),
}
_MAX_TEXT: Final = 2000
#: In a minute, of the first version.
_MOST_FLUSHES: Final = 20


@dataclass(slots=True)
class Spoken:
    """A text that was, or is being, spoken.

    Attributes:
        frequency_hz: Its tone.
        duration_ms: How long the whole of it is.
    """

    text: str
    voice: str
    rate_hz: int
    frequency_hz: int
    duration_ms: float


@dataclass(frozen=True, slots=True)
class SpeakQuery:
    """A valid query; ``version`` is that of the address."""

    version: int
    voice: str
    encoding: str
    rate_hz: int
    speed: float


def parse_speak_query(version: int, query: Sequence[tuple[str, str]]) -> SpeakQuery:
    """Check a query as Deepgram does.

    Raises:
        BadRequest: What is wrong with it.
    """
    single = dict(query)
    if unknown := set(single) - _QUERY[version]:
        raise BadRequest(f"Unknown query parameters: {sorted(unknown)}")
    voice, encoding = single.get("model", ""), single.get("encoding", "linear16")
    rate = single.get("sample_rate", "24000")
    if not _VOICE[version].fullmatch(voice):
        raise BadRequest(f"No such voice: {voice}")
    if encoding not in _ENCODING:
        raise BadRequest(f"Invalid encoding: {encoding}")
    if not rate.isdigit() or int(rate) not in _RATES_HZ:
        raise BadRequest(f"Invalid sample rate: {rate}")
    speed = float(single.get("speed", 1))
    if not (0.7 if version == 1 else 0.5) <= speed <= 1.5:
        raise BadRequest(f"Invalid speed: {speed:g}")
    return SpeakQuery(version, voice, _ENCODING[encoding], int(rate), speed)


class SpeakSession:
    """One client on either version's socket.

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
        self._text = ""
        self._sequence = 0
        self._speech_id = ""
        self._flushed_at: deque[float] = deque(maxlen=_MOST_FLUSHES)
        #: Texts to say; None stands for the end of what belongs together.
        self._work: asyncio.Queue[str | None] = asyncio.Queue(1000)
        self._speaking: asyncio.Task[None] | None = None

    async def run(self, websocket: web.WebSocketResponse) -> None:
        """Speak until either side closes."""
        model: dict[str, Any] = {
            "request_id": new_id(),
            "model_name": self._query.voice,
            "model_version": "2026-01-01.0",
        }
        if self._query.version == 1:
            await self._say(type="Metadata", model_uuid=new_id(), **model)
        else:
            await self._say(type="Connected", model_uuids=[new_id()], **model)
        self._speaking = asyncio.create_task(self._speak_all())
        try:
            async for message in websocket:
                if self._connection.is_deaf:
                    await self._connection.lie_low()
                if message.type is WSMsgType.TEXT:
                    await self._obey(message.data)
                else:
                    self._note("a binary frame")
        finally:
            await self._stop_speaking()

    async def _obey(self, text: str) -> None:
        self._connection.read(text)
        try:
            message: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in _MESSAGES[self._query.version]:
            self._note(f"message {text[:80]!r}")
            await self._say(type="Error", code="MESSAGE-0000", description="Unknown message.")
        elif kind == "Speak":
            await self._add(message.get("text"))
        elif kind == "Flush":
            await self._flush()
        elif kind == "Clear":
            await self._forget()
            await self._say(type="Cleared", sequence_id=self._next())
        elif kind == "Interrupt":
            await self._interrupt()
        elif kind == "Configure":
            await self._say(type="ConfigureSuccess", applied={"speed": message.get("speed")})
        elif not self._connection.silent:
            await self._connection.close(1000)

    async def _add(self, text: Any) -> None:
        if not isinstance(text, str) or not text.strip() or len(text) > _MAX_TEXT:
            self._note("a text that is empty, too long or none")
            await self._say(type="Error", code="DATA-0000", description="No such text.")
        elif self._query.version == 1:
            self._text += text
        else:
            self._work.put_nowait(text)

    async def _flush(self) -> None:
        """Aura says nothing before; Flux only learns that no more belongs to it."""
        if self._query.version == 1:
            now = asyncio.get_running_loop().time()
            if len(self._flushed_at) == _MOST_FLUSHES and now - self._flushed_at[0] < 60:
                await self._say(
                    type="Warning", code="EXCEEDED_FLUSHES", description="Too many flush messages."
                )
                return
            self._flushed_at.append(now)
            self._work.put_nowait(self._text)
            self._text = ""
        self._work.put_nowait(None)

    async def _interrupt(self) -> None:
        was_speaking = bool(self._speech_id or not self._work.empty())
        if not self._connection.sent_bytes:
            code = "NO_AUDIO_GENERATED" if was_speaking else "NO_ACTIVE_SPEECH"
            await self._say(type="Warning", code=code, description="Nothing to interrupt.")
        elif not was_speaking:
            await self._say(type="Warning", code="NO_ACTIVE_SPEECH", description="Nothing to end.")
        else:
            speech_id = self._speech_id
            await self._forget()
            await self._say(
                type="SpeechInterrupted", audio_played_ms=0, metadata=_metadata(speech_id)
            )

    async def _forget(self) -> None:
        """Drop all text and sound."""
        self._text = self._speech_id = ""
        await self._stop_speaking()
        self._work = asyncio.Queue(1000)
        self._speaking = asyncio.create_task(self._speak_all())

    async def _stop_speaking(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._speaking

    async def _speak_all(self) -> None:
        is_flux = self._query.version == 2
        while True:
            text = await self._work.get()
            if not self._speech_id:
                self._speech_id = f"dg_sp_{new_id()[-12:]}"
                if is_flux:
                    await self._say(type="SpeechStarted", speech_id=self._speech_id)
            if text is not None:
                if text.strip() and not await self._speak(text):
                    await self._say(type="Error", code="NET-0002", description="It failed.")
                continue
            if is_flux:
                await self._say(type="Flushed", speech_id=self._speech_id)
                await self._say(type="SpeechMetadata", **_metadata(self._speech_id))
            else:
                await self._say(type="Flushed", sequence_id=self._next())
            self._speech_id = ""

    async def _speak(self, text: str) -> bool:
        """All sound of a text; false if it was cut short by the vendor's own error."""
        behaviour, query = self._connection.behaviour, self._query
        rate_hz = behaviour.audio_rate_hz or query.rate_hz
        duration_ms = round(tone.speech_ms(text) / query.speed, 3)
        frequency_hz = tone.frequency(len(self._spoken))
        self._spoken.append(Spoken(text, query.voice, query.rate_hz, frequency_hz, duration_ms))
        await self._connection.before_first()
        audio = tone.tone(frequency_hz, duration_ms, query.encoding, rate_hz)
        size = len(tone.chunk(frequency_hz, query.encoding, rate_hz)) - behaviour.odd_frames
        pace = Pace(behaviour.speed or self._speed)
        for start in range(0, 0 if behaviour.empty else len(audio), size):
            if self._connection.due_error():
                return False
            piece = audio[start : start + size]
            await self._connection.say(piece)
            self._connection.sent(len(piece))
            await pace.after(tone.CHUNK_MS * len(piece) / size)
        return True

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _note(self, text: str) -> None:
        self._violate(f"connection {self._connection.index}: {text}")

    async def _say(self, **message: Any) -> None:
        await self._connection.say(to_json(message))


def _metadata(speech_id: str) -> dict[str, Any]:
    """What is told of one stretch of speech at its end."""
    counts = ("audio_duration_ms", "input_character_count", "billable_character_count")
    return {"speech_id": speech_id, **dict.fromkeys(counts, 0), "controls_applied": {}}
