"""What a peer sends in its call: understood, counted where it is bad, and acted upon."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from loguru import logger

from bot.call_bot import CallBot
from bot.events import CallEvent, Degraded
from config.errors import WireError
from serializer.base import FATAL_WIRE_CODES, Dialect
from serializer.codecs import AudioFormat
from serializer.messages import (
    Control,
    ControlAction,
    Dtmf,
    Ignored,
    LanguageChoice,
    Media,
    Message,
    Ping,
    PlaybackCleared,
    PlaybackReached,
    StreamStopped,
    TextInput,
)
from sessions import metrics
from sessions.channel import Channel, Departure
from sessions.journal import CallJournal
from sessions.line import Line
from sessions.pace import MediaPace, MessagePace
from sessions.sender_clock import SenderClock

#: Bad messages in a row after which a peer is taken to speak something else.
MAX_BAD_MESSAGES = 20
#: Messages that do no harm and yet show that the peer or its network is not well.
FAULTS: Final[Mapping[str, str]] = {
    "stale_media": "audio came twice or out of order; what was old is left out",
    "duplicate_start": "the stream was begun twice",
    "odd_length": "audio came with half a sample, which is cut off",
}


class Call(Protocol):
    """The call that the messages belong to."""

    session_id: str
    journal: CallJournal

    def end(self, cause: str) -> None:
        """Have the call end."""

    def gone(self, departure: Departure) -> None:
        """The peer has gone."""

    def fail(self, cause: str, code: str, message: str) -> None:
        """Have the call end with an error that the peer is told."""

    def emit(self, event: CallEvent) -> None:
        """Tell of an event."""


class Intake:
    """Reads one call's socket until the peer goes.

    Args:
        call: Ended when the peer goes, or says so, or cannot be understood.
        channel: The socket.
        dialect: How the peer speaks.
        line: Answers ``ping`` and says what was not understood.
        bot: Told what the caller does.
        heard_format: Codec of the caller's audio.
        started_at: Loop time of the call's beginning.
    """

    def __init__(
        self,
        call: Call,
        channel: Channel,
        dialect: Dialect,
        line: Line,
        bot: CallBot,
        *,
        heard_format: AudioFormat,
        started_at: float,
    ) -> None:
        self._call = call
        self._channel = channel
        self._dialect = dialect
        self._line = line
        self._bot = bot
        self._heard_format = heard_format
        self._started_at = started_at
        self._pace = MediaPace(started_at)
        self._clock = SenderClock()
        self._messages = MessagePace(started_at)
        self._noted: set[str] = set()
        self._odd = 0
        self._bad_in_a_row = 0
        self.paused = False
        self.last_media_at = started_at

    def move(self, channel: Channel, dialect: Dialect) -> None:
        """Have the next :meth:`read` read another stream."""
        self._channel = channel
        self._dialect = dialect
        self._clock = SenderClock()
        self._odd = 0
        self._bad_in_a_row = 0

    async def read(self, held: Sequence[Message]) -> None:
        """Act on ``held``, then on all that comes.

        Raises:
            OSError: The peer does not read what it is told.
        """
        for message in held:
            await self._take(message)
        while (data := await self._channel.receive()) is not None:
            if wait_seconds := self._messages.wait_seconds(self._now()):
                self._note_too_many()
                await asyncio.sleep(wait_seconds)
            if self._messages.is_flood:
                detail = "more messages came than a call can have"
                self._call.fail("wire_error", "too_many_errors", detail)
                return
            try:
                await self._take(self._dialect.decode(data))
            except WireError as error:
                if await self._count_bad(error):
                    return
            else:
                self._bad_in_a_row = 0
        self._call.gone(self._channel.departure)

    async def _count_bad(self, error: WireError) -> bool:
        """Count a bad message and tell the peer.

        Returns:
            Whether the call cannot go on.
        """
        metrics.WIRE_MESSAGES_BAD.labels(error.code).inc()
        self._note(error.code, error.message)
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= MAX_BAD_MESSAGES:
            self._call.fail("wire_error", "too_many_errors", error.message)
        elif error.code in FATAL_WIRE_CODES:
            self._call.fail("wire_error", error.code, error.message)
        else:
            await self._line.send(self._dialect.error(error.code, error.message, False))
            return False
        return True

    async def _take(self, message: Message) -> None:
        if self._messages.judge(self._now(), message) == "drop":
            metrics.dropped("doings")
            self._note_too_many()
            return
        match message:
            case Media(payload=payload, timestamp_ms=stamp_ms):
                await self._take_media(payload, stamp_ms)
            case Dtmf(digit=digit):
                await self._bot.press(digit)
            case PlaybackReached(name=name):
                self._bot.playout.played(name)
            case PlaybackCleared():
                self._bot.playout.cleared()
            case StreamStopped():
                self._call.gone("left")
            case Control(action=action):
                await self._control(action)
            case TextInput(text=text):
                await self._bot.read(text)
            case LanguageChoice(language=language):
                if not self._bot.choose_language(language):
                    detail = "language is none that the agent speaks"
                    await self._line.send(self._dialect.error("message_invalid", detail, False))
            case Ping():
                await self._line.send(self._dialect.pong())
            case Ignored(reason=reason):
                self._note_ignored(reason)
            case _:
                pass

    async def _take_media(self, payload: bytes, stamp_ms: int | None) -> None:
        now = self.last_media_at = self._now()
        if (odd := self._dialect.ignored["odd_length"]) != self._odd:
            self._odd = odd
            self._note_ignored("odd_length")
        length_ms = self._heard_format.duration_ms(len(payload))
        due_ms = self._clock.due_ms((now - self._started_at) * 1000, stamp_ms, length_ms)
        verdict = self._pace.judge(now, length_ms)
        if verdict != "keep":
            self._drop_media(flood=verdict == "flood")
        # What is said while the agent is told not to listen is not recorded either.
        elif not self.paused:
            self._call.journal.caller_audio(max(0.0, due_ms), payload)
            await self._bot.hear(payload)

    def _drop_media(self, *, flood: bool) -> None:
        metrics.MEDIA_DROPPED.labels("too_fast").inc()
        if flood:
            detail = "the audio came faster than twice real time"
            self._call.fail("wire_error", "too_many_errors", detail)
        detail = "the caller's audio came faster than real time; what was too much is left out"
        self._note("media_too_fast", detail)

    def _note_too_many(self) -> None:
        """The peer sends more than a call needs."""
        detail = "messages came faster than calls have them; some were left out or had to wait"
        self._note("messages_too_fast", detail)

    def _note_ignored(self, reason: str) -> None:
        metrics.WIRE_MESSAGES_IGNORED.labels(reason).inc()
        if reason in FAULTS:
            self._note(reason, FAULTS[reason])

    def _note(self, kind: str, detail: str) -> None:
        """Say once in a call what is wrong with what its peer sends."""
        if kind in self._noted:
            return
        self._noted.add(kind)
        logger.warning(f"call {self._call.session_id}: {kind}: {detail}")
        self._degraded(kind, detail)

    def _degraded(self, kind: str, detail: str) -> None:
        at_ms = (self._now() - self._started_at) * 1000
        self._call.emit(
            Degraded(at_ms=at_ms, stage="wire", kind=kind, provider=None, detail=detail)
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _control(self, action: ControlAction) -> None:
        if action == "end":
            self._call.end("client_end")
        elif action == "interrupt":
            await self._bot.interrupt()
        else:
            self.paused = action == "pause"
            self._bot.pause(self.paused)
