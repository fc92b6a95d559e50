"""Anthropic's Messages API."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from aiohttp import web

from simulators.anthropic.reply import (
    MessageRequest,
    Replies,
    Reply,
    choose,
    closing,
    contents,
    error_body,
    error_event,
    opening,
)
from simulators.anthropic.request import InvalidRequest, check_request
from simulators.base import Simulator, json_response, new_id, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection

_GARBAGE: Final = b"event: content_block_delta\ndata: {not json\n\n"
_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicSimulator(Simulator):
    """Anthropic.

    Args:
        replies: What is answered.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How requests are treated.
        script: How the first requests are treated.

    Attributes:
        asked: The valid requests, in order.
    """

    vendor: ClassVar[str] = "anthropic"

    def __init__(
        self,
        *,
        replies: Replies = ("Yes, I can help you with that.",),
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self.replies = replies
        self.asked: list[MessageRequest] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """Messages."""
        return [self.door("POST", "/v1/messages", self._message)]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """An error as Anthropic words it."""
        return self._error(status, "simulated", headers)

    def _error(self, status: int, text: str, headers: Mapping[str, str]) -> web.Response:
        body = error_body(_KINDS.get(status, "api_error"), text)
        return json_response(
            body, status=status, headers={"request-id": body["request_id"], **headers}
        )

    async def _message(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        asked = self._accept(request, connection)
        reply = choose(self.replies, asked)
        if connection.behaviour.empty:
            reply = replace(reply, text="", tool_uses=())
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                "request-id": new_id(),
            }
        )
        await response.prepare(request)
        connection.accepted()
        await self._stream(connection, response, asked, reply)
        return response

    def _accept(self, request: web.Request, connection: Connection) -> MessageRequest:
        headers = connection.received.headers
        key = headers.get("x-api-key", "")
        if not key or (self.api_key is not None and key != self.api_key):
            self.violate(f"request {connection.index}: no valid key")
            refuse(self._error(401, "invalid x-api-key", {}))
        try:
            if "anthropic-version" not in headers:
                raise InvalidRequest("anthropic-version: header is required")
            if request.content_type != "application/json":
                raise InvalidRequest(f"Unsupported content type: {request.content_type}")
            try:
                body = check_request(connection.received.json())
            except ValueError as error:
                raise InvalidRequest(str(error)) from error
            if body.get("stream") is not True:
                raise InvalidRequest("stream: only streams are simulated")
        except InvalidRequest as error:
            self.violate(f"request {connection.index}: {error}")
            refuse(self._error(400, str(error), {}))
        asked = MessageRequest(len(self.asked), body)
        self.asked.append(asked)
        return asked

    async def _stream(
        self,
        connection: Connection,
        response: web.StreamResponse,
        asked: MessageRequest,
        reply: Reply,
    ) -> None:
        behaviour = connection.behaviour
        await asyncio.sleep(behaviour.first_result_delay_ms / 1000)
        await _write(connection, response, opening(asked))
        for _ in range(behaviour.garbage_frames):
            await _write(connection, response, _GARBAGE)
        for sent, event in enumerate([b"", *contents(reply)]):
            await _write(connection, response, event)
            if reply.drop_after_chunks == sent:
                connection.drop()
                return
            if reply.end_after_chunks == sent:
                return
            if reply.stall_after_chunks == sent:
                connection.silent = True
            if reply.error_after_chunks == sent or connection.due_error():
                await _write(connection, response, error_event(reply.error_type))
                return
        await _write(connection, response, closing(reply))


async def _write(connection: Connection, response: web.StreamResponse, event: bytes) -> None:
    if connection.silent:
        await connection.lie_low()
    if connection.behaviour.odd_frames:
        cut = len(event) // 2
        await response.write(event[:cut])
        # Long enough for the other end's loop to read one half before the next is sent.
        await asyncio.sleep(0.002)
        event = event[cut:]
    await response.write(event)
    connection.sent(len(event))
