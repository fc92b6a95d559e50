"""When a packet of the caller's was due, by the time that its sender wrote on it.

Packets come late and in bursts, and some never come. Of a burst after a stalled network, the
arrivals alone do not tell where packets are missing; the sender's times do, where they keep
step with the sound. Their epoch and clock are the sender's own: only differences are believed.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

#: The most punctual packet within so much of the sender's time tells how both clocks stand.
WINDOW_MS: Final = 10_000.0
#: Lateness that is believed; more is a clock that was set.
LONGEST_LATE_MS: Final = 10_000.0
#: Times may lag the sound that was sent by so much: senders stamp packets, not samples.
SLACK_MS: Final = 60.0
#: No clock in milliseconds shows more (the year 5138); larger numbers would lose their digits.
LATEST_MS: Final = 1e14
#: Sound that may have waited before a stream's ``start``.
LONGEST_BURST_SECONDS: Final = 5.0
#: Packets of a window, and more than any sender sends: one each 20 ms.
MAX_OFFSETS: Final = 1000
#: After so many contradictions the sender's times are not looked at for a while.
MAX_DOUBTS: Final = 5
DOUBT_MS: Final = 10_000.0


class SenderClock:
    """Judges the times of one stream, in milliseconds."""

    def __init__(self) -> None:
        self._doubts = 0
        self._believe_at_ms = float("-inf")
        self._offsets: deque[tuple[float, float]] = deque(maxlen=MAX_OFFSETS)
        self._last_ms = self._sound_until_ms = float("-inf")

    def due_ms(self, arrived_ms: float, stamp_ms: float | None, length_ms: float) -> float:
        """When a packet was due: its arrival, or earlier where the sender says so plausibly.

        Never runs backwards, as long as arrivals do not.

        Args:
            arrived_ms: When it came, on our clock.
            stamp_ms: What its sender wrote on it, None for nothing.
            length_ms: Of its sound.
        """
        if stamp_ms is None or not 0 <= stamp_ms <= LATEST_MS or arrived_ms < self._believe_at_ms:
            # What was learnt before is old by the time that the sender is believed again.
            self._forget()
            return arrived_ms
        if self._is_doubtful(stamp_ms):
            self._doubt(arrived_ms)
        due_ms = stamp_ms + self._offset(arrived_ms - stamp_ms, stamp_ms)
        if arrived_ms - due_ms > LONGEST_LATE_MS:
            self._doubt(arrived_ms)
            due_ms = stamp_ms + self._offset(arrived_ms - stamp_ms, stamp_ms)
        self._last_ms = stamp_ms
        self._sound_until_ms = max(self._sound_until_ms, stamp_ms) + length_ms
        return due_ms

    def _is_doubtful(self, stamp_ms: float) -> bool:
        """Whether it runs backwards, or more slowly than the sound that was sent."""
        return stamp_ms < self._last_ms or stamp_ms < self._sound_until_ms - SLACK_MS

    def _doubt(self, arrived_ms: float) -> None:
        self._forget()
        self._doubts += 1
        if self._doubts >= MAX_DOUBTS:
            self._doubts, self._believe_at_ms = 0, arrived_ms + DOUBT_MS

    def _offset(self, offset_ms: float, stamp_ms: float) -> float:
        """The least offset in sight (a monotone queue); packets come late and never early."""
        queue = self._offsets
        while queue and queue[-1][1] >= offset_ms:
            queue.pop()
        queue.append((stamp_ms, offset_ms))
        while queue[0][0] < stamp_ms - WINDOW_MS:
            queue.popleft()
        return queue[0][1]

    def _forget(self) -> None:
        self._offsets.clear()
        self._last_ms = self._sound_until_ms = float("-inf")


def spoken_since(arrivals: Iterable[tuple[float, float]], first_at: float) -> float:
    """When sound began that was held back and then came faster than it can be spoken.

    Args:
        arrivals: When each packet came, in seconds, and how many seconds of sound it has.
        first_at: When the first message came.

    Returns:
        The time at which all of it could have been spoken before it came;
        ``LONGEST_BURST_SECONDS`` before ``first_at`` at the earliest.
    """
    began, before = first_at, 0.0
    for arrived_at, seconds in arrivals:
        began = min(began, arrived_at - before)
        before += seconds
    return max(began, first_at - LONGEST_BURST_SECONDS)
