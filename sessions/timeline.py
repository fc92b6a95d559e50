"""Lays the packets of a journal on one time line, one leg at a time.

No sample is lost or repeated, save what a cut took away:

* The caller's packets come late and in bursts, never early. Where a packet belongs is told by
  the most punctual of those that follow within ``LOOKAHEAD_MS``: late ones move back to it, and
  only a pause that nobody catches up with becomes silence.
* The agent's packets carry the time they are due, as the sender computed it.
* A leg follows its clock to within ``TOLERANCE_MS``; what is smaller is closed up. A sender whose
  clock is fast is laid end to end, and so drifts by what its clock does.
"""

import time
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from serializer.codecs import AudioFormat
from sessions.journal_format import AGENT, CALLER, CUT, FileDamage
from sessions.journal_frames import read_frames

LOOKAHEAD_MS = 10_000.0
TOLERANCE_MS = 20.0
#: Longest call that is believed; a time beyond it is a damaged frame.
LONGEST_MS = 24 * 3600 * 1000.0


@dataclass
class Leg:
    """Where each packet of a leg lies, in order; about 20 bytes per packet.

    Attributes:
        starts: First sample of each packet on the time line.
        offsets: Where its bytes begin in the journal's media file.
        counts: How many samples it has.
    """

    format: AudioFormat
    starts: "array[int]" = field(default_factory=lambda: array("q"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    counts: "array[int]" = field(default_factory=lambda: array("i"))

    @property
    def end(self) -> int:
        """The sample after the last."""
        return self.starts[-1] + self.counts[-1] if self.starts else 0

    def place(self, at_ms: float, offset: int, count: int) -> None:
        """Lay a packet at ``at_ms``, or at the end of the last where that is nearly the same."""
        due, end = self._sample(at_ms), self.end
        tolerance = self._sample(TOLERANCE_MS)
        self.starts.append(due if due - end >= tolerance else end)
        self.offsets.append(offset)
        self.counts.append(count)

    def cut(self, at_ms: float) -> None:
        """Take away everything from ``at_ms`` on."""
        at = max(0, self._sample(at_ms))
        keep = bisect_left(self.starts, at)
        del self.starts[keep:], self.offsets[keep:], self.counts[keep:]
        if keep:
            self.counts[-1] = min(self.counts[-1], at - self.starts[-1])

    def _sample(self, at_ms: float) -> int:
        return round(at_ms * self.format.rate_hz / 1000)


def lay_out(
    folder: Path, caller: AudioFormat, agent: AudioFormat, damage: FileDamage | None = None
) -> tuple[Leg, Leg]:
    """Both legs of the journal in ``folder``: the caller's, and what was heard of the agent's.

    Args:
        damage: Counts what could not be read.
    """
    damage = FileDamage() if damage is None else damage
    arrivals: array[float] = array("d")
    raw, heard = Leg(caller), Leg(agent)
    for kind, at_ms, offset, length in read_frames(folder, damage):
        if not 0.0 <= at_ms <= LONGEST_MS:
            damage.lost_bytes += length
            continue
        if kind == CALLER and (count := length // caller.sample_bytes):
            arrivals.append(at_ms)
            raw.offsets.append(offset)
            raw.counts.append(count)
        elif kind == AGENT and (count := length // agent.sample_bytes):
            heard.place(at_ms, offset, count)
        elif kind == CUT:
            heard.cut(at_ms)
    spoken = Leg(caller)
    times = smooth(arrivals, raw.counts, caller.rate_hz)
    for i, at_ms in enumerate(times):
        spoken.place(at_ms, raw.offsets[i], raw.counts[i])
        breathe(i)
    return spoken, heard


def breathe(step: int) -> None:
    """Now and then let other threads run: calls are being served beside this work.

    Python alone switches threads every 5 ms, and each turn of the loop would wait that long.
    """
    if step % 256 == 0:
        time.sleep(0)


def smooth(arrivals: "array[float]", counts: Iterable[int], rate_hz: int) -> "array[float]":
    """Where packets belong that arrived at these times (ms) with so many samples each.

    A packet's delay is its arrival less the audio before it. Its place is the audio before it
    plus the least delay among those that arrive within the look-ahead. A packet that seems to
    precede the one before it is laid behind that one by :meth:`Leg.place`.
    """
    before: array[float] = array("d")
    total_ms = 0.0
    for count in counts:
        before.append(total_ms)
        total_ms += count * 1000 / rate_hz
    # Going backwards, the candidates for the least delay wait in order (a monotonic queue).
    times = array("d", bytes(8 * len(arrivals)))
    queue: deque[int] = deque()
    for i in range(len(arrivals) - 1, -1, -1):
        delay = arrivals[i] - before[i]
        while queue and arrivals[queue[-1]] - before[queue[-1]] >= delay:
            queue.pop()
        queue.append(i)
        horizon = arrivals[i] + LOOKAHEAD_MS
        # The least stands first; it leaves once it is out of sight.
        while arrivals[queue[0]] > horizon:
            queue.popleft()
        least = queue[0]
        times[i] = max(0.0, before[i] + arrivals[least] - before[least])
        breathe(i)
    return times
