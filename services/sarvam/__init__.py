"""Sarvam AI: streaming text-to-speech (bulbul models) in eleven languages.

Wire facts: docs.sarvam.ai, text-to-speech stream.
"""

from collections.abc import Collection
from typing import Literal

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "SarvamTTSOptions"]


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

SPECS = (
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
