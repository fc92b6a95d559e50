"""Chat completions through Pipecat's own services, over clients that calls share."""

from collections.abc import Mapping
from typing import Any

from openai import AsyncOpenAI
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.base_llm import OpenAILLMSettings
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.errors import ErrorCategory

from services.context import ServiceContext
from services.openai import CompatibleLLMOptions, OpenAILLMOptions
from services.openai.addresses import normalised
from services.openai.answers import Answer
from services.openai.clients import NO_KEY, clients, key_of
from services.openai.failures import FAILURES, category_of, described

__all__ = ["SharedClientLLMService", "build_compatible_llm", "build_llm", "clients", "normalised"]

#: What Qwen's models take for: do not think first.
NO_THINK = "/no_think"


class SharedClientLLMService(OpenAILLMService):
    """Pipecat's service with one HTTP client per server and key instead of one per call.

    Besides, it takes an answer without its end for a failure (see :class:`Answer`), and gives
    each failure the category that Pipecat leaves unknown for lost connections and for errors
    within a stream.

    Attributes:
        title: The vendor, for messages.
        speaks_reasoning: See :class:`Answer`.
    """

    title = "OpenAI"
    speaks_reasoning = False

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

    async def get_chat_completions(self, context: LLMContext) -> Any:
        """The chunks of the answer, put right."""
        stream = await super().get_chat_completions(context)
        return Answer(stream, speaks_reasoning=self.speaks_reasoning)

    async def push_error(
        self,
        error_msg: str,
        exception: Exception | None = None,
        fatal: bool = False,
        category: ErrorCategory | None = None,
        force_treat_as_permanent: bool = False,
    ) -> None:
        """Tell of a failure in our words; see the class."""
        if isinstance(exception, FAILURES):
            error_msg = described(self.title, "llm", exception)
            category = category or category_of(exception)
        await super().push_error(error_msg, exception, fatal, category, force_treat_as_permanent)


class CompatibleLLMService(SharedClientLLMService):
    """For servers that know the roles system, user, assistant and tool only."""

    title = "OpenAI-compatible server"
    supports_developer_role = False


class UnthinkingLLMService(CompatibleLLMService):
    """For a server whose model was told not to think."""

    speaks_reasoning = True


def build_llm(options: OpenAILLMOptions, context: ServiceContext) -> OpenAILLMService:
    """A model for one call."""
    return SharedClientLLMService(
        api_key=key_of(context),
        base_url=normalised(context.base_url),
        settings=OpenAILLMSettings(**chosen(options, context, "max_completion_tokens")),
    )


def build_compatible_llm(
    options: CompatibleLLMOptions, context: ServiceContext
) -> OpenAILLMService:
    """A model on a server of one's own, for one call."""
    settings = chosen(options, context, "max_tokens")
    if options.thinking is False:
        settings["system_instruction"] = without_thinking(settings["system_instruction"])
    if extra := _extra_body(options):
        settings["extra"] = {"extra_body": extra}
    service = UnthinkingLLMService if options.thinking is False else CompatibleLLMService
    return service(
        api_key=key_of(context),
        base_url=normalised(context.base_url),
        settings=OpenAILLMSettings(**settings),
    )


def without_thinking(prompt: str | None) -> str:
    """The prompt for a model of Qwen's that is not to think first.

    >>> without_thinking("Be brief.\\n"), without_thinking(None)
    ('Be brief. /no_think', '/no_think')
    """
    text = (prompt or "").rstrip()
    return text if text.endswith(NO_THINK) else f"{text} {NO_THINK}".lstrip()


def chosen(options: OpenAILLMOptions, context: ServiceContext, limit_name: str) -> dict[str, Any]:
    """The settings of Pipecat's services that an agent's file gives.

    Args:
        limit_name: What the server calls the longest answer.
    """
    prompt = context.agent.render(context.agent.system_prompt, context.variables)
    given: dict[str, Any] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        limit_name: options.max_tokens,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    return {"model": options.model, "system_instruction": prompt or None, **wanted}


def _extra_body(options: CompatibleLLMOptions) -> dict[str, Any]:
    """What vLLM takes beside OpenAI's own parameters."""
    extra: dict[str, Any] = {
        "top_k": options.top_k,
        "repetition_penalty": options.repetition_penalty,
    }
    if options.thinking is not None:
        extra["chat_template_kwargs"] = {"enable_thinking": options.thinking}
    return {name: value for name, value in extra.items() if value is not None}
