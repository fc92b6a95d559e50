"""When the machine had no time for the callers and the vendors, who all live in one process."""

import asyncio
from typing import Final

#: How often it is looked at.
_LOOK_SECONDS: Final = 0.02
#: So late a look may be: the loop does other work meanwhile.
_USUAL_SECONDS: Final = 0.05


class Stillness:
    """Measures for how long the event loop stood still; runs until it is cancelled.

    What callers hear and when, and what vendors do in time, is known as exactly as this loop
    runs: a call during which it stood still tells nothing sure of the server.
    """

    def __init__(self) -> None:
        self.total_seconds = 0.0

    async def watch(self) -> None:
        """Look for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)
            late = loop.time() - due
            if late > _USUAL_SECONDS:
                self.total_seconds += late
