"""Threads for models that run on this machine: few, with a bound on who waits for them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


class WorkersBusyError(Exception):
    """So many wait already that another would get its turn too late."""


class Workers:
    """A few threads, shared by all calls of the process.

    Args:
        name: For the threads' names.
        count: Of the threads.
        most: Tasks that run or wait at the same time.
    """

    def __init__(self, name: str, *, count: int, most: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(most)

    async def run(self, task: Callable[[], R], timeout_seconds: float) -> R:
        """What ``task`` returns or raises, run in a thread.

        A task that nobody waits for any more is not begun; one that runs goes on to its end, and
        keeps its place until then.

        Raises:
            WorkersBusyError: There is no place.
            TimeoutError: It took longer than this, waiting included.
        """
        if not self._places.acquire(blocking=False):
            raise WorkersBusyError
        job = self._executor.submit(task)
        job.add_done_callback(lambda _: self._places.release())
        async with asyncio.timeout(timeout_seconds):
            return await asyncio.wrap_future(job)
