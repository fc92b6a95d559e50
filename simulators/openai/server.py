"""OpenAI: chat completions, transcription, speech, realtime transcription, its list of models."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from aiohttp import web

from simulators.base import Simulator, json_response, new_id, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.openai.audio import Heard, Spoken, Texts, hear, speak
from simulators.openai.delivery import Delivery
from simulators.openai.realtime import TranscriptionSession
from simulators.openai.reply import ChatRequest, Replies, Reply, choose
from simulators.openai.request import InvalidRequest, check_request
from simulators.openai.stream import Completion, error_body


class OpenAISimulator(Simulator):
    """OpenAI, or any server that speaks its chat completions.

    Args:
        replies: What is answered.
        first_token_ms: Wait before the first token.
        tokens_per_second: Pace; without it, as fast as the connection takes it.
        models: The models that exist; without it, any.
        extra_parameters: Body parameters allowed besides OpenAI's, such as ``top_k``.
        texts: What is heard, in turn.
        speech_speed: How much faster than real time speech comes.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How requests are treated.
        script: How the first requests are treated.

    Attributes:
        chats: The valid requests, in order.
        heard: What was transcribed, in order.
        spoken: What was spoken, in order.
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
        texts: Texts = ("मुझे मदद चाहिए",),
        speech_speed: float = 50.0,
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
        self.texts = texts
        self.speech_speed = speech_speed
        self.chats: list[ChatRequest] = []
        self.heard: list[Heard] = []
        self.spoken: list[Spoken] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """The vendor's doors."""
        return [
            self.door("POST", f"{self.base_path}/chat/completions", self.chat),
            self.door("POST", f"{self.base_path}/audio/transcriptions", self._transcribe),
            self.door("POST", f"{self.base_path}/audio/speech", self._speak),
            self.door("GET", f"{self.base_path}/realtime", self._realtime),
            self.page("GET", f"{self.base_path}/models", self._list_models),
            self.page("GET", f"{self.base_path}/models/{{model}}", self._model),
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

    async def chat(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        """``POST /chat/completions``."""
        self.authenticate(connection)
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
        delivery = Delivery(connection, response, reply, self.tokens_per_second, self.wait_first)
        await delivery.run(completion)
        return response

    async def _transcribe(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self.authenticate(connection)
        with self._refusing(connection):
            heard = hear(connection, request.headers.get("Content-Type", ""), self._next_text)
        self._check_model(heard.model)
        self.heard.append(heard)
        connection.accepted()
        await self.wait_first(connection)
        if connection.behaviour.garbage_frames:
            return web.Response(body=b'{"text":', content_type="application/json")
        usage = {"type": "duration", "seconds": heard.duration_ms / 1000}
        return json_response({"text": heard.text, "usage": usage})

    async def _speak(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self.authenticate(connection)
        with self._refusing(connection):
            spoken = Spoken.of(connection.received)
        self._check_model(spoken.model)
        self.spoken.append(spoken)
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await response.prepare(request)
        connection.accepted()
        await self.wait_first(connection)
        await speak(connection, response, spoken, len(self.spoken) - 1, self.speech_speed)
        return response

    async def _realtime(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self.authenticate(connection)
        if dict(connection.received.query).get("intent") != "transcription":
            self.violate(f"connection {connection.index}: no transcription intent")
            refuse(self.error_response(404, {}))
        websocket = await connection.upgrade(request)
        session = TranscriptionSession(connection, self._next_text, self.heard, self.violate)
        await session.run(websocket)
        return websocket

    def _next_text(self, is_speech: bool) -> str:
        if not is_speech or not self.texts:
            return ""
        return self.texts[len(self.heard) % len(self.texts)]

    @contextmanager
    def _refusing(self, connection: Connection) -> Iterator[None]:
        """Answer an invalid request with 400, and note it."""
        try:
            yield
        except InvalidRequest as error:
            self.violate(f"request {connection.index}: {error}")
            told = error_body(str(error), "invalid_request_error", error.param, error.code)
            refuse(json_response(told, status=400))

    async def _list_models(
        self, _request: web.Request, connection: Connection
    ) -> web.StreamResponse:
        self.authenticate(connection)
        found = [self._describe(model) for model in self.models or ("gpt-4o", "gpt-4.1")]
        return json_response({"object": "list", "data": found})

    async def _model(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        self.authenticate(connection)
        model = request.match_info["model"]
        self._check_model(model)
        return json_response(self._describe(model))

    @staticmethod
    def _describe(model: str) -> dict[str, object]:
        return {"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "system"}

    # -- checks ------------------------------------------------------------------------

    def authenticate(self, connection: Connection) -> None:
        """Refuse who has no key."""
        scheme, _, key = connection.received.headers.get("Authorization", "").partition(" ")
        known = scheme == "Bearer" and key.strip() != ""
        if not known or (self.api_key is not None and key != self.api_key):
            self.violate(f"request {connection.index}: no valid key")
            refuse(self.error_response(401, {}))

    def _accept(self, request: web.Request, connection: Connection) -> ChatRequest:
        with self._refusing(connection):
            if request.content_type != "application/json":
                raise InvalidRequest(f"Unsupported content type: '{request.content_type}'.")
            try:
                body = connection.received.json()
            except ValueError as error:
                raise InvalidRequest(
                    f"We could not parse the JSON body of your request. ({error})"
                ) from error
            checked = check_request(body, self.extra_parameters)
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

    async def wait_first(self, connection: Connection, reply: Reply | None = None) -> None:
        """Wait as long as the script wants before the first token; for ever in a stall."""
        wait_ms = 0.0
        if reply is not None:
            wait_ms = self.first_token_ms if reply.first_token_ms is None else reply.first_token_ms
        wait_ms += connection.behaviour.first_result_delay_ms
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if connection.silent:
            await connection.lie_low()
