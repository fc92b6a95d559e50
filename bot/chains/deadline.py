"""A deadline that is set anew for each thing that is awaited."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls ``on_time_up`` once, so long after it was last set.

    Args:
        on_time_up: Told how many seconds it was set to.
    """

    def __init__(self, on_time_up: Callable[[float], object]) -> None:
        self._on_time_up = on_time_up
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """Whether something is awaited."""
        return self._timer is not None

    def set(self, seconds: float) -> None:
        """Something has to come within ``seconds`` from now; what was set before is void."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_is_up, seconds)

    def stop(self) -> None:
        """Nothing is awaited any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self, seconds: float) -> None:
        self._timer = None
        self._on_time_up(seconds)
