"""Anthropic's models through Pipecat's own service, over clients that calls share."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
from anthropic import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncAnthropic,
    AsyncStream,
    DefaultAsyncHttpxClient,
)
from pipecat.services.anthropic.llm import AnthropicLLMService
from pipecat.utils.errors import ErrorCategory

from config.errors import ConfigError, ProviderError
from services.anthropic import AnthropicLLMOptions
from services.connections.bodies import BOUNDED
from services.connections.clients import SharedClients
from services.context import ServiceContext

#: Anthropic's own default is 600 s. ``read`` is the longest silence within an answer, in which
#: the API sends pings.
TIMEOUT = httpx2.Timeout(15.0, connect=4.0)

#: The API's words for an error within a stream, whose HTTP status was 200.
_STREAM_ERRORS = {
    "authentication_error": ErrorCategory.AUTHENTICATION,
    "permission_error": ErrorCategory.AUTHORIZATION,
    "invalid_request_error": ErrorCategory.INVALID_REQUEST,
    "not_found_error": ErrorCategory.INVALID_REQUEST,
    "rate_limit_error": ErrorCategory.RATE_LIMIT,
    "timeout_error": ErrorCategory.CONNECTIVITY,
}


def _make_client(base_url: str | None, api_key: str) -> AsyncAnthropic:
    # Whoever asked moves on to another vendor sooner than a second try would help.
    http = DefaultAsyncHttpxClient(timeout=TIMEOUT, event_hooks=BOUNDED)
    return AsyncAnthropic(
        api_key=api_key, base_url=base_url, max_retries=0, timeout=TIMEOUT, http_client=http
    )


clients: SharedClients[AsyncAnthropic] = SharedClients(_make_client, lambda client: client.close())


class ReportingAnthropicLLMService(AnthropicLLMService):
    """Pipecat's service, which tells of every failure, and calls one tool at a time.

    Pipecat 1.14 takes a silence of the server for no error, an answer that ends early for a
    whole one, and of several tools in one answer calls the last alone.
    """

    async def _create_message_stream(
        self, api_call: Any, params: dict[str, Any]
    ) -> AsyncIterator[Any]:
        if params.get("tools"):
            params["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        else:
            params.pop("tools", None)
        stream = await super()._create_message_stream(api_call, params)  # type: ignore[no-untyped-call]
        return _events(stream)

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, ProviderError):
            is_connection = exception.code in ("llm_timeout", "llm_dropped")
            return ErrorCategory.CONNECTIVITY if is_connection else ErrorCategory.SERVER
        if isinstance(exception, ValueError):  # The arguments of a tool are no JSON.
            return ErrorCategory.SERVER
        if isinstance(exception, APIConnectionError):
            return ErrorCategory.CONNECTIVITY
        if isinstance(exception, APIStatusError) and exception.status_code == 200:
            return _STREAM_ERRORS.get(exception.type or "", ErrorCategory.SERVER)
        return None


async def _events(stream: AsyncStream[Any]) -> AsyncIterator[Any]:
    """The events of an answer, up to its end.

    Raises:
        APIError: The server told of an error.
        ProviderError: The connection broke or fell silent, or what came made no sense.
    """
    finished = False
    try:
        async for event in stream:
            finished = finished or event.type == "message_stop"
            yield event
    except APIError:
        raise
    except httpx2.TimeoutException as error:
        raise _failure("timeout", "the answer stopped coming") from error
    except httpx2.TransportError as error:
        raise _failure("dropped", type(error).__name__) from error
    except ValueError as error:
        raise _failure("failed", "the answer makes no sense") from error
    finally:
        await stream.close()
    if not finished:
        raise _failure("dropped", "the answer ended early")


def _failure(kind: str, message: str) -> ProviderError:
    return ProviderError(
        f"llm_{kind}",
        f"Anthropic: {message}",
        provider="anthropic",
        stage="llm",
        retryable=True,
    )


def build_llm(options: AnthropicLLMOptions, context: ServiceContext) -> AnthropicLLMService:
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
    return ReportingAnthropicLLMService(
        api_key=api_key,
        client=clients.get(server_address(context.base_url), api_key),
        settings=AnthropicLLMService.Settings(
            model=options.model,
            system_instruction=prompt or None,
            max_tokens=options.max_tokens,
            enable_prompt_caching=options.prompt_caching,
            **settings,
        ),
    )


def server_address(base_url: str | None) -> str:
    """The server's root, from what people write.

    >>> server_address("https://api.anthropic.com/v1/messages")
    'https://api.anthropic.com'

    Raises:
        ConfigError: It is no address.
    """
    trimmed = (base_url or "").strip().rstrip("/")
    for path in ("/messages", "/v1"):
        trimmed = trimmed.removesuffix(path)
    parts = urlsplit(trimmed)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"llm.anthropic.base_url must begin with https://: {base_url}")
    return trimmed
