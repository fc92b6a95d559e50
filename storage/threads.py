"""A few threads of a store's own, and a deadline for what runs in them.

The default executor of the loop is shared with name lookups and others; a store that hangs
must not take it along.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from config.errors import StorageError

P = ParamSpec("P")
T = TypeVar("T")


class StoreThreads:
    """Runs blocking calls away from the loop.

    Args:
        name: Prefix of the threads' names.
        size: How many run at once; more wait their turn within their own deadline.
    """

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(
        self, deadline_seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``call`` in a thread.

        The thread cannot be stopped at the deadline: ``call`` needs time limits of its own,
        so that it ends soon after.

        Raises:
            StorageError: ``storage_unavailable`` at the deadline.
        """
        future = asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: call(*args, **kwargs)
        )
        try:
            async with asyncio.timeout(deadline_seconds):
                return await future
        except TimeoutError:
            message = f"{self._name} gave no answer in {deadline_seconds:g} s"
            raise StorageError("storage_unavailable", message) from None

    def close(self) -> None:
        """Start nothing more; calls under way end in their own time."""
        self._pool.shutdown(wait=False, cancel_futures=True)
