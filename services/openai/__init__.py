"""OpenAI: its models, ears and voices, and every server that speaks its chat protocol.

It hears in two ways, which are two providers because they have different models, options and
prices, and so that one can stand behind the other in a chain: ``openai`` sends each utterance
whole, ``openai_realtime`` streams it over a socket.
"""

from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat
from services.openai.options import (
    WHISPER_LANGUAGES,
    OpenAIRealtimeSTTOptions,
    OpenAISTTOptions,
    OpenAITTSOptions,
)

__all__ = [
    "SPECS",
    "CompatibleLLMOptions",
    "OpenAILLMOptions",
    "OpenAIRealtimeSTTOptions",
    "OpenAISTTOptions",
    "OpenAITTSOptions",
]


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

    model_config = ConfigDict(json_schema_extra=lambda schema: _drop(schema, "required"))

    model: str = Field(description="Model, as that server names it.")
    thinking: bool | None = Field(
        default=None,
        description="false: a model that can think first (Qwen 3 and others on vLLM) is told not "
        "to, which a caller would hear as silence; left out, the server decides.",
    )
    top_k: int | None = Field(
        default=None, ge=1, le=1000, description="How many words it may choose from (vLLM)."
    )
    repetition_penalty: float | None = Field(
        default=None, gt=0, le=2, description="Above 1 it avoids words it has said (vLLM)."
    )
    custom_llm_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Id of a custom LLM in VoiceERA's backend, which then says its base_url, "
        "model and key.",
    )
    backend_config_field: ClassVar[str | None] = "custom_llm_id"

    @model_validator(mode="before")
    @classmethod
    def _backend_knows_the_model(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("custom_llm_id"):
            return {"model": "", **data}
        return data

    @model_validator(mode="after")
    def _has_an_address(self) -> "CompatibleLLMOptions":
        if not self.base_url and not self.custom_llm_id:
            raise ValueError(
                "base_url is needed: where the server is, such as http://localhost:8000/v1"
            )
        return self


def _drop(schema: dict[str, Any], key: str) -> None:
    """Editors know no "needed unless": the model need not stand beside a ``custom_llm_id``."""
    schema.pop(key, None)


#: Where OpenAI is, and whose account pays.
_ACCOUNT: dict[str, Any] = {
    "secret_env": "OPENAI_API_KEY",
    "backend_model": "OpenAI",
    "base_url_env": "OPENAI_BASE_URL",
    "default_base_url": "https://api.openai.com/v1",
    "packages": ("openai",),
    "install": "pip install openai",
}

SPECS = (
    ProviderSpec(
        kind="llm",
        name="openai",
        title="OpenAI",
        options=OpenAILLMOptions,
        build="services.openai.llm:build_llm",
        **_ACCOUNT,
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
        aliases=("local", "vllm", "custom"),
    ),
    ProviderSpec(
        kind="stt",
        name="openai",
        title="OpenAI",
        options=OpenAISTTOptions,
        build="services.openai.stt:build_stt",
        languages=WHISPER_LANGUAGES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=8000),),
        **_ACCOUNT,
    ),
    ProviderSpec(
        kind="stt",
        name="openai_realtime",
        title="OpenAI Realtime",
        options=OpenAIRealtimeSTTOptions,
        build="services.openai.realtime:build_stt",
        languages=WHISPER_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="mulaw", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=24_000),
        ),
        **_ACCOUNT,
    ),
    ProviderSpec(
        kind="tts",
        name="openai",
        title="OpenAI",
        options=OpenAITTSOptions,
        build="services.openai.tts:build_tts",
        render="services.openai.tts:render",
        languages=WHISPER_LANGUAGES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=24_000),),
        **_ACCOUNT,
    ),
)
