"""Receiving with a deadline, so that a test fails instead of waiting for ever."""

import asyncio

from websockets.asyncio.client import ClientConnection

_DEADLINE_SECONDS = 30


async def one(client: ClientConnection) -> str | bytes:
    """The next frame.

    Raises:
        TimeoutError: None came.
        ConnectionClosed: The other end closed.
    """
    async with asyncio.timeout(_DEADLINE_SECONDS):
        return await client.recv()
