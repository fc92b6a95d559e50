"""Smallest AI: streaming text-to-speech (Lightning models of the Waves API).

Wire facts: docs.smallest.ai, Waves, ``/waves/v1/tts/live``; Pipecat 1.14's client.
"""

from typing import Literal

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "SmallestTTSOptions"]


class SmallestTTSOptions(KeyedProviderOptions):
    """Options of ``tts.smallest``."""

    model: Literal["lightning_v3.1_pro", "lightning_v3.1"] = Field(
        default="lightning_v3.1_pro", description="Model; each has voices of its own."
    )
    voice: str | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        validation_alias=AliasChoices("voice", "voice_id"),
        description="Id of the voice, such as meher (lightning_v3.1_pro, Hindi and English), "
        "which is the default; other languages need a voice that speaks them.",
    )
    speed: float = Field(default=1.0, ge=0.5, le=2.0, description="Speaking rate.")
    max_buffer_delay_ms: int = Field(
        default=0,
        ge=0,
        le=5000,
        description="How long Smallest may hold a sentence back to join it with the next; its "
        "own default is 3000.",
    )


#: The Indian ones of the languages in Smallest's specification.
_LANGUAGES = {
    code: code.split("-")[0]
    for code in ("bn", "en-IN", "gu", "hi", "kn", "ml", "mr", "or", "pa", "ta", "te")
}

SPECS = (
    ProviderSpec(
        kind="tts",
        name="smallest",
        title="Smallest AI",
        options=SmallestTTSOptions,
        build="services.smallest.tts:build_tts",
        render="services.smallest.synthesis:render",
        languages=_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
            WireFormat(encoding="pcm", rate_hz=24000),
        ),
        secret_env="SMALLEST_API_KEY",
        base_url_env="SMALLEST_BASE_URL",
        default_base_url="https://api.smallest.ai",
        packages=("websockets",),
        install="pip install websockets",
    ),
)
