"""What the simulated model answers."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants called.

    Attributes:
        arguments: JSON text, valid or not, as it is to be streamed.
    """

    name: str
    arguments: str = "{}"
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer, and how it is streamed. Numbers of chunks count those with content.

    Attributes:
        text: What is said.
        tool_calls: Functions to call; several are streamed interleaved.
        finish_reason: By default ``tool_calls`` with calls, else ``stop``.
        first_token_ms: Wait before the first chunk; by default the simulator's.
        tokens_per_second: Pace of the chunks; by default the simulator's.
        chunk_chars: Characters per chunk; by default a word.
        split_utf8: Send every chunk in two pieces, cut within a character where it has one
            that isn't ASCII.
        reasoning: Sent as ``delta.reasoning`` before the text, as some servers do.
        reasoning_only: Send the text as ``delta.reasoning``, with empty content.
        null_content: The first delta has ``content: null``.
        comments: Send a comment line before each event.
        sends_usage: Send the usage chunk that was asked for.
        sends_done: Send ``[DONE]``.
        end_after_chunks: End properly after so many chunks, without reason, usage or ``[DONE]``.
        drop_after_chunks: Tear the connection after so many chunks.
        stall_after_chunks: Say nothing more after so many chunks, and stay connected.
        error_after_chunks: Send an error event after so many chunks, and end.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    first_token_ms: float | None = None
    tokens_per_second: float | None = None
    chunk_chars: int | None = None
    split_utf8: bool = False
    reasoning: str = ""
    reasoning_only: bool = False
    null_content: bool = False
    comments: bool = False
    sends_usage: bool = True
    sends_done: bool = True
    end_after_chunks: int | None = None
    drop_after_chunks: int | None = None
    stall_after_chunks: int | None = None
    error_after_chunks: int | None = None

    @property
    def reason(self) -> str:
        """The finish reason."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    def pieces(self) -> Iterator[str]:
        """The text in the pieces in which it is streamed, each when it is asked for."""
        if self.chunk_chars is None:
            yield from (found[0] for found in re.finditer(r"\s*\S+\s*$|\s*\S+", self.text))
            return
        size = self.chunk_chars
        for start in range(0, len(self.text), size):
            yield self.text[start : start + size]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A valid request.

    Attributes:
        number: Counted from 0 over the simulator.
        user_text: The last user message.
        answers_tool: The last message is a tool's result.
    """

    number: int
    body: Mapping[str, Any]

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The conversation."""
        found: Sequence[Mapping[str, Any]] = self.body["messages"]
        return found

    @property
    def user_text(self) -> str:
        """The last user message as text."""
        for message in reversed(self.messages):
            if message["role"] == "user":
                return content_text(message.get("content"))
        return ""

    @property
    def answers_tool(self) -> bool:
        """Whether the last message is a tool's result."""
        return bool(self.messages[-1]["role"] == "tool")


#: Replies in turn, again from the first after the last; or by pattern found in the last user
#: message, first match wins; or a function of the request.
Replies = Sequence[str | Reply] | Mapping[str, str | Reply] | Callable[[ChatRequest], str | Reply]


def choose(replies: Replies, request: ChatRequest) -> Reply:
    """The scripted reply to a request."""
    found: str | Reply = ""
    if callable(replies):
        found = replies(request)
    elif isinstance(replies, Mapping):
        for pattern, reply in replies.items():
            if re.search(pattern, request.user_text, re.IGNORECASE):
                found = reply
                break
    elif replies:
        found = replies[request.number % len(replies)]
    return found if isinstance(found, Reply) else Reply(text=found)


def content_text(content: Any) -> str:
    """The text of a message's content, which may come in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""
