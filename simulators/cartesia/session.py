"""Cartesia's WebSocket: requests in, sorted to their contexts."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from simulators.cartesia import messages
from simulators.cartesia.context import Context, Settings
from simulators.cartesia.request import Generation, InvalidRequest, bad_request, parse_generation
from simulators.connection import Connection


class Session:
    """One client, with its contexts.

    Args:
        settings: The simulator.
        version: API version that the client asked for; decides the shape of errors.
        ended: Called with the id of a context that is over.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        connection: Connection,
        version: str,
        ended: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._version = version
        self._on_ended = ended
        self._contexts: dict[str, Context] = {}
        self._ended: set[str] = set()

    async def run(self, websocket: web.WebSocketResponse, *, idle_timeout_seconds: float) -> None:
        """Serve until either side closes, or nothing comes for too long."""
        try:
            while not websocket.closed:
                async with asyncio.timeout(idle_timeout_seconds):
                    message = await websocket.receive()
                if self._connection.is_deaf:
                    await self._connection.lie_low()
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
                elif message.type is WSMsgType.BINARY:
                    problem = bad_request("Only text messages are understood.")
                    await self._refuse(problem, None)
                else:
                    return
        except TimeoutError:
            await self._connection.close(1000, "connection idle timeout")
        finally:
            for context in list(self._contexts.values()):
                await context.aclose()

    async def _take(self, text: str) -> None:
        self._connection.read(text)
        context_id = None
        try:
            try:
                body = msgspec.json.decode(text)
            except msgspec.DecodeError as error:
                raise bad_request(f"Not JSON: {error}") from error
            if isinstance(body, dict) and isinstance(body.get("context_id"), str):
                context_id = body["context_id"]
            if isinstance(body, dict) and "cancel" in body:
                self._cancel(body)
            else:
                await self._generate(parse_generation(body, "websocket"))
        except InvalidRequest as problem:
            await self._refuse(problem, context_id)

    async def _refuse(self, problem: InvalidRequest, context_id: str | None) -> None:
        self._settings.violate(f"connection {self._connection.index}: {problem}")
        await self._connection.say(messages.error(problem, self._version, context_id))

    def _cancel(self, body: dict[str, Any]) -> None:
        if body.get("cancel") is not True or set(body) != {"cancel", "context_id"}:
            raise bad_request("A cancel has context_id and cancel: true only.")
        context = self._contexts.get(body["context_id"])
        if context is not None:
            context.cancel()

    async def _generate(self, generation: Generation) -> None:
        context_id = generation.context_id
        context = self._contexts.get(context_id)
        if context is None and context_id in self._ended:
            await self._late(generation)
            return
        if context is None:
            if not generation.transcript and not generation.continues:
                raise bad_request("transcript must not be empty.")
            context = Context(
                number=self._settings.next_tone(),
                first=generation,
                connection=self._connection,
                version=self._version,
                settings=self._settings,
                on_end=lambda: self._end(context_id),
            )
            self._contexts[context_id] = context
        context.add(generation)

    async def _late(self, generation: Generation) -> None:
        """Input for a context that is done, cancelled or expired.

        An empty last input only says that no more comes; a client can't know that the
        context expired a moment before.
        """
        if generation.transcript or generation.continues:
            raise InvalidRequest(
                "Context closed",
                f"The context {generation.context_id} is over; use a new context_id.",
                error_code="context_closed",
            )
        await self._connection.say(messages.done(generation.context_id))

    def _end(self, context_id: str) -> None:
        self._contexts.pop(context_id, None)
        self._ended.add(context_id)
        self._on_ended(context_id)
