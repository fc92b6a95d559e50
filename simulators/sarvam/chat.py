"""Sarvam's chat completions: OpenAI's protocol, with some parameters and models of its own.

As docs.sarvam.ai has it (chat completions v1 and v2); fields that it doesn't know are refused.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from simulators.base import json_response, names
from simulators.connection import Connection
from simulators.openai.reply import ChatRequest, Replies, choose
from simulators.openai.request import InvalidRequest, check_request
from simulators.openai.stream import DONE, Completion, error_event, split_point

MODELS_BY_VERSION: Final = {
    "v1": names("sarvam-105b sarvam-105b-conversations"),
    "v2": names("gemma4 glm5.3 deepseekv4.1-flash"),
}
_LACKING: Final = names("stream_options max_completion_tokens service_tier")
_EFFORTS: Final = ("low", "medium", "high", "max", None)
_OWN: Final = frozenset({"wiki_grounding"})
_GARBAGE: Final = b"data: {not json\n\n"


class ChatDesk:
    """Answers chats.

    Args:
        replies: What is answered.
        refuse: Ends a wrong request.

    Attributes:
        chats: The valid requests, in order.
    """

    def __init__(self, replies: Replies, refuse: Callable[[Connection, str], None]) -> None:
        self.replies = replies
        self.chats: list[ChatRequest] = []
        self._refuse = refuse

    async def answer(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        """``POST /v1/chat/completions`` and the same of ``/v2``."""
        try:
            body = check_request(connection.received.json(), _OWN)
            _check(dict(body), connection.received.path.split("/")[1])
        except ValueError as error:
            self._refuse(connection, str(error))
            raise
        chat = ChatRequest(len(self.chats), body)
        self.chats.append(chat)
        reply = choose(self.replies, chat)
        if connection.behaviour.empty:
            reply = replace(reply, text="", tool_calls=(), reasoning="")
        completion = Completion(chat, reply)
        if not body.get("stream"):
            connection.accepted()
            return json_response(completion.whole())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        connection.accepted()
        await _deliver(completion, connection, response)
        return response


async def _deliver(
    completion: Completion, connection: Connection, response: web.StreamResponse
) -> None:
    await asyncio.sleep(connection.behaviour.first_result_delay_ms / 1000)
    for _ in range(connection.behaviour.garbage_frames):
        await _write(_GARBAGE, connection, response)
    await _write(completion.opening(), connection, response)
    for event in completion.contents():
        await _write(event, connection, response)
        if connection.due_error():
            await _write(error_event(), connection, response)
            return
    await _write(completion.closing(), connection, response)
    await _write(DONE, connection, response)


async def _write(event: bytes, connection: Connection, response: web.StreamResponse) -> None:
    if connection.silent:
        await connection.lie_low()
    if connection.behaviour.odd_frames:
        cut = split_point(event)
        await response.write(event[:cut])
        event = event[cut:]
    await response.write(event)
    connection.sent(len(event))


def _check(body: dict[str, Any], version: str) -> None:
    if body["model"] not in MODELS_BY_VERSION[version]:
        raise InvalidRequest(f"/{version} has no {body['model']}")
    if unknown := sorted(_LACKING & set(body)):
        raise InvalidRequest(f"unknown fields: {unknown}")
    if any(message["role"] == "developer" for message in body["messages"]):
        raise InvalidRequest("there is no role developer")
    if body.get("reasoning_effort") not in _EFFORTS:
        raise InvalidRequest(f"reasoning_effort: {body['reasoning_effort']}")
