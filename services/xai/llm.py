"""xAI's Grok models through Pipecat's own service, over clients that calls share."""

from pipecat.services.xai.llm import GrokLLMService

from services.context import ServiceContext
from services.openai.addresses import normalised
from services.openai.clients import NO_KEY, key_of
from services.openai.llm import SharedClientLLMService, chosen
from services.xai import XAILLMOptions


class SharedClientGrokService(SharedClientLLMService, GrokLLMService):
    """Pipecat's service, as :class:`SharedClientLLMService` changes it."""

    title = "xAI"


def build_llm(options: XAILLMOptions, context: ServiceContext) -> SharedClientGrokService:
    """A model for one call."""
    settings = chosen(options, context, "max_completion_tokens")
    return SharedClientGrokService(
        api_key=key_of(context) or NO_KEY,
        base_url=normalised(context.base_url) or "",
        settings=GrokLLMService.Settings(reasoning_effort=options.reasoning_effort, **settings),
    )
