"""Whose turn it is to have the services of a call built, and who is heard before that.

Building a call takes the loop for milliseconds, and starting its pipeline takes it for as long
again in many small pieces. Where many calls begin at once, they are built one after the other,
and not while somebody waits at a door: who gets no line is told so at once, and who gets one
hears the greeting, which waits for no service.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

#: Turns of the loop from a request that the system has taken to its handler: the connection, its
#: first bytes, the request's task (four with uvloop and uvicorn), and some to spare.
LOOKS: Final = 8
#: How long a call that could be built waits for the doors, from when it first could. It is the
#: most that requests without end cost it.
LONGEST_WAIT_SECONDS: Final = 0.15


class BuildingTurns:
    """Has calls built one at a time, those at the doors first.

    Args:
        longest_wait_seconds: How long the doors may keep a call.
    """

    def __init__(self, *, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> None:
        self.longest_wait_seconds = longest_wait_seconds
        self._lock = asyncio.Lock()
        self._at_doors = 0
        self._doors_empty = asyncio.Event()
        self._doors_empty.set()

    @contextmanager
    def heard_first(self) -> Iterator[None]:
        """Somebody at a door is being answered, for as long as the block lasts."""
        self._at_doors += 1
        self._doors_empty.clear()
        try:
            yield
        finally:
            self._at_doors -= 1
            if not self._at_doors:
                self._doors_empty.set()

    async def take(self, build: Callable[[], Awaitable[None]], needed: Callable[[], bool]) -> None:
        """Build a call when it is its turn, if that is still needed then.

        Where nobody is at a door and no other call is being built, that is some turns of the
        loop from now.
        """
        until = asyncio.get_running_loop().time() + self.longest_wait_seconds
        async with self._lock:
            if not needed():
                return
            await self._quiet_doors(until)
            if needed():
                await build()

    async def _quiet_doors(self, until: float) -> None:
        """Wait until nobody is at a door, nor about to be, or until it is time."""
        loop, looked = asyncio.get_running_loop(), 0
        while looked < LOOKS:
            await asyncio.sleep(0)
            looked += 1
            if self._at_doors and loop.time() < until:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._doors_empty.wait()
                looked = 0
