"""Stand-ins that the bot's tests share."""

import asyncio
from dataclasses import dataclass, field

from bot.events import CallEvent
from bot.playout import Playout
from bot.reporter import CallReporter
from bot.speaker import Speaker

#: Mu-law at 8 kHz.
BYTES_PER_MS = 8


@dataclass
class FakeLine:
    """A line that keeps what it is sent, and answers as it is told.

    Attributes:
        packets: Each with the time it was sent, the time it is due, and its bytes.
        cleared_at: When ``clear`` came.
        checkpoints: Names, with the time they came.
        acks: Whether it will confirm.
        gone: Raised by everything once set.
    """

    packets: list[tuple[float, float, bytes]] = field(default_factory=list)
    cleared_at: list[float] = field(default_factory=list)
    checkpoints: list[tuple[float, str]] = field(default_factory=list)
    acks: bool = False
    gone: Exception | None = None

    async def send_audio(self, payload: bytes, due_at: float) -> None:
        """See :class:`bot.media.MediaSink`."""
        self._check()
        self.packets.append((asyncio.get_running_loop().time(), due_at, payload))

    async def clear(self, heard_until: float) -> bool:
        """See :class:`bot.media.MediaSink`."""
        self._check()
        self.cleared_at.append(heard_until)
        return self.acks

    async def checkpoint(self, name: str) -> bool:
        """See :class:`bot.media.MediaSink`."""
        self._check()
        self.checkpoints.append((asyncio.get_running_loop().time(), name))
        return self.acks

    def gaps(self) -> list[float]:
        """Silences the listener heard between packets, in seconds."""
        found: list[float] = []
        end: float | None = None
        for sent_at, due_at, payload in self.packets:
            starts = max(sent_at, due_at, end or 0.0)
            if end is not None and starts - end > 0.0005:
                found.append(starts - end)
            end = starts + len(payload) / BYTES_PER_MS / 1000
        return found

    @property
    def sent_ms(self) -> float:
        """How much was sent."""
        return sum(len(payload) for _, _, payload in self.packets) / BYTES_PER_MS

    def _check(self) -> None:
        if self.gone is not None:
            raise self.gone


def audio(duration_ms: float) -> bytes:
    """Mu-law that is not silence."""
    return b"\x55" * round(duration_ms * BYTES_PER_MS)


@dataclass
class Mouth:
    """A speaker on a fake line, with every event it reports and every queue that was full."""

    line: FakeLine
    playout: Playout
    speaker: Speaker
    reporter: CallReporter
    events: list[CallEvent]
    dropped: list[str]

    def of(self, kind: type[CallEvent]) -> list[CallEvent]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def make_mouth(*, acks: bool = False, lead_ms: int = 300) -> Mouth:
    """A mouth whose playout does not run yet."""
    line = FakeLine(acks=acks)
    playout = Playout(line, bytes_per_ms=BYTES_PER_MS, silence=b"\xff", lead_ms=lead_ms)
    dropped: list[str] = []
    reporter = CallReporter("en-IN", on_dropped=dropped.append)
    events: list[CallEvent] = []
    reporter.begin(events.append, asyncio.get_running_loop().time())
    return Mouth(line, playout, Speaker(playout, reporter), reporter, events, dropped)
