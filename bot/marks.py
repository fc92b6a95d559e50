"""What is to happen once the caller has heard so far, in order of place."""

import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from loguru import logger

Mark = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    """A mark that has not been reached."""

    position_ms: float
    number: int
    callback: Mark = field(compare=False)
    keep: bool = field(compare=False)


class Marks:
    """The marks of one call's speech that have not been reached.

    Positions are those of :class:`bot.playout.Playout`, which knows what has been heard. Marks
    at one place are reached in the order in which they were put there.
    """

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._furthest_ms = 0.0
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def next_ms(self) -> float | None:
        """Where the first one stands; None where there is none."""
        return self._waiting[0].position_ms if self._waiting else None

    def behind(self, queued_ms: float) -> float:
        """The place behind all that was marked and, up to ``queued_ms``, queued."""
        return max(queued_ms, self._furthest_ms)

    def add(self, callback: Mark, position_ms: float, *, keep: bool) -> None:
        """One more.

        Args:
            callback: What to await.
            position_ms: Where it stands.
            keep: Whether it outlives :meth:`cut`.
        """
        self._furthest_ms = max(position_ms, self._furthest_ms)
        heapq.heappush(self._waiting, _Waiting(position_ms, next(self._numbers), callback, keep))

    def cut(self, position_ms: float) -> None:
        """Forget all but those that must be called: they stand at ``position_ms`` now."""
        kept = sorted(mark for mark in self._waiting if mark.keep)
        self._waiting = [
            _Waiting(position_ms, next(self._numbers), mark.callback, True) for mark in kept
        ]
        self._furthest_ms = position_ms

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()

    async def fire(self) -> None:
        """The first one has been reached.

        Raises:
            OSError: The line is gone; likewise ``TimeoutError``.
        """
        callback = heapq.heappop(self._waiting).callback
        try:
            await callback()
        except (OSError, TimeoutError):
            raise
        except Exception:
            # Whatever goes wrong in one mark, the caller must go on hearing.
            logger.exception("a mark in the agent's speech failed")
