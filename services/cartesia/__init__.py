"""Cartesia: streaming text-to-speech (sonic models)."""

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "CartesiaTTSOptions"]


class CartesiaTTSOptions(KeyedProviderOptions):
    """Options of ``tts.cartesia``."""

    model: str = Field(default="sonic-3", description="Model, such as sonic-3.")
    voice: str = Field(
        default="86e30c1d-714b-4074-a1f2-1cb6b552fb49",
        validation_alias=AliasChoices("voice", "voice_id"),
        description="Id of the voice, from Cartesia's voice library.",
    )
    speed: float | None = Field(default=None, ge=0.6, le=1.5, description="Speaking rate.")
    volume: float | None = Field(default=None, ge=0.5, le=2.0, description="Loudness (sonic-3).")
    emotion: str | None = Field(default=None, description="Such as neutral or calm (sonic-3).")
    sample_rate: int | None = Field(
        default=None,
        description="Taken for the sake of older files; audio is always asked for at the line's "
        "own rate, so that nothing has to be resampled.",
    )


_LANGUAGES = {
    code: code.split("-")[0]
    for code in ("bn", "en-IN", "gu", "hi", "kn", "ml", "mr", "or", "pa", "ta", "te", "ur")
}

SPECS = (
    ProviderSpec(
        kind="tts",
        name="cartesia",
        title="Cartesia",
        options=CartesiaTTSOptions,
        build="services.cartesia.tts:build_tts",
        render="services.cartesia.tts:render",
        languages=_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
            WireFormat(encoding="pcm", rate_hz=24000),
        ),
        secret_env="CARTESIA_API_KEY",
        backend_model="Cartesia",
        base_url_env="CARTESIA_BASE_URL",
        default_base_url="https://api.cartesia.ai",
        packages=("cartesia",),
        install="pip install cartesia",
    ),
)
