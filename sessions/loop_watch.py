"""Watches the event loop: how late it turns, and where it stands when it does not turn at all."""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from itertools import islice
from types import FrameType

from loguru import logger

from bot.media import Lateness

TICK_SECONDS = 0.1
#: A loop that has not turned for so long is blocked: no call of the process goes on.
BLOCKED_SECONDS = 0.25


class LoopWatch:
    """Measures the loop that starts it, and has a thread look on from outside.

    The loop ticks ten times a second. Where a tick is missing, the thread logs once what the
    loop's thread is doing; when the loop turns again, how long that took. Code that holds the
    interpreter as well (a C extension) can be told of only afterwards.

    Args:
        on_tick: Told the monotonic time and by how many seconds the tick was late.
        on_blocked: Told when the loop turns again after it was blocked, and for how long it was.
        blocked_seconds: See ``BLOCKED_SECONDS``.
    """

    def __init__(
        self,
        on_tick: Lateness,
        on_blocked: Callable[[float], None],
        *,
        blocked_seconds: float = BLOCKED_SECONDS,
    ) -> None:
        self._on_tick = on_tick
        self._on_blocked = on_blocked
        self._blocked_seconds = blocked_seconds
        self._due_at = 0.0
        self._watched_thread = 0
        self._told = False
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the running loop."""
        self._watched_thread = threading.get_ident()
        self._tick_again()
        self._thread = threading.Thread(target=self._look_on, name="loop-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join()

    def _tick_again(self) -> None:
        self._due_at = time.monotonic() + TICK_SECONDS
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        late_seconds = max(0.0, now - self._due_at)
        self._on_tick(now, late_seconds)
        if late_seconds > self._blocked_seconds:
            logger.warning(f"the event loop was blocked for {late_seconds * 1000:.0f} ms")
            self._on_blocked(late_seconds)
        # In this order, and looked at in the other: what is over is not told of again.
        self._tick_again()
        self._told = False

    def _look_on(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            if self._told:
                continue
            late_seconds = time.monotonic() - self._due_at
            if late_seconds > self._blocked_seconds:
                self._told = True
                self._tell(late_seconds)

    def _tell(self, late_seconds: float) -> None:
        frame = sys._current_frames().get(self._watched_thread)
        if frame is not None:
            stack = _stack(frame)
            late_ms = late_seconds * 1000
            logger.warning(f"the event loop is blocked since {late_ms:.0f} ms, by:\n{stack}")


def _stack(frame: FrameType) -> str:
    """As :func:`traceback.format_stack`, which keeps the source of every file that it names.

    A loop is held up in ever other places: that was 5 MB after ten of them, for good.
    """
    places = [
        traceback.FrameSummary(
            at.f_code.co_filename,
            number,
            at.f_code.co_name,
            lookup_line=False,
            line=_line(at.f_code.co_filename, number),
        )
        for at, number in traceback.walk_stack(frame)
    ]
    return "".join(traceback.StackSummary.from_list(places[::-1]).format())


def _line(path: str, number: int) -> str:
    """One line of a file, counted from 1; nothing where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            return next(islice(source, number - 1, None), "")
    except OSError:
        return ""
