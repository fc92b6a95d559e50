"""Ollama through Pipecat's own service, over clients that calls share."""

from pipecat.services.ollama.llm import OLLamaLLMService

from services.context import ServiceContext
from services.ollama import OllamaLLMOptions
from services.openai.addresses import normalised
from services.openai.clients import NO_KEY, key_of
from services.openai.llm import SharedClientLLMService, chosen


class SharedClientOllamaService(SharedClientLLMService, OLLamaLLMService):  # type: ignore[misc]
    """Pipecat's service, as :class:`SharedClientLLMService` changes it."""

    title = "Ollama"


def build_llm(options: OllamaLLMOptions, context: ServiceContext) -> SharedClientOllamaService:
    """A model for one call."""
    settings = chosen(options, context, "max_tokens")
    if options.thinking is False:
        # The one way to switch thinking off over this protocol (Ollama 0.12 and later).
        settings["extra"] = {"reasoning_effort": "none"}
    return SharedClientOllamaService(
        api_key=key_of(context) or NO_KEY,
        base_url=normalised(context.base_url) or "",
        settings=OLLamaLLMService.Settings(**settings),
    )
