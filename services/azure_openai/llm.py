"""Azure OpenAI through Pipecat's own service, over clients that calls share."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from openai import AsyncAzureOpenAI, AsyncOpenAI
from pipecat.services.azure.llm import DATED_API_VERSION, AzureLLMService

from config.errors import ConfigError
from services.azure_openai import V1_PATH, AzureOpenAILLMOptions
from services.connections.clients import SharedClients
from services.context import ServiceContext
from services.openai.clients import (
    MAX_RETRIES,
    NO_KEY,
    TIMEOUT,
    clients,
    close_http,
    http_client,
    key_of,
)
from services.openai.llm import SharedClientLLMService, chosen

_VERSION = "?api-version="


def _make_client(address: str | None, api_key: str) -> AsyncOpenAI:
    endpoint, _, version = (address or "").partition(_VERSION)
    return AsyncAzureOpenAI(
        api_key=api_key,
        azure_endpoint=endpoint,
        api_version=version,
        max_retries=MAX_RETRIES,
        timeout=TIMEOUT,
        http_client=http_client(),
    )


#: By resource, version and key.
dated_clients: SharedClients[AsyncOpenAI] = SharedClients(_make_client, close_http)


class SharedClientAzureService(SharedClientLLMService, AzureLLMService):
    """Pipecat's service, as :class:`SharedClientLLMService` changes it.

    Args:
        version: Of the interface, where its address has versions. Pipecat's own argument for it
            warns that it is deprecated.
    """

    title = "Azure OpenAI"

    def __init__(self, *, version: str, **given: Any) -> None:
        self._version = version
        super().__init__(**given)

    def create_client(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        **_kwargs: Any,
    ) -> AsyncOpenAI:
        """The process's client for that resource and key; called by Pipecat's constructor."""
        if self._endpoint.endswith(V1_PATH):
            return clients.get(self._endpoint, api_key or NO_KEY)
        return dated_clients.get(f"{self._endpoint}{_VERSION}{self._version}", api_key or NO_KEY)


def build_llm(options: AzureOpenAILLMOptions, context: ServiceContext) -> AzureLLMService:
    """A model for one call.

    Raises:
        ConfigError: The address is none.
    """
    return SharedClientAzureService(
        version=options.api_version or DATED_API_VERSION,
        endpoint=resource_address(context.base_url),
        api_key=key_of(context) or NO_KEY,
        settings=AzureLLMService.Settings(**chosen(options, context, "max_completion_tokens")),
    )


def resource_address(base_url: str | None) -> str:
    """The resource, from what people write.

    >>> resource_address("https://r.openai.azure.com/openai/deployments/d/chat/completions?a=b")
    'https://r.openai.azure.com'
    >>> resource_address("https://r.openai.azure.com/openai/v1/chat/completions")
    'https://r.openai.azure.com/openai/v1'

    Raises:
        ConfigError: It is no address.
    """
    trimmed = (base_url or "").strip().partition("?")[0].rstrip("/")
    parts = urlsplit(trimmed)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(
            "llm.azure_openai.base_url (or AZURE_OPENAI_ENDPOINT) must be the address of a "
            f"resource, such as https://my-resource.openai.azure.com: {base_url}"
        )
    trimmed = trimmed.removesuffix("/chat/completions")
    if trimmed.endswith(V1_PATH):
        return trimmed
    return trimmed.partition("/openai/deployments/")[0].removesuffix("/openai")
