"""OpenRouter: the models of many vendors behind one key."""

from typing import Literal

from pydantic import Field

from config.providers import ProviderSpec
from services.openai import OpenAILLMOptions

__all__ = ["SPECS", "OpenRouterLLMOptions"]


class OpenRouterLLMOptions(OpenAILLMOptions):
    """Options of ``llm.openrouter``."""

    model: str = Field(
        default="openai/gpt-4o-mini",
        description="Model with its vendor, such as google/gemini-2.5-flash.",
    )
    thinking: bool | None = Field(
        default=None,
        description="false: a model that can think first is told not to, which a caller would "
        "hear as silence; left out, the model's own way.",
    )
    vendors: tuple[str, ...] = Field(
        default=(),
        max_length=10,
        description="Who may run the model, the first first, by OpenRouter's names; by default "
        "OpenRouter chooses.",
    )
    sort: Literal["price", "throughput", "latency"] | None = Field(
        default=None, description="What OpenRouter chooses by."
    )
    data_collection: Literal["allow", "deny"] | None = Field(
        default=None, description="deny: only vendors that keep nothing of what callers say."
    )


SPECS = (
    ProviderSpec(
        kind="llm",
        name="openrouter",
        title="OpenRouter",
        options=OpenRouterLLMOptions,
        build="services.openrouter.llm:build_llm",
        secret_env="OPENROUTER_API_KEY",
        base_url_env="OPENROUTER_BASE_URL",
        default_base_url="https://openrouter.ai/api/v1",
        packages=("openai",),
        install="pip install openai",
    ),
)
