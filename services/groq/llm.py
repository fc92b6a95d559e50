"""Groq's language models through Pipecat's own service, over clients that calls share."""

from pipecat.services.groq.llm import GroqLLMService

from services.context import ServiceContext
from services.groq import GroqLLMOptions
from services.openai.addresses import normalised
from services.openai.clients import NO_KEY, key_of
from services.openai.llm import SharedClientLLMService, chosen


class SharedClientGroqService(SharedClientLLMService, GroqLLMService):
    """Pipecat's service, as :class:`SharedClientLLMService` changes it."""

    title = "Groq"


def build_llm(options: GroqLLMOptions, context: ServiceContext) -> SharedClientGroqService:
    """A model for one call."""
    settings = chosen(options, context, "max_completion_tokens")
    return SharedClientGroqService(
        api_key=key_of(context) or NO_KEY,
        base_url=normalised(context.base_url) or "",
        settings=GroqLLMService.Settings(reasoning_effort=options.reasoning_effort, **settings),
    )
