"""Deepgram: streaming speech-to-text (nova models).

Wire facts: developers.deepgram.com, v1 listen.
"""

from pydantic import Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "DeepgramSTTOptions"]


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

SPECS = (
    ProviderSpec(
        kind="stt",
        name="deepgram",
        title="Deepgram",
        options=DeepgramSTTOptions,
        build="services.deepgram.stt:build_stt",
        languages=_STT_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
        ),
        secret_env="DEEPGRAM_API_KEY",
        backend_model="Deepgram",
        base_url_env="DEEPGRAM_BASE_URL",
        default_base_url="https://api.deepgram.com",
        packages=("deepgram",),
        install="pip install deepgram-sdk",
    ),
)
