"""Groq: open models on its own chips, for hearing and for thinking. Not xAI's Grok."""

from typing import Any, Literal

from pydantic import Field

from config.providers import ProviderSpec, WireFormat
from services.openai import OpenAILLMOptions
from services.openai.options import WHISPER_LANGUAGES, WhisperSTTOptions

__all__ = ["SPECS", "GroqLLMOptions", "GroqSTTOptions"]


class GroqLLMOptions(OpenAILLMOptions):
    """Options of ``llm.groq``."""

    model: str = Field(
        default="llama-3.3-70b-versatile",
        description="Model, such as llama-3.3-70b-versatile or openai/gpt-oss-120b.",
    )
    reasoning_effort: Literal["none", "default", "low", "medium", "high"] | None = Field(
        default=None,
        description="How much it thinks first: none or default with Qwen's models, low to high "
        "with gpt-oss; others refuse the option.",
    )


class GroqSTTOptions(WhisperSTTOptions):
    """Options of ``stt.groq``."""

    model: str = Field(
        default="whisper-large-v3-turbo",
        description="whisper-large-v3-turbo, or whisper-large-v3, which errs less.",
    )


_ACCOUNT: dict[str, Any] = {
    "secret_env": "GROQ_API_KEY",
    "base_url_env": "GROQ_BASE_URL",
    "default_base_url": "https://api.groq.com/openai/v1",
    "packages": ("openai",),
    "install": "pip install openai",
}

SPECS = (
    ProviderSpec(
        kind="llm",
        name="groq",
        title="Groq",
        options=GroqLLMOptions,
        build="services.groq.llm:build_llm",
        **_ACCOUNT,
    ),
    ProviderSpec(
        kind="stt",
        name="groq",
        title="Groq Whisper",
        options=GroqSTTOptions,
        build="services.groq.stt:build_stt",
        languages=WHISPER_LANGUAGES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=8000),),
        **_ACCOUNT,
    ),
)
