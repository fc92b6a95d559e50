"""For how long this process stood still: what is measured in milliseconds tells nothing then."""

import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.01
#: A call in which the process stood still for longer may have been changed by that.
DISTURBED_MS = 50.0
#: How often such a call is placed in all.
_TRIES = 5


@dataclass
class Stillness:
    """What a thread saw that did nothing but look at the clock.

    It turns also while the event loop is busy: that one stands still is no excuse.
    """

    longest_ms: float = 0.0


@contextmanager
def watched() -> Iterator[Stillness]:
    """Look until the block ends."""
    seen, over = Stillness(), threading.Event()

    def look() -> None:
        before = time.monotonic()
        while not over.wait(_LOOK_SECONDS):
            now = time.monotonic()
            late_ms = (now - before - _LOOK_SECONDS) * 1000
            seen.longest_ms, before = max(seen.longest_ms, late_ms), now

    thread = threading.Thread(target=look, name="stillness")
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


async def undisturbed(place: Callable[[], Awaitable[T]], check: Callable[[T], None]) -> None:
    """Check what is measured in a call; in another one, where the process stood still in it.

    Raises:
        AssertionError: It is wrong, and nothing had disturbed the call, or too often.
    """
    for left in reversed(range(_TRIES)):
        with watched() as seen:
            found = await place()
        try:
            return check(found)
        except AssertionError:
            if not left or seen.longest_ms < DISTURBED_MS:
                raise
