"""Ollama: language models on a machine of one's own, without a key."""

from pydantic import Field

from config.providers import ProviderSpec
from services.openai import OpenAILLMOptions

__all__ = ["SPECS", "OllamaLLMOptions"]


class OllamaLLMOptions(OpenAILLMOptions):
    """Options of ``llm.ollama``. A key is for a server behind a proxy that asks for one."""

    model: str = Field(description="Model, as `ollama list` names it, such as gemma3:12b.")
    thinking: bool | None = Field(
        default=None,
        description="false: a model that can think first is told not to, which a caller would "
        "hear as silence; left out, the model's own way.",
    )


SPECS = (
    ProviderSpec(
        kind="llm",
        name="ollama",
        title="Ollama",
        options=OllamaLLMOptions,
        build="services.ollama.llm:build_llm",
        base_url_env="OLLAMA_BASE_URL",
        default_base_url="http://localhost:11434/v1",
        packages=("openai",),
        install="pip install openai",
    ),
)
