"""Gemini's ``streamGenerateContent`` as server-sent events."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web

from simulators.base import Simulator, json_response, names, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection

_PARAMETERS: Final = names(
    "contents systemInstruction generationConfig safetySettings tools toolConfig cachedContent"
)
_GENERATION: Final = names(
    "temperature topP topK maxOutputTokens seed stopSequences thinkingConfig candidateCount"
    " responseMimeType responseJsonSchema responseModalities"
)
_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function that the model wants called."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer, and how it is streamed; numbers of chunks count those with content.

    Attributes:
        drop_after_chunks: Tear the connection after so many.
        end_after_chunks: End the response properly after so many, without a finish reason.
        stall_after_chunks: Say nothing more after so many, and stay connected.
        error_after_chunks: Send an error after so many, and end.
    """

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    drop_after_chunks: int | None = None
    end_after_chunks: int | None = None
    stall_after_chunks: int | None = None
    error_after_chunks: int | None = None

    def parts(self) -> list[dict[str, Any]]:
        """Content, chunk by chunk."""
        words = re.findall(r"\s*\S+\s*$|\s*\S+", self.text)
        calls = [
            {"functionCall": {"name": call.name, "args": dict(call.args)}} for call in self.calls
        ]
        return [{"text": word} for word in words] + calls


class GeminiSimulator(Simulator):
    """Gemini.

    Args:
        replies: What is answered, in turn and again from the first.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How requests are treated.
        script: How the first requests are treated.

    Attributes:
        asked: The bodies of the valid requests, in order.
    """

    vendor: ClassVar[str] = "google-llm"

    def __init__(
        self,
        *,
        replies: Sequence[str | Reply] = ("Yes, I can help you with that.",),
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self.replies = replies
        self.asked: list[dict[str, Any]] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """Streamed answers."""
        path = r"/v1beta/models/{model:[a-z0-9.-]+}:streamGenerateContent"
        return [self.door("POST", path, self._generate)]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """An error as Google words it."""
        return json_response(_error(status, "simulated"), status=status, headers=headers)

    async def _generate(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        key = connection.received.headers.get("x-goog-api-key", "")
        if not key or (self.api_key is not None and key != self.api_key):
            self.violate(f"request {connection.index}: no valid key")
            reason = "API key not valid. Please pass a valid API key. API_KEY_INVALID"
            refuse(json_response(_error(400, reason), status=400))
        if dict(connection.received.query) != {"alt": "sse"}:
            self._wrong(connection, f"query {connection.received.query}")
        body = self._checked(connection)
        found = self.replies[len(self.asked) % len(self.replies)]
        self.asked.append(body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        connection.accepted()
        reply = found if isinstance(found, Reply) else Reply(text=found)
        await self._stream(connection, response, reply)
        return response

    def _checked(self, connection: Connection) -> dict[str, Any]:
        try:
            body = connection.received.json()
        except ValueError as error:
            self._wrong(connection, str(error))
        unknown = set(body) - _PARAMETERS
        unknown |= set(body.get("generationConfig", {})) - _GENERATION
        if unknown:
            self._wrong(connection, f"Unknown name {sorted(unknown)}: Cannot find field.")
        contents = body.get("contents")
        if not contents:
            self._wrong(connection, "contents is not specified")
        for content in contents:
            if content.get("role") not in ("user", "model") or not content.get("parts"):
                self._wrong(connection, f"contents: role {content.get('role')!r} or no parts")
        if contents[0]["role"] != "user":
            self._wrong(connection, "contents must begin with the user")
        found: dict[str, Any] = body
        return found

    def _wrong(self, connection: Connection, text: str) -> None:
        self.violate(f"request {connection.index}: {text}")
        refuse(json_response(_error(400, text), status=400))

    async def _stream(
        self, connection: Connection, response: web.StreamResponse, reply: Reply
    ) -> None:
        behaviour = connection.behaviour
        await asyncio.sleep(behaviour.first_result_delay_ms / 1000)
        for _ in range(behaviour.garbage_frames):
            await _write(connection, response, b"data: {not json\r\n\r\n")
        parts = [] if behaviour.empty else reply.parts()
        for sent, part in enumerate([{"text": ""}, *parts]):
            await _write(connection, response, _chunk(part, None))
            if reply.drop_after_chunks == sent:
                connection.drop()
                return
            if reply.end_after_chunks == sent:
                return
            if reply.stall_after_chunks == sent:
                connection.silent = True
            if reply.error_after_chunks == sent or connection.due_error():
                await _write(connection, response, _line(_error(503, "overloaded")))
                return
        await _write(connection, response, _chunk({"text": ""}, "STOP"))


async def _write(connection: Connection, response: web.StreamResponse, line: bytes) -> None:
    if connection.silent:
        await connection.lie_low()
    await response.write(line)
    connection.sent(len(line))


def _chunk(part: Mapping[str, Any], finish_reason: str | None) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    return _line({"candidates": [candidate], "usageMetadata": usage})


def _error(status: int, text: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": text, "status": _STATUSES.get(status, "INTERNAL")}}


def _line(body: Any) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\r\n\r\n"
