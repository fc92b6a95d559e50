"""Soniox: streaming speech-to-text.

Wire facts: soniox.com/docs, real-time API; Pipecat 1.14's client.
"""

from pydantic import Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "SonioxSTTOptions"]


class SonioxSTTOptions(KeyedProviderOptions):
    """Options of ``stt.soniox``."""

    model: str = Field(default="stt-rt-v5", min_length=1, description="Model, such as stt-rt-v5.")
    language_hints: tuple[str, ...] = Field(
        default=(),
        max_length=10,
        description="Further languages that callers may mix in, as Soniox writes them: en, ur, …",
    )
    language_hints_strict: bool = Field(
        default=False, description="Hear no other languages than the agent's and the hints."
    )
    terms: tuple[str, ...] = Field(
        default=(), max_length=100, description="Names and terms to listen for."
    )
    context: str | None = Field(
        default=None, max_length=4000, description="What calls are about, as a hint."
    )


#: What Soniox hears of ours; ``auto`` (no hint at all) may be given as the section's `language`.
_LANGUAGES = {
    code: code.split("-")[0]
    for code in ("bn", "en-IN", "gu", "hi", "kn", "ml", "mr", "pa", "ta", "te", "ur")
}

SPECS = (
    ProviderSpec(
        kind="stt",
        name="soniox",
        title="Soniox",
        options=SonioxSTTOptions,
        build="services.soniox.stt:build_stt",
        languages=_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
        ),
        secret_env="SONIOX_API_KEY",
        base_url_env="SONIOX_BASE_URL",
        default_base_url="https://stt-rt.soniox.com",
        packages=("websockets",),
        install="pip install websockets",
    ),
)
