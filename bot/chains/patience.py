"""A deadline that moves on whenever there is progress."""

import asyncio
from collections.abc import Callable


class Patience:
    """Calls ``on_end`` when nothing has come for so long; cheap to tell of each progress.

    Args:
        seconds: How long.
        on_end: Called once; :meth:`progress` begins anew.
    """

    def __init__(self, seconds: float, on_end: Callable[[], None]) -> None:
        self.seconds = seconds
        self._on_end = on_end
        self._progress_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def progress(self) -> None:
        """Something came, or is expected from now on."""
        self._progress_at = _now()
        if self._timer is None:
            self._look_in(self.seconds)

    def stop(self) -> None:
        """Nothing is expected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        left = self._progress_at + self.seconds - _now()
        if left > 0.001:
            self._look_in(left)
        else:
            self._on_end()


def _now() -> float:
    return asyncio.get_running_loop().time()
