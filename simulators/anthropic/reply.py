"""What the simulated model answers, as server-sent events."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from simulators.base import new_id

_CHARACTERS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that the model wants used.

    Attributes:
        input_json: JSON text, valid or not, as it is to be streamed.
    """

    name: str
    input_json: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer, and how it is streamed. Numbers of chunks count those with content.

    Attributes:
        text: What is said.
        tool_uses: Tools to use.
        drop_after_chunks: Tear the connection after so many chunks.
        end_after_chunks: End the response properly after so many chunks, without the closing
            events.
        stall_after_chunks: Say nothing more after so many chunks, and stay connected.
        error_after_chunks: Send an error event after so many chunks, and end.
        error_type: Of that event.
    """

    text: str = ""
    tool_uses: tuple[ToolUse, ...] = ()
    drop_after_chunks: int | None = None
    end_after_chunks: int | None = None
    stall_after_chunks: int | None = None
    error_after_chunks: int | None = None
    error_type: str = "overloaded_error"

    def pieces(self) -> list[str]:
        """The text, word by word."""
        return re.findall(r"\s*\S+\s*$|\s*\S+", self.text)


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A valid request.

    Attributes:
        number: Counted from 0 over the simulator.
    """

    number: int
    body: Mapping[str, Any]

    @property
    def system_text(self) -> str:
        """The system prompt."""
        return content_text(self.body.get("system"))

    @property
    def user_text(self) -> str:
        """The last message as text."""
        return content_text(self.body["messages"][-1]["content"])


#: Replies in turn, again from the first after the last; or a function of the request.
Replies = Sequence[str | Reply] | Callable[[MessageRequest], str | Reply]


def choose(replies: Replies, request: MessageRequest) -> Reply:
    """The scripted reply to a request."""
    found: str | Reply = ""
    if callable(replies):
        found = replies(request)
    elif replies:
        found = replies[request.number % len(replies)]
    return found if isinstance(found, Reply) else Reply(text=found)


def content_text(content: Any) -> str:
    """The text of a message's content, which may come in blocks."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def opening(request: MessageRequest) -> bytes:
    """The first event: the message without its content."""
    message = {
        "id": f"msg_{new_id().replace('-', '')[:24]}",
        "type": "message",
        "role": "assistant",
        "model": request.body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": max(1, len(str(request.body["messages"])) // _CHARACTERS_PER_TOKEN),
            "output_tokens": 1,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }
    return event("message_start", message=message) + event("ping")


def contents(reply: Reply) -> Iterator[bytes]:
    """Events of the blocks, each with a chunk of content."""
    index = 0
    if reply.text:
        start = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for piece in reply.pieces():
            delta = {"type": "text_delta", "text": piece}
            yield start + event("content_block_delta", index=0, delta=delta)
            start = b""
        yield event("content_block_stop", index=0)
        index = 1
    for offset, use in enumerate(reply.tool_uses):
        block = {
            "type": "tool_use",
            "id": f"toolu_{new_id().replace('-', '')[:24]}",
            "name": use.name,
            "input": {},
        }
        number = index + offset
        yield event("content_block_start", index=number, content_block=block)
        half = len(use.input_json) // 2
        for part in (use.input_json[:half], use.input_json[half:]):
            delta = {"type": "input_json_delta", "partial_json": part}
            yield event("content_block_delta", index=number, delta=delta)
        yield event("content_block_stop", index=number)


def closing(reply: Reply) -> bytes:
    """The last events: why it ends, and that it does."""
    reason = "tool_use" if reply.tool_uses else "end_turn"
    usage = {"output_tokens": max(1, len(reply.text) // _CHARACTERS_PER_TOKEN)}
    delta = {"stop_reason": reason, "stop_sequence": None}
    return event("message_delta", delta=delta, usage=usage) + event("message_stop")


def error_body(kind: str, text: str) -> dict[str, Any]:
    """Anthropic's error object."""
    return {
        "type": "error",
        "error": {"type": kind, "message": text},
        "request_id": f"req_{new_id().replace('-', '')[:24]}",
    }


def error_event(kind: str) -> bytes:
    """An error within a stream."""
    return _line("error", error_body(kind, "simulated"))


def event(kind: str, **fields: Any) -> bytes:
    """One event of a stream."""
    return _line(kind, {"type": kind, **fields})


def _line(kind: str, body: Mapping[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"
