"""Times the full runs of Python's garbage collector: while one lasts, no call goes on."""

import gc
import time
from collections import deque

_OLDEST_GENERATION = 2
_MAX_WAITING = 1_000


class CollectorWatch:
    """Takes note of each run through all objects, and says so when it is asked.

    A run may begin wherever something is allocated, with any lock held: so nothing is told then.
    """

    def __init__(self) -> None:
        self._began_at = 0.0
        self._taken: deque[float] = deque(maxlen=_MAX_WAITING)

    def start(self) -> None:
        """Watch the process's collector."""
        gc.callbacks.append(self._note)

    def stop(self) -> None:
        """Watch no more; a second time does nothing."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def seconds(self) -> list[float]:
        """How long each run took since this was asked last; the latest thousand of them."""
        count = len(self._taken)
        return [self._taken.popleft() for _ in range(count)]

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] != _OLDEST_GENERATION:
            return
        if phase == "start":
            self._began_at = time.monotonic()
        else:
            self._taken.append(time.monotonic() - self._began_at)
