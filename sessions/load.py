"""Whether the server keeps up, judged by how late things happen that have a time to happen at."""

from typing import Literal

from bot.media import Lateness

#: Lateness is judged by its mean over so long: one late turn of the loop is no overload.
WINDOW_SECONDS = 1.0
#: A server that was late is taken to be so until it has kept up for so long. With the window it
#: is back to normal within five seconds after the load has gone.
CALM_SECONDS = 4.0


class Congestion:
    """One kind of lateness, with a limit that is left at once and regained only after a while.

    Args:
        limit_ms: Mean lateness above which the server is overloaded.
    """

    def __init__(self, limit_ms: float) -> None:
        self._limit_seconds = limit_ms / 1000
        self._window_at = 0.0
        self._sum_seconds = 0.0
        self._count = 0
        self._over_until = 0.0

    def note(self, now: float, late_seconds: float) -> None:
        """Something happened ``late_seconds`` late at the monotonic time ``now``."""
        if now - self._window_at >= WINDOW_SECONDS:
            self._judge()
            self._window_at, self._sum_seconds, self._count = now, 0.0, 0
        self._sum_seconds += late_seconds
        self._count += 1

    def is_over(self, now: float) -> bool:
        """Whether it is too much, or has been lately."""
        return now < self._over_until

    def _judge(self) -> None:
        """Judge a window as of its own end: what was noted next may be minutes younger."""
        if self._count and self._sum_seconds > self._limit_seconds * self._count:
            self._over_until = self._window_at + WINDOW_SECONDS + CALM_SECONDS


class LoadMeter:
    """How late the event loop turns, and how late packets leave for the callers.

    Args:
        max_loop_lag_ms: See :class:`config.sections.ServerSettings`.
        max_frame_lateness_ms: Likewise.
        on_lag: Told of every turn's lateness in seconds.
        on_frame: Told of every packet's lateness in seconds.
    """

    def __init__(
        self,
        *,
        max_loop_lag_ms: float,
        max_frame_lateness_ms: float,
        on_lag: Lateness,
        on_frame: Lateness,
    ) -> None:
        self._loop = Congestion(max_loop_lag_ms)
        self._frames = Congestion(max_frame_lateness_ms)
        self._on_lag = on_lag
        self._on_frame = on_frame

    def loop_turned(self, now: float, late_seconds: float) -> None:
        """The loop came round to something that was due ``late_seconds`` ago."""
        self._loop.note(now, late_seconds)
        self._on_lag(now, late_seconds)

    def frame_sent(self, now: float, late_seconds: float) -> None:
        """A packet that waited to be due left ``late_seconds`` after that."""
        self._frames.note(now, late_seconds)
        self._on_frame(now, late_seconds)

    def trouble(self, now: float) -> Literal["loop_late", "frames_late"] | None:
        """``loop_late``, ``frames_late``, or None while the server keeps up."""
        if self._loop.is_over(now):
            return "loop_late"
        return "frames_late" if self._frames.is_over(now) else None
