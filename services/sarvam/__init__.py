"""Sarvam AI: speech-to-text (saaras), chat models, and text-to-speech (bulbul).

Wire facts: docs.sarvam.ai, speech-to-text realtime, chat completions v1 and v2, text-to-speech
stream; and Pipecat 1.14's clients.
"""

from collections.abc import Collection
from typing import Literal

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "SarvamLLMOptions", "SarvamSTTOptions", "SarvamTTSOptions"]


class SarvamSTTOptions(KeyedProviderOptions):
    """Options of ``stt.sarvam``."""

    model: Literal["saaras:v3-realtime", "saaras:v4"] = Field(
        default="saaras:v3-realtime", description="Model of the realtime interface."
    )
    mode: Literal["transcribe", "verbatim", "codemix", "translit", "translate"] = Field(
        default="transcribe",
        description="What is written: the words in their script; every sound; English words in "
        "Latin script; all in Latin script; an English translation.",
    )
    stream_type: Literal["fast", "balanced", "simulated"] = Field(
        default="fast", description="How soon texts come: fast, or balanced with care."
    )
    prompt: str | None = Field(
        default=None, max_length=1000, description="What calls are about, as a hint."
    )
    keyterms: tuple[str, ...] = Field(
        default=(), max_length=50, description="Names and terms to listen for (saaras:v4)."
    )

    def problems_with(
        self, *, variables: Collection[str], transfer_targets: Collection[str]
    ) -> list[str]:
        """Hints that the chosen model doesn't take."""
        if self.keyterms and self.model != "saaras:v4":
            return [f"keyterms: {self.model} takes none; saaras:v4 does"]
        return [
            f"keyterms: {term[:20]}… is longer than 64 characters"
            for term in self.keyterms
            if len(term) > 64
        ]


class SarvamLLMOptions(KeyedProviderOptions):
    """Options of ``llm.sarvam``."""

    model: Literal[
        "sarvam-105b-conversations", "sarvam-105b", "gemma4", "glm5.3", "deepseekv4.1-flash"
    ] = Field(
        default="sarvam-105b-conversations",
        description="Model; sarvam-105b-conversations is made for talk and doesn't think first.",
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="How free its answers are; the model's own default."
    )
    top_p: float | None = Field(default=None, gt=0, le=1, description="Nucleus sampling.")
    max_tokens: int | None = Field(
        default=None, ge=1, le=16_384, description="Longest answer, in tokens."
    )
    reasoning_effort: Literal["low", "medium", "high"] | None = Field(
        default=None,
        description="How long it thinks before it answers; by default as little as the model "
        "can do with.",
    )

    def problems_with(
        self, *, variables: Collection[str], transfer_targets: Collection[str]
    ) -> list[str]:
        """An effort of a model that doesn't think."""
        if self.reasoning_effort and self.model == "sarvam-105b-conversations":
            return [f"reasoning_effort: {self.model} doesn't think"]
        return []


class SarvamTTSOptions(KeyedProviderOptions):
    """Options of ``tts.sarvam``."""

    model: Literal["bulbul:v3", "bulbul:v4-flash"] = Field(
        default="bulbul:v3",
        description="bulbul:v3, or bulbul:v4-flash, which is quicker and has speakers of its own.",
    )
    voice: str | None = Field(
        default=None,
        max_length=60,
        validation_alias=AliasChoices("voice", "speaker", "voice_id"),
        description="Speaker of the model, such as aditya or ritu (bulbul:v3); by default the "
        "model's own.",
    )
    pace: float = Field(default=1.0, ge=0.5, le=2.0, description="Speaking rate.")
    temperature: float | None = Field(
        default=None, ge=0.01, le=1.0, description="How much readings vary (bulbul:v3 only)."
    )
    pitch: float | None = Field(
        default=None, ge=-0.75, le=0.75, description="Pitch of the voice (bulbul:v4-flash only)."
    )
    loudness: float | None = Field(
        default=None, ge=0.3, le=3.0, description="Loudness (bulbul:v4-flash only)."
    )

    def problems_with(
        self, *, variables: Collection[str], transfer_targets: Collection[str]
    ) -> list[str]:
        """Options that the chosen model doesn't have; Pipecat would drop them with a warning."""
        lacking = ("pitch", "loudness") if self.model == "bulbul:v3" else ("temperature",)
        return [
            f"{name}: {self.model} has no {name}"
            for name in lacking
            if getattr(self, name) is not None
        ]


#: The eleven languages that the bulbul models speak. Odia is ``od-IN`` here.
_TTS_LANGUAGES = {
    "bn": "bn-IN",
    "en-IN": "en-IN",
    "gu": "gu-IN",
    "hi": "hi-IN",
    "kn": "kn-IN",
    "ml": "ml-IN",
    "mr": "mr-IN",
    "or": "od-IN",
    "pa": "pa-IN",
    "ta": "ta-IN",
    "te": "te-IN",
}

#: The 22 scheduled languages and Indian English. Odia is ``or-IN`` in the realtime interface.
_STT_LANGUAGES = {
    code: code if code == "en-IN" else f"{code}-IN"
    for code in (
        *("as", "bn", "brx", "doi", "en-IN", "gu", "hi", "kn", "kok", "ks", "mai", "ml"),
        *("mni", "mr", "ne", "or", "pa", "sa", "sat", "sd", "ta", "te", "ur"),
    )
}

SPECS = (
    ProviderSpec(
        kind="stt",
        name="sarvam",
        title="Sarvam AI",
        options=SarvamSTTOptions,
        build="services.sarvam.stt:build_stt",
        languages=_STT_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
        ),
        secret_env="SARVAM_API_KEY",
        backend_model="Sarvam",
        base_url_env="SARVAM_BASE_URL",
        default_base_url="https://api.sarvam.ai",
        packages=("websockets",),
        install="pip install websockets",
    ),
    ProviderSpec(
        kind="llm",
        name="sarvam",
        title="Sarvam AI",
        options=SarvamLLMOptions,
        build="services.sarvam.llm:build_llm",
        secret_env="SARVAM_API_KEY",
        backend_model="Sarvam",
        base_url_env="SARVAM_BASE_URL",
        default_base_url="https://api.sarvam.ai",
        packages=("openai",),
        install="pip install openai",
    ),
    ProviderSpec(
        kind="tts",
        name="sarvam",
        title="Sarvam AI",
        options=SarvamTTSOptions,
        build="services.sarvam.tts:build_tts",
        languages=_TTS_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
            WireFormat(encoding="pcm", rate_hz=24000),
        ),
        secret_env="SARVAM_API_KEY",
        backend_model="Sarvam",
        base_url_env="SARVAM_BASE_URL",
        default_base_url="https://api.sarvam.ai",
        packages=("websockets",),
        install="pip install websockets",
    ),
)
