"""How tests wait for what tasks, threads and other processes bring about."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until ``condition`` holds; it is looked at again every few milliseconds.

    Raises:
        TimeoutError: It does not hold in time.
    """
    async with asyncio.timeout(seconds):
        # Threads and processes set it as well as tasks: there is no one event to wait for.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
