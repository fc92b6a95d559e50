"""The callers of a soak, and what each of them knows of its call."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bench.soak.freezing import Frozen
from bench.soak.odd import PLAIN, Line, Manner, Owes
from simulators.caller.codec import PACKET_MS
from simulators.caller.leg import CallClosed
from simulators.caller.phrase import Phrase
from simulators.caller.playback import UNITS_PER_MS
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import AnswerRejected
from simulators.speech import Speech

#: What a caller's log says of a call that the caller ended.
HUNG_UP: Final = "the caller hung up"
#: Of a call that was not answered: where only its media socket was refused, the server may know
#: of a call that never began.
_PERHAPS: Final = Owes(least=0, sound=False, measured=False)
#: How long the server may write what a call that is over for its caller still owes.
_WRITTEN_SECONDS: Final = 2.0
#: No more calls than this are over in that time.
_LATELY: Final = 200


@dataclass(slots=True)
class PlacedCall:
    """One call as its caller saw it.

    Attributes:
        call_id: The carrier's; a caller who calls again may have the same.
        manner: How the caller behaved.
        owes: What is to be found of it where nobody kills the server.
        answered: The media socket was taken and ``start`` was sent.
        told_ms: How long it took to be refused.
        killed_at_ms: Age of the call when its server was killed, None where it was not.
        unread_ms: Of what it had sent by then, the server had not read so much.
        stopped: The server was asked to end while it was live; ``forced``: twice.
        near_kill: It was not wholly over when the server was killed, or had not wholly begun.
        disk_failed: Nothing could be written for a part of its life.
        over_at: When it was over for the caller (``time.monotonic()``).
        lasted_seconds: By a clock that does not jump; None while it goes on.
        sent_ms: Audio sent until the call ended, or until its server was killed.
        received_ms: Audio that came of the agent; ``heard_ms`` is what of it was played.
        cleared: The agent was interrupted: what was sent of it is not what is kept.
        hung_up: The caller ended the call.
        gaps_ms: Breaks within the agent's speech.
    """

    call_id: str
    manner: str = PLAIN.name
    owes: Owes = Owes()
    answered: bool = False
    refused: str = ""
    told_ms: float = 0.0
    killed_at_ms: float | None = None
    unread_ms: float = 0.0
    stopped: bool = False
    forced: bool = False
    near_kill: bool = False
    disk_failed: bool = False
    over_at: float | None = None
    lasted_seconds: float | None = None
    sent_ms: float = 0.0
    received_ms: float = 0.0
    heard_ms: float = 0.0
    cleared: bool = False
    hung_up: bool = False
    gaps_ms: Sequence[float] = ()

    @property
    def owed(self) -> Owes:
        """What is to be found of it, as things went."""
        if self.killed_at_ms is not None:
            return Owes()
        return self.owes if self.answered else _PERHAPS

    @property
    def expected(self) -> bool:
        """Whether there has to be a record of it."""
        return self.owed.least > 0

    @property
    def measured(self) -> bool:
        """Whether what it sent can be compared with what is kept, millisecond by millisecond."""
        return self.answered and self.owes.measured


@dataclass(slots=True)
class Callers:
    """Everybody who calls.

    Attributes:
        http: Base address of the server.
        phrases: What is said, ready to be sent.
    """

    http: str
    speech: Speech
    phrases: Sequence[Phrase]
    rng: random.Random
    placed: list[PlacedCall] = field(default_factory=list)
    _live: dict[int, tuple[PlacedCall, VobizCaller]] = field(default_factory=dict)
    _disk_fails: bool = False

    async def call(
        self, seconds: float, manner: Manner = PLAIN, call_id: str | None = None
    ) -> PlacedCall:
        """Talk for so long, unless the call ends before; never fails."""
        line = Line(self.http, self.speech, self.phrases, random.Random(self.rng.random()))
        caller = manner.caller(line, call_id)
        placed = PlacedCall(caller.call_id, manner.name, manner.owes, disk_failed=self._disk_fails)
        self.placed.append(placed)
        self._live[id(placed)] = (placed, caller)
        began = time.monotonic()
        try:
            await manner.place(caller, line)
            placed.answered = True
            await _talk(manner, caller, line, seconds)
        except (AnswerRejected, OSError) as error:
            placed.refused = type(error).__name__
            placed.told_ms = (time.monotonic() - began) * 1000
        finally:
            with contextlib.suppress(OSError):
                await caller.hang_up()
            placed.over_at = time.monotonic()
            placed.lasted_seconds = placed.over_at - began
            del self._live[id(placed)]
            _note(placed, caller)
        return placed

    @property
    def live(self) -> int:
        """Calls that are up."""
        return len(self._lines())

    def about_to_kill(self, frozen: Frozen) -> int:
        """Note what every live call had sent by then; returns how many there are."""
        live = self._lines()
        ago_ms = (time.monotonic() - frozen.at) * 1000
        for placed in self._unfinished():
            placed.near_kill = True
        for placed, caller in live:
            placed.killed_at_ms = caller.now_ms - ago_ms
            placed.sent_ms = caller.packets_sent_by(frozen.at) * PACKET_MS
            sent_bytes, _ = caller.bytes_on_wire
            unread = frozen.unread.get(caller.local_port, 0) / max(1, sent_bytes)
            placed.unread_ms = unread * caller.packets_sent * PACKET_MS
        return len(live)

    def about_to_stop(self, *, force: bool) -> int:
        """The server is asked to end, or forced to; returns how many calls are live."""
        live = self._lines()
        for placed, _ in live:
            placed.stopped = True
            placed.forced = force
        return len(live)

    @contextmanager
    def disk_fails(self) -> Iterator[None]:
        """Nothing can be written while the block runs."""
        self._disk_fails = True
        for placed in self._unfinished():
            placed.disk_failed = True
        try:
            yield
        finally:
            self._disk_fails = False

    def _unfinished(self) -> list[PlacedCall]:
        """Calls that the server may be writing: also those just over for their callers."""
        after = time.monotonic() - _WRITTEN_SECONDS
        return [
            *(placed for placed, _ in self._live.values()),
            *(each for each in self.placed[-_LATELY:] if (each.over_at or 0.0) > after),
        ]

    def _lines(self) -> list[tuple[PlacedCall, VobizCaller]]:
        return [(placed, caller) for placed, caller in self._live.values() if caller.live]


async def _talk(manner: Manner, caller: VobizCaller, line: Line, seconds: float) -> None:
    """Until the time is over, or the call."""
    talking = asyncio.create_task(manner.talk(caller, line))
    try:
        await asyncio.wait([talking], timeout=max(seconds, manner.least_seconds))
    finally:
        talking.cancel()
        try:
            await talking
        except asyncio.CancelledError:
            pass
        except BaseExceptionGroup as group:
            # The call, or its socket, ended while something was being done.
            _, others = group.split((CallClosed, OSError))
            if others is not None:
                raise others from None


def _note(placed: PlacedCall, caller: VobizCaller) -> None:
    playback = caller.playback
    if placed.killed_at_ms is None:
        placed.sent_ms = caller.packets_sent * PACKET_MS
    placed.received_ms = sum(each.length for each in playback.segments) / UNITS_PER_MS
    placed.heard_ms = sum(each.played for each in playback.segments) / UNITS_PER_MS
    placed.cleared = bool(playback.clears_ms)
    placed.hung_up = caller.close_reason == HUNG_UP
    placed.gaps_ms = [gap.length_ms for gap in caller.gaps()]
