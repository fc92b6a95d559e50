"""OpenAI's chat models, and every server that speaks the same protocol (vLLM, Ollama, …)."""

from pydantic import Field, model_validator

from config.providers import KeyedProviderOptions, ProviderSpec

__all__ = ["SPECS", "CompatibleLLMOptions", "OpenAILLMOptions"]


class OpenAILLMOptions(KeyedProviderOptions):
    """Options of ``llm.openai``."""

    model: str = Field(default="gpt-4o-mini", description="Model.")
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="How free its answers are; the model's own default."
    )
    top_p: float | None = Field(default=None, gt=0, le=1, description="Nucleus sampling.")
    max_tokens: int | None = Field(
        default=None, ge=1, le=16_384, description="Longest answer, in tokens."
    )


class CompatibleLLMOptions(OpenAILLMOptions):
    """Options of ``llm.openai_compatible``: a server of your own."""

    model: str = Field(description="Model, as that server names it.")

    @model_validator(mode="after")
    def _has_an_address(self) -> "CompatibleLLMOptions":
        if not self.base_url:
            raise ValueError(
                "base_url is needed: where the server is, such as http://localhost:8000/v1"
            )
        return self


SPECS = (
    ProviderSpec(
        kind="llm",
        name="openai",
        title="OpenAI",
        options=OpenAILLMOptions,
        build="services.openai.llm:build_llm",
        secret_env="OPENAI_API_KEY",
        base_url_env="OPENAI_BASE_URL",
        default_base_url="https://api.openai.com/v1",
        packages=("openai",),
        install="pip install openai",
    ),
    ProviderSpec(
        kind="llm",
        name="openai_compatible",
        title="OpenAI-compatible server",
        options=CompatibleLLMOptions,
        build="services.openai.llm:build_compatible_llm",
        base_url_env=None,
        packages=("openai",),
        install="pip install openai",
        aliases=("local", "vllm", "ollama", "custom"),
    ),
)
