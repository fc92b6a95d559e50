"""Anthropic's Claude models, over the Messages API."""

from pydantic import Field

from config.providers import KeyedProviderOptions, ProviderSpec

__all__ = ["SPECS", "AnthropicLLMOptions"]


class AnthropicLLMOptions(KeyedProviderOptions):
    """Options of ``llm.anthropic``."""

    model: str = Field(
        default="claude-haiku-5-5",
        min_length=1,
        max_length=200,
        description="Model; the default is the quickest of its generation.",
    )
    temperature: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="How free its answers are; current models take none.",
    )
    top_p: float | None = Field(
        default=None, gt=0, le=1, description="Nucleus sampling; current models take none."
    )
    max_tokens: int = Field(default=1024, ge=1, le=64_000, description="Longest answer, in tokens.")
    prompt_caching: bool = Field(
        default=True,
        description="Let Anthropic keep what was said before, which makes later turns quicker "
        "and cheaper.",
    )


SPECS = (
    ProviderSpec(
        kind="llm",
        name="anthropic",
        title="Anthropic",
        options=AnthropicLLMOptions,
        build="services.anthropic.llm:build_llm",
        secret_env="ANTHROPIC_API_KEY",
        backend_model="Anthropic",
        base_url_env="ANTHROPIC_BASE_URL",
        default_base_url="https://api.anthropic.com",
        packages=("anthropic",),
        install="pip install anthropic",
        aliases=("claude",),
    ),
)
