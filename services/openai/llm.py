"""OpenAI chat completions through Pipecat's own service, over clients that calls share."""

from collections.abc import Mapping
from typing import Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout
from pipecat.services.openai.base_llm import OpenAILLMSettings
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.http import connection_limits

from services.clients import SharedClients
from services.context import ServiceContext
from services.openai import CompatibleLLMOptions, OpenAILLMOptions

#: OpenAI's own default is 600 s; a caller is not that patient.
TIMEOUT = Timeout(30.0, connect=5.0)
LIMITS = connection_limits(
    max_connections=1000, max_keepalive_connections=100, keepalive_expiry=120
)
#: Stands where a server of one's own asks for no key; the client insists on one.
NO_KEY = "none"


def _make_client(base_url: str | None, api_key: str) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=api_key,
        base_url=base_url,
        max_retries=1,
        timeout=TIMEOUT,
        http_client=DefaultAsyncHttpxClient(limits=LIMITS, timeout=TIMEOUT),
    )


clients: SharedClients[AsyncOpenAI] = SharedClients(_make_client, lambda client: client.close())


class SharedClientLLMService(OpenAILLMService):
    """Pipecat's service with one HTTP client per server and key instead of one per call."""

    def create_client(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        **_kwargs: Any,
    ) -> AsyncOpenAI:
        """The process's client for that server and key; called by Pipecat's constructor."""
        return clients.get(base_url, api_key or NO_KEY)


class CompatibleLLMService(SharedClientLLMService):
    """For servers that know the roles system, user, assistant and tool only."""

    supports_developer_role = False


def build_llm(options: OpenAILLMOptions, context: ServiceContext) -> OpenAILLMService:
    """A model for one call."""
    return SharedClientLLMService(
        api_key=context.api_key.get_secret_value() if context.api_key else None,
        base_url=normalised(context.base_url),
        settings=_settings(options, context, "max_completion_tokens"),
    )


def build_compatible_llm(
    options: CompatibleLLMOptions, context: ServiceContext
) -> OpenAILLMService:
    """A model on a server of one's own, for one call."""
    return CompatibleLLMService(
        api_key=context.api_key.get_secret_value() if context.api_key else None,
        base_url=normalised(context.base_url),
        settings=_settings(options, context, "max_tokens"),
    )


def normalised(base_url: str | None) -> str | None:
    """The address as the client wants it, from what people write.

    >>> normalised("http://localhost:8000/v1/chat/completions")
    'http://localhost:8000/v1'
    >>> normalised("http://localhost:11434")
    'http://localhost:11434/v1'
    """
    if base_url is None:
        return None
    trimmed = base_url.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    return trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1"


def _settings(
    options: OpenAILLMOptions, context: ServiceContext, limit_name: str
) -> OpenAILLMSettings:
    prompt = context.agent.render(context.agent.system_prompt, context.variables)
    given: dict[str, Any] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        limit_name: options.max_tokens,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    return OpenAILLMSettings(model=options.model, system_instruction=prompt or None, **wanted)
