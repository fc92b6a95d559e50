"""What is done with an answer of which nobody wants more than its status."""

import asyncio
from contextlib import suppress
from typing import Final

import aiohttp

#: A little of a longer one is cheaper to read than another connection is to open.
MOST_BYTES: Final = 64 * 1024
MOST_SECONDS: Final = 1.0


async def leave_unread(response: aiohttp.ClientResponse) -> None:
    """Read what little is left of an answer, so that its connection can be used again.

    aiohttp closes the connection of one that is let go before its end. What becomes of the rest
    changes nothing of what the status has said, so nothing is raised.
    """
    left = MOST_BYTES
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(MOST_SECONDS):
            while left > 0:
                chunk = await response.content.readany()
                if not chunk:
                    return
                left -= len(chunk)
