"""A reply as server-sent events."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from simulators.base import new_id
from simulators.openai.reply import ChatRequest, Reply, content_text

_encode = msgspec.json.Encoder().encode
DONE = b"data: [DONE]\n\n"
_CHARACTERS_PER_TOKEN = 4
_FRAGMENTS = 3


class Completion:
    """One completion: an identity, and its reply in the API's shapes.

    Args:
        request: What was asked.
        reply: What is answered.
    """

    def __init__(self, request: ChatRequest, reply: Reply) -> None:
        self._request = request
        self._reply = reply
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{new_id()}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": request.body["model"],
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }
        options = request.body.get("stream_options") or {}
        self.wants_usage = bool(options.get("include_usage"))
        self._usage_field: dict[str, Any] = {"usage": None} if self.wants_usage else {}

    def opening(self) -> bytes:
        """The first event: the role."""
        content = None if self._reply.null_content or self._reply.tool_calls else ""
        return self._delta({"role": "assistant", "content": content})

    def contents(self) -> Iterator[bytes]:
        """The events that carry content, in order."""
        reply = self._reply
        if reply.reasoning:
            yield self._delta({"reasoning": reply.reasoning})
        for piece in reply.pieces():
            if reply.reasoning_only:
                yield self._delta({"content": "", "reasoning": piece})
            else:
                yield self._delta({"content": piece})
        if reply.tool_calls:
            yield from self._tool_calls()

    def closing(self) -> bytes:
        """The event with the reason for the end."""
        return self._delta({}, finish_reason=self._reply.reason)

    def usage(self) -> bytes:
        """The event with the usage, which has no choices."""
        return _event({**self._head, "choices": [], "usage": self._usage()})

    def whole(self) -> dict[str, Any]:
        """The completion in one piece, for requests without ``stream``."""
        reply = self._reply
        message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
        if reply.tool_calls:
            message["content"] = reply.text or None
            message["tool_calls"] = [
                {
                    "id": self._call_id(number),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for number, call in enumerate(reply.tool_calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": reply.reason, "logprobs": None}
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": self._usage(),
        }

    def _delta(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**self._head, "choices": [choice], **self._usage_field})

    def _tool_calls(self) -> Iterator[bytes]:
        calls = self._reply.tool_calls
        for number, call in enumerate(calls):
            yield self._call_delta(
                number,
                {"name": call.name, "arguments": ""},
                {"id": self._call_id(number), "type": "function"},
            )
        for part in range(_FRAGMENTS):
            for number, call in enumerate(calls):
                size = -(-len(call.arguments) // _FRAGMENTS)
                fragment = call.arguments[part * size : (part + 1) * size]
                if fragment:
                    yield self._call_delta(number, {"arguments": fragment}, {})

    def _call_delta(
        self, number: int, function: Mapping[str, str], more: Mapping[str, str]
    ) -> bytes:
        return self._delta({"tool_calls": [{"index": number, **more, "function": function}]})

    def _call_id(self, number: int) -> str:
        return self._reply.tool_calls[number].call_id or f"call_{self._head['id'][9:21]}_{number}"

    def _usage(self) -> dict[str, Any]:
        asked = sum(len(content_text(message.get("content"))) for message in self._request.messages)
        said = len(self._reply.text) + sum(
            len(call.name) + len(call.arguments) for call in self._reply.tool_calls
        )
        prompt_tokens = 3 + asked // _CHARACTERS_PER_TOKEN
        completion_tokens = max(1, said // _CHARACTERS_PER_TOKEN)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def error_body(text: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    """OpenAI's error object."""
    return {"error": {"message": text, "type": kind, "param": param, "code": code}}


def error_event() -> bytes:
    """An error within a stream."""
    return _event(error_body("The server had an error.", "server_error", None, None))


def split_point(event: bytes) -> int:
    """Where to cut an event in two: within a character, if it has one beyond ASCII."""
    for position, byte in enumerate(event):
        if byte >= 0x80:
            return position + 1
    return len(event) // 2


def _event(body: Any) -> bytes:
    return b"data: " + _encode(body) + b"\n\n"
