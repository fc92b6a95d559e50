"""OpenAI's chat completions, and its list of models."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from aiohttp import web

from simulators.base import Simulator, json_response, new_id, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.openai.reply import ChatRequest, Replies, Reply, choose
from simulators.openai.request import InvalidRequest, check_request
from simulators.openai.stream import DONE, Completion, error_body, error_event, split_point

#: Long enough for the other end's loop to read one half of an event before the next is sent.
_SPLIT_SECONDS: Final = 0.002
_GARBAGE: Final = b"data: {not json\n\n"


class OpenAISimulator(Simulator):
    """OpenAI, or any server that speaks its chat completions.

    Args:
        replies: What is answered.
        first_token_ms: Wait before the first token.
        tokens_per_second: Pace; without it, as fast as the connection takes it.
        models: The models that exist; without it, any.
        extra_parameters: Body parameters allowed besides OpenAI's, such as ``top_k``.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How requests are treated.
        script: How the first requests are treated.

    Attributes:
        chats: The valid requests, in order.
    """

    vendor: ClassVar[str] = "openai"
    base_path: ClassVar[str] = "/v1"

    def __init__(
        self,
        *,
        replies: Replies = ("Yes, I can help you with that.",),
        first_token_ms: float = 0.0,
        tokens_per_second: float | None = None,
        models: Sequence[str] | None = None,
        extra_parameters: Iterable[str] = (),
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self.replies = replies
        self.first_token_ms = first_token_ms
        self.tokens_per_second = tokens_per_second
        self.models = models
        self.extra_parameters = frozenset(extra_parameters)
        self.chats: list[ChatRequest] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """Chat completions and models."""
        return [
            self.door("POST", "/v1/chat/completions", self._chat),
            self.page("GET", "/v1/models", self._list_models),
            self.page("GET", "/v1/models/{model}", self._model),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """An error as OpenAI words it."""
        kind, code, text = {
            401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
            403: ("invalid_request_error", "unsupported_country_region_territory", "Denied."),
            404: ("invalid_request_error", "model_not_found", "The model does not exist."),
            429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
            503: ("server_error", None, "The engine is currently overloaded."),
        }.get(status, ("server_error", None, "The server had an error."))
        extra = {"x-request-id": new_id(), **headers}
        if status == 429:
            extra |= {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}
        return json_response(error_body(text, kind, None, code), status=status, headers=extra)

    # -- doors -------------------------------------------------------------------------

    async def _chat(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._authenticate(connection)
        chat = self._accept(request, connection)
        reply = choose(self.replies, chat)
        if connection.behaviour.empty:
            reply = replace(reply, text="", tool_calls=(), reasoning="")
        completion = Completion(chat, reply)
        if not chat.body.get("stream"):
            connection.accepted()
            await self.wait_first(connection, reply)
            return json_response(completion.whole())
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                "x-request-id": new_id(),
            }
        )
        await response.prepare(request)
        connection.accepted()
        await _Stream(self, connection, response, reply).run(completion)
        return response

    async def _list_models(
        self, _request: web.Request, connection: Connection
    ) -> web.StreamResponse:
        self._authenticate(connection)
        found = [self._describe(model) for model in self.models or ("gpt-4o", "gpt-4.1")]
        return json_response({"object": "list", "data": found})

    async def _model(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self._authenticate(connection)
        model = request.match_info["model"]
        self._check_model(model)
        return json_response(self._describe(model))

    @staticmethod
    def _describe(model: str) -> dict[str, object]:
        return {"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "system"}

    # -- checks ------------------------------------------------------------------------

    def _authenticate(self, connection: Connection) -> None:
        scheme, _, key = connection.received.headers.get("Authorization", "").partition(" ")
        known = scheme == "Bearer" and key.strip() != ""
        if not known or (self.api_key is not None and key != self.api_key):
            self.violate(f"request {connection.index}: no valid key")
            refuse(self.error_response(401, {}))

    def _accept(self, request: web.Request, connection: Connection) -> ChatRequest:
        try:
            if request.content_type != "application/json":
                raise InvalidRequest(f"Unsupported content type: '{request.content_type}'.")
            try:
                body = connection.received.json()
            except ValueError as error:
                raise InvalidRequest(
                    f"We could not parse the JSON body of your request. ({error})"
                ) from error
            checked = check_request(body, self.extra_parameters)
        except InvalidRequest as error:
            self.violate(f"request {connection.index}: {error}")
            told = error_body(str(error), "invalid_request_error", error.param, error.code)
            refuse(json_response(told, status=400))
        self._check_model(checked["model"])
        chat = ChatRequest(len(self.chats), checked)
        self.chats.append(chat)
        return chat

    def _check_model(self, model: str) -> None:
        if self.models is not None and model not in self.models:
            text = f"The model `{model}` does not exist or you do not have access to it."
            self.violate(text)
            told = error_body(text, "invalid_request_error", None, "model_not_found")
            refuse(json_response(told, status=404))

    async def wait_first(self, connection: Connection, reply: Reply) -> None:
        """Wait as long as the script wants before the first token; for ever in a stall."""
        wait_ms = self.first_token_ms if reply.first_token_ms is None else reply.first_token_ms
        wait_ms += connection.behaviour.first_result_delay_ms
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if connection.silent:
            await connection.lie_low()


class _Stream:
    """Sends one reply at its pace."""

    def __init__(
        self,
        simulator: OpenAISimulator,
        connection: Connection,
        response: web.StreamResponse,
        reply: Reply,
    ) -> None:
        self._simulator = simulator
        self._connection = connection
        self._response = response
        self._reply = reply
        speed = connection.behaviour.speed or 1.0
        rate = reply.tokens_per_second or simulator.tokens_per_second
        self._step_seconds = 1 / (rate * speed) if rate else 0.0

    async def run(self, completion: Completion) -> None:
        """Send everything, or as much as the script lets through."""
        await self._simulator.wait_first(self._connection, self._reply)
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
