"""Whether a caller's audio comes in real time, and what to do where it does not."""

from typing import Literal

#: Caller audio that may come ahead of real time before packets are dropped.
MAX_AHEAD_MS = 2000.0
#: Audio that comes over this many times faster than real time ...
FLOOD_RATE = 2.0
#: ... for so long is no call any more.
FLOOD_SECONDS = 10

Verdict = Literal["keep", "drop", "flood"]


class MediaPace:
    """Judges each packet by when it came and how much audio has come before it.

    Args:
        started_at: Loop time at which the audio began.
    """

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._taken_ms = 0.0
        self._window_at = started_at
        self._window_ms = 0.0
        self._fast_seconds = 0

    def judge(self, now: float, length_ms: float) -> Verdict:
        """What to do with a packet of ``length_ms`` that comes at loop time ``now``."""
        if self._is_flood(now, length_ms):
            return "flood"
        elapsed_ms = (now - self._started_at) * 1000
        # A pause in the stream is no credit for a burst later.
        self._taken_ms = max(self._taken_ms, elapsed_ms - MAX_AHEAD_MS)
        if self._taken_ms > elapsed_ms + MAX_AHEAD_MS:
            return "drop"
        self._taken_ms += length_ms
        return "keep"

    def _is_flood(self, now: float, length_ms: float) -> bool:
        """Count the whole seconds in a row in which too much came."""
        seconds = int(now - self._window_at)
        if seconds >= 1:
            fast = seconds == 1 and self._window_ms > FLOOD_RATE * 1000
            self._fast_seconds = self._fast_seconds + 1 if fast else 0
            self._window_at += seconds
            self._window_ms = 0.0
        self._window_ms += length_ms
        return self._fast_seconds >= FLOOD_SECONDS
