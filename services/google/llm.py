"""Google's Gemini models through Pipecat's own service, over clients that calls share."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from google import genai
from google.genai.errors import APIError
from google.genai.types import GenerateContentResponse, HttpOptions
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.google.llm import GoogleLLMService
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from config.errors import ConfigError, ProviderError
from services.connections.bodies import BOUNDED
from services.connections.clients import SharedClients
from services.context import ServiceContext
from services.failures import category
from services.google import GoogleLLMOptions
from services.google.failures import failure

#: Longest wait for the next piece of an answer.
PIECE_SECONDS = 10.0
TIMEOUT = httpx2.Timeout(15.0, connect=4.0)
LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=120)


@dataclass(frozen=True, slots=True)
class Client:
    """Google's client, and the HTTP client under it.

    Left to itself, Google's takes aiohttp where that is installed, by a way that aiohttp
    deprecates.
    """

    genai: genai.Client
    http: httpx2.AsyncClient


def _make_client(base_url: str | None, api_key: str) -> Client:
    http = httpx2.AsyncClient(timeout=TIMEOUT, limits=LIMITS, event_hooks=BOUNDED)
    options = HttpOptions(base_url=base_url, httpx_async_client=http)
    return Client(genai.Client(api_key=api_key, http_options=options), http)


clients: SharedClients[Client] = SharedClients(_make_client, lambda client: client.http.aclose())


class ReportingGoogleLLMService(GoogleLLMService):
    """Pipecat's service with a shared client, which tells of an answer that ends early too."""

    def __init__(self, client: genai.Client, **arguments: Any) -> None:
        self._shared_client = client
        super().__init__(**arguments)

    def create_client(self) -> None:
        """Use the process's client; called by Pipecat's constructor."""
        self._client = self._shared_client

    async def _close_client(self) -> None:
        """Leave it to the other calls."""

    async def _stream_response(self, context: LLMContext) -> AsyncIterator[GenerateContentResponse]:
        finished = False
        found: Any = super()._stream_response(context)
        async with aclosing(found) as chunks:
            async for chunk in chunks:
                finished = finished or any(c.finish_reason for c in chunk.candidates or ())
                yield chunk
        if not finished:
            raise failure("llm", "dropped", "the answer ended early")

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, ProviderError):
            return category(exception)
        if isinstance(exception, APIError):
            if "API_KEY_INVALID" in str(exception.details):  # With status 400.
                return ErrorCategory.AUTHENTICATION
            return classify_http_status_code(exception.code)
        if isinstance(exception, httpx2.TransportError):
            return ErrorCategory.CONNECTIVITY
        return ErrorCategory.SERVER if isinstance(exception, ValueError) else None


def build_llm(options: GoogleLLMOptions, context: ServiceContext) -> GoogleLLMService:
    """A model for one call.

    Raises:
        ConfigError: The address is none.
    """
    prompt = context.agent.render(context.agent.system_prompt, context.variables)
    sampling = {"temperature": options.temperature, "top_p": options.top_p}
    settings: dict[str, Any] = {
        name: value for name, value in sampling.items() if value is not None
    }
    api_key = context.api_key.get_secret_value() if context.api_key else ""
    return ReportingGoogleLLMService(
        clients.get(server_address(context.base_url), api_key).genai,
        api_key=api_key,
        stream_idle_timeout_secs=PIECE_SECONDS,
        settings=GoogleLLMService.Settings(
            model=options.model,
            system_instruction=prompt or None,
            max_tokens=options.max_tokens,
            **settings,
        ),
    )


def server_address(base_url: str | None) -> str:
    """The server's root, from what people write.

    >>> server_address("https://generativelanguage.googleapis.com/v1beta/")
    'https://generativelanguage.googleapis.com'

    Raises:
        ConfigError: It is no address.
    """
    trimmed = (base_url or "").strip().rstrip("/").removesuffix("/models").removesuffix("/v1beta")
    parts = urlsplit(trimmed)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"llm.google.base_url must begin with https://: {base_url}")
    return trimmed
