"""What Pipecat wants of any language model, for those that are none: a script, an adviser."""

from typing import Any

from pipecat.adapters.llm.base_llm_adapter import BaseLLMAdapter
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.settings import LLMSettings


class PlainAdapter(BaseLLMAdapter[dict[str, Any]]):
    """Stands where a vendor's message format would be."""

    @property
    def id_for_llm_specific_messages(self) -> str:
        """Name under which messages for this model alone would be kept."""
        return "plain"

    async def get_llm_invocation_params(
        self, context: LLMContext, **_kwargs: Any
    ) -> dict[str, Any]:
        """The messages as they are."""
        return {"messages": context.messages}

    def to_provider_tools_format(self, tools_schema: ToolsSchema) -> list[Any]:
        """No tools: what answers has none, or its own."""
        return []

    def get_messages_for_logging(self, context: LLMContext) -> list[dict[str, Any]]:
        """Nothing: what callers say is not logged."""
        return []


def settled(model: str) -> LLMSettings:
    """Every field settled, as Pipecat wants it of a running service.

    Args:
        model: What stands in its metrics.
    """
    return LLMSettings(
        model=model,
        system_instruction=None,
        temperature=None,
        max_tokens=None,
        top_p=None,
        top_k=None,
        frequency_penalty=None,
        presence_penalty=None,
        seed=None,
        filter_incomplete_user_turns=None,
        user_turn_completion_config=None,
        use_provider_thinking_default=False,
    )
