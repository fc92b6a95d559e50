"""Sarvam's chat models through Pipecat's own service, over connections that calls share.

Wire facts (docs.sarvam.ai, chat completions v1 and v2): ``/v1`` serves ``sarvam-105b`` and
``sarvam-105b-conversations``, ``/v2`` the open models. ``sarvam-105b`` thinks at medium effort
unless ``reasoning_effort`` is null, and the open ones at the highest unless it says otherwise.
"""

from collections.abc import Mapping
from typing import Any

from openai import AsyncOpenAI
from pipecat.services.sarvam.llm import SarvamLLMService

from services.connections.clients import SharedClients
from services.context import ServiceContext
from services.openai.llm import SharedClientLLMService
from services.openai.llm import clients as openai_clients
from services.sarvam import SarvamLLMOptions
from services.sarvam.addresses import chat_address

_V1_MODELS = frozenset({"sarvam-105b", "sarvam-105b-conversations"})
#: The one model that null keeps from thinking, and those that can only think less.
_CAN_STOP_THINKING = frozenset({"sarvam-105b"})
_ALWAYS_THINK = frozenset({"glm5.3", "deepseekv4.1-flash"})


def _make_client(base_url: str | None, api_key: str) -> AsyncOpenAI:
    # Whoever asked moves on to another vendor sooner than a second try would help.
    return openai_clients.get(base_url, api_key).with_options(
        default_headers={"api-subscription-key": api_key}, max_retries=0
    )


async def _leave(_client: AsyncOpenAI) -> None:
    """Its connections belong to OpenAI's clients, which close them."""


clients: SharedClients[AsyncOpenAI] = SharedClients(_make_client, _leave)


class SharedSarvamLLMService(SharedClientLLMService, SarvamLLMService):
    """Pipecat's service with one HTTP client per server and key instead of one per call.

    Pipecat leaves an effort of None out, which Sarvam takes for medium; here it is sent.
    """

    title = "Sarvam"

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
        return clients.get(base_url, api_key or "none")

    def build_chat_completion_params(self, params_from_context: Any) -> dict[str, Any]:
        """The request, with thinking switched off where the model can do without."""
        params: dict[str, Any] = super().build_chat_completion_params(params_from_context)
        if params["model"] in _CAN_STOP_THINKING:
            params.setdefault("reasoning_effort", None)
        return params


def build_llm(options: SarvamLLMOptions, context: ServiceContext) -> SarvamLLMService:
    """A model for one call.

    Raises:
        ConfigError: The address is none.
    """
    prompt = context.agent.render(context.agent.system_prompt, context.variables)
    effort = options.reasoning_effort or ("low" if options.model in _ALWAYS_THINK else None)
    given: dict[str, Any] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "max_tokens": options.max_tokens,
        "reasoning_effort": effort,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    version = "v1" if options.model in _V1_MODELS else "v2"
    return SharedSarvamLLMService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        base_url=chat_address(context.base_url, version),
        settings=SarvamLLMService.Settings(
            model=options.model, system_instruction=prompt or None, **wanted
        ),
    )
