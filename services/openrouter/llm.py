"""OpenRouter through Pipecat's own service, over clients that calls share."""

from typing import Any

from pipecat.services.openrouter.llm import OpenRouterLLMService

from services.context import ServiceContext
from services.openai.addresses import normalised
from services.openai.clients import NO_KEY, key_of
from services.openai.llm import SharedClientLLMService, chosen
from services.openrouter import OpenRouterLLMOptions


class SharedClientOpenRouterService(SharedClientLLMService, OpenRouterLLMService):
    """Pipecat's service, as :class:`SharedClientLLMService` changes it."""

    title = "OpenRouter"


def build_llm(
    options: OpenRouterLLMOptions, context: ServiceContext
) -> SharedClientOpenRouterService:
    """A model for one call."""
    settings = chosen(options, context, "max_tokens")
    if options.thinking is not None:
        settings["extra"] = {"extra_body": {"reasoning": {"enabled": options.thinking}}}
    preferences: dict[str, Any] = {
        "order": list(options.vendors) or None,
        "allow_fallbacks": False if options.vendors else None,
        "sort": options.sort,
        "data_collection": options.data_collection,
    }
    if wanted := {name: value for name, value in preferences.items() if value is not None}:
        settings["provider"] = wanted
    return SharedClientOpenRouterService(
        api_key=key_of(context) or NO_KEY,
        base_url=normalised(context.base_url) or "",
        settings=OpenRouterLLMService.Settings(**settings),
    )
