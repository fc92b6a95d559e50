"""xAI: the Grok models. VoiceERA's "Grok" is this, not Groq."""

from typing import Literal

from pydantic import Field

from config.providers import ProviderSpec
from services.openai import OpenAILLMOptions

__all__ = ["SPECS", "XAILLMOptions"]


class XAILLMOptions(OpenAILLMOptions):
    """Options of ``llm.xai``."""

    model: str = Field(
        default="grok-4.20-non-reasoning",
        description="Model; one that does not think first answers a caller sooner.",
    )
    reasoning_effort: Literal["none", "low", "medium", "high", "xhigh"] | None = Field(
        default=None,
        description="How much it thinks first; models that do not reason refuse the option.",
    )


SPECS = (
    ProviderSpec(
        kind="llm",
        name="xai",
        title="xAI Grok",
        options=XAILLMOptions,
        build="services.xai.llm:build_llm",
        secret_env="XAI_API_KEY",
        backend_model="Grok",
        base_url_env="XAI_BASE_URL",
        default_base_url="https://api.x.ai/v1",
        packages=("openai",),
        install="pip install openai",
        aliases=("grok",),
    ),
)
