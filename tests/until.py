"""How tests wait for what tasks, threads and other processes bring about."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_TICK_SECONDS = 0.01


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until ``condition`` holds; it is looked at again every few milliseconds.

    Raises:
        TimeoutError: It does not hold in time.
    """
    async with asyncio.timeout(seconds):
        # Threads and processes set it as well as tasks: there is no one event to wait for.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def undisturbed(seconds: float) -> AsyncIterator[None]:
    """A deadline for what must be done soon, whatever the machine does meanwhile.

    Only time in which the loop was served counts: where it stood still for half a second, that
    was one tick.

    Raises:
        TimeoutError: The block was not over in time.
    """

    async def count() -> None:
        for _ in range(round(seconds / _TICK_SECONDS)):
            await asyncio.sleep(_TICK_SECONDS)
        limit.reschedule(asyncio.get_running_loop().time())

    async with asyncio.timeout(None) as limit:
        counting = asyncio.create_task(count())
        try:
            yield
        finally:
            counting.cancel()
            await asyncio.wait([counting])
