"""Sends a reply event by event, at its pace, and as badly as its script wants."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from simulators.connection import Connection
from simulators.openai.reply import Reply
from simulators.openai.stream import DONE, Completion, error_event, split_point

#: Long enough for the other end's loop to read one half of an event before the next is sent.
_SPLIT_SECONDS: Final = 0.002
_GARBAGE: Final = b"data: {not json\n\n"


class Delivery:
    """Sends one reply.

    Args:
        tokens_per_second: Pace of a reply that has none of its own.
        wait_first: Waits as long as is wanted before the first token.
    """

    def __init__(
        self,
        connection: Connection,
        response: web.StreamResponse,
        reply: Reply,
        tokens_per_second: float | None,
        wait_first: Callable[[Connection, Reply], Awaitable[None]],
    ) -> None:
        self._wait_first = wait_first
        self._connection = connection
        self._response = response
        self._reply = reply
        speed = connection.behaviour.speed or 1.0
        rate = reply.tokens_per_second or tokens_per_second
        self._step_seconds = 1 / (rate * speed) if rate else 0.0

    async def run(self, completion: Completion) -> None:
        """Send everything, or as much as the script lets through."""
        await self._wait_first(self._connection, self._reply)
        for _ in range(self._connection.behaviour.garbage_frames):
            await self._write(_GARBAGE)
        await self._write(completion.opening())
        if not await self._contents(completion):
            return
        await self._write(completion.closing())
        if completion.wants_usage and self._reply.sends_usage:
            await self._write(completion.usage())
        if self._reply.sends_done:
            await self._write(DONE)

    async def _contents(self, completion: Completion) -> bool:
        began = time.monotonic()
        sent = 0
        if await self._stopped_after(sent):
            return False
        for event in completion.contents():
            wait_seconds = began + sent * self._step_seconds - time.monotonic()
            if wait_seconds > 0:
                await asyncio.sleep(wait_seconds)
            await self._write(event)
            sent += 1
            if await self._stopped_after(sent):
                return False
        return True

    async def _stopped_after(self, sent: int) -> bool:
        reply, connection = self._reply, self._connection
        if reply.end_after_chunks == sent:
            return True
        if reply.drop_after_chunks == sent:
            connection.drop()
            return True
        if reply.stall_after_chunks == sent:
            connection.silent = True
        if reply.error_after_chunks == sent or connection.due_error():
            await self._write(error_event())
            return True
        return False

    async def _write(self, event: bytes) -> None:
        connection = self._connection
        if connection.silent:
            await connection.lie_low()
        if self._reply.comments:
            await self._response.write(b": keep-alive\n\n")
        if self._reply.split_utf8 or connection.behaviour.odd_frames:
            cut = split_point(event)
            await self._response.write(event[:cut])
            await asyncio.sleep(_SPLIT_SECONDS)
            event = event[cut:]
        await self._response.write(event)
        connection.sent(len(event))
