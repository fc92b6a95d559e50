"""Deepgram: streaming speech-to-text (nova and Flux models) and text-to-speech (English).

Wire facts: developers.deepgram.com, v1 and v2 of listen and speak.
"""

from collections.abc import Collection
from typing import Literal

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "DeepgramFluxSTTOptions", "DeepgramSTTOptions", "DeepgramTTSOptions"]

FluxLanguage = Literal["de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt", "ru"]


class DeepgramSTTOptions(KeyedProviderOptions):
    """Options of ``stt.deepgram``."""

    model: str = Field(default="nova-3", description="Model, such as nova-3 or nova-2-phonecall.")
    smart_format: bool = Field(default=True, description="Write numbers, dates and money as such.")
    punctuate: bool = Field(default=True, description="Punctuate transcripts.")
    numerals: bool = Field(default=False, description="Write spoken numbers as digits.")
    profanity_filter: bool = Field(default=False, description="Mask swear words.")
    # Longer than the pause at which voice activity has Deepgram finalize (200 ms). A segment that
    # Deepgram had closed by itself before leaves nothing to finalize, and the end of the turn
    # waits 150 ms for a text that never comes.
    endpointing_ms: int = Field(
        default=400, ge=10, le=5000, description="Silence after which Deepgram closes a segment."
    )
    keyterms: tuple[str, ...] = Field(
        default=(), max_length=100, description="Names and terms to listen for (nova-3)."
    )

    def problems_with(
        self, *, variables: Collection[str], transfer_targets: Collection[str]
    ) -> list[str]:
        """A model that listens by another protocol."""
        if not self.model.startswith("flux"):
            return []
        return [f"model: {self.model} belongs to the provider deepgram_flux"]


class DeepgramFluxSTTOptions(KeyedProviderOptions):
    """Options of ``stt.deepgram_flux``."""

    model: Literal["flux-general-multi", "flux-general-en"] | None = Field(
        default=None,
        description="Model; by default flux-general-en for English, else flux-general-multi.",
    )
    language_hints: tuple[FluxLanguage, ...] = Field(
        default=("en",),
        max_length=10,
        description="Languages to expect besides the agent's (flux-general-multi).",
    )
    eot_threshold: float | None = Field(
        default=None,
        ge=0.5,
        le=1.0,
        description="How sure Flux must be that the caller has finished; its own default is 0.7.",
    )
    eot_timeout_ms: int | None = Field(
        default=None,
        ge=500,
        le=60_000,
        description="Silence after which Flux takes the caller to have finished; by default 5000.",
    )
    force_end_of_turn: bool = Field(
        default=True,
        description="Have Flux conclude as soon as voice activity notices a pause. Without it, "
        "Flux decides, which takes longer and cuts callers off less often.",
    )
    numerals: bool = Field(default=False, description="Write spoken numbers as digits.")
    profanity_filter: bool = Field(default=False, description="Mask swear words.")
    keyterms: tuple[str, ...] = Field(
        default=(), max_length=100, description="Names and terms to listen for."
    )


class DeepgramTTSOptions(KeyedProviderOptions):
    """Options of ``tts.deepgram``."""

    voice: str = Field(
        default="flux-meena-en",
        pattern=r"^(?:aura-2|flux)-[a-z]+-en$",
        validation_alias=AliasChoices("voice", "voice_id"),
        description="English voice: flux-meena-en, flux-priya-en and flux-naveen-en have an "
        "Indian accent; aura-2 voices, such as aura-2-thalia-en, have none.",
    )
    speed: float | None = Field(
        default=None, ge=0.7, le=1.5, description="Speaking rate; 1.0 by default."
    )


# nova-3 streaming; `multi` (code-switching, Hindi among ten languages) is the vendor's own
# code and may be given as the section's `language`.
_STT_LANGUAGES = {
    "hi": "hi",
    "bn": "bn",
    "gu": "gu",
    "kn": "kn",
    "mr": "mr",
    "pa": "pa",
    "ta": "ta",
    "te": "te",
    "ur": "ur",
    "ne": "ne",
    "as": "as",
    "en-IN": "en-IN",
}
_LINE_RATES = (
    WireFormat(encoding="pcm", rate_hz=8000),
    WireFormat(encoding="pcm", rate_hz=16000),
)

SPECS = (
    ProviderSpec(
        kind="stt",
        name="deepgram",
        title="Deepgram",
        options=DeepgramSTTOptions,
        build="services.deepgram.stt:build_stt",
        languages=_STT_LANGUAGES,
        code_switching={"multi": frozenset({"hi", "en-IN"})},
        wire_formats=_LINE_RATES,
        secret_env="DEEPGRAM_API_KEY",
        backend_model="Deepgram",
        base_url_env="DEEPGRAM_BASE_URL",
        default_base_url="https://api.deepgram.com",
        packages=("deepgram",),
        install="pip install deepgram-sdk",
    ),
    ProviderSpec(
        kind="stt",
        name="deepgram_flux",
        title="Deepgram Flux",
        options=DeepgramFluxSTTOptions,
        build="services.deepgram.flux:build_stt",
        languages={"hi": "hi", "en-IN": "en"},
        wire_formats=_LINE_RATES,
        secret_env="DEEPGRAM_API_KEY",
        backend_model="Deepgram",
        base_url_env="DEEPGRAM_BASE_URL",
        default_base_url="https://api.deepgram.com",
        packages=("websockets",),
        install="pip install websockets",
    ),
    ProviderSpec(
        kind="tts",
        name="deepgram",
        title="Deepgram",
        options=DeepgramTTSOptions,
        build="services.deepgram.tts:build_tts",
        render="services.deepgram.tts:render",
        languages={"en-IN": "en"},
        wire_formats=(*_LINE_RATES, WireFormat(encoding="pcm", rate_hz=24000)),
        secret_env="DEEPGRAM_API_KEY",
        backend_model="Deepgram",
        base_url_env="DEEPGRAM_BASE_URL",
        default_base_url="https://api.deepgram.com",
        packages=("websockets",),
        install="pip install websockets",
    ),
)
