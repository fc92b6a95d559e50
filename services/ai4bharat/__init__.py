"""AI4Bharat models on a server of one's own: Indic Conformer hears, Indic Parler speaks.

Two servers without keys: one HTTP request per utterance for speech-to-text, one WebSocket per
sentence for text-to-speech.
"""

from collections.abc import Mapping

from pydantic import AliasChoices, Field

from config.providers import ProviderOptions, ProviderSpec, WireFormat
from services.parler.voices import speaker_for

__all__ = ["SPECS", "AI4BharatSTTOptions", "AI4BharatTTSOptions", "speaker_for"]

# fmt: off
_SCHEDULED = (
    "as", "bn", "brx", "doi", "gu", "hi", "kn", "ks", "kok", "mai", "ml",
    "mni", "mr", "ne", "or", "pa", "sa", "sat", "sd", "ta", "te", "ur",
)
# fmt: on

#: Our code to the recogniser's. Bhili is served by a second model on a door of its own. There
#: is no English.
STT_LANGUAGES: Mapping[str, str] = {code: code for code in (*_SCHEDULED, "bhb")}

#: Our code to the synthesiser's. Its model card names 21; Punjabi and Kashmiri were in the
#: training data too and are spoken well enough to be used, Bhili needs its second model.
TTS_LANGUAGES: Mapping[str, str] = {
    **{code: code for code in _SCHEDULED},
    "en-IN": "en",
    "bhb": "bhb",
}


class AI4BharatSTTOptions(ProviderOptions):
    """Options of ``stt.ai4bharat``."""

    timeout_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=30,
        description="How long one utterance may take. The server has no "
        "limit of its own and can hang for ever.",
    )
    max_speech_seconds: float = Field(
        default=30.0, ge=2, le=120, description="Longer speech is sent in pieces of this length."
    )


class AI4BharatTTSOptions(ProviderOptions):
    """Options of ``tts.ai4bharat``."""

    voice: str | None = Field(
        default=None,
        max_length=60,
        validation_alias=AliasChoices("voice", "speaker"),
        description="Named speaker of the model, such as Divya, or female or male; by default "
        "a woman who speaks the language.",
    )
    description: str = Field(
        default="A calm clear voice, moderate pace, close recording",
        max_length=500,
        description="How to speak, in English words.",
    )
    connect_timeout_seconds: float = Field(
        default=3.0, ge=0.2, le=30, description="How long the server may take to accept a sentence."
    )
    stall_timeout_seconds: float = Field(
        default=2.0,
        ge=0.2,
        le=30,
        description="How long a sentence may go without audio, at its start too.",
    )


SPECS = (
    ProviderSpec(
        kind="stt",
        name="ai4bharat",
        title="AI4Bharat Indic Conformer",
        options=AI4BharatSTTOptions,
        build="services.ai4bharat.stt:build_stt",
        languages=STT_LANGUAGES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=16_000),),
        base_url_env="INDIC_STT_SERVER_URL",
        default_base_url="http://localhost:8001",
        packages=("aiohttp", "soxr"),
        install="pip install aiohttp soxr",
    ),
    ProviderSpec(
        kind="tts",
        name="ai4bharat",
        title="AI4Bharat Indic Parler",
        options=AI4BharatTTSOptions,
        build="services.ai4bharat.tts:build_tts",
        render="services.ai4bharat.tts:render",
        languages=TTS_LANGUAGES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=44_100),),
        base_url_env="INDIC_TTS_SERVER_URL",
        default_base_url="http://localhost:8002",
        packages=("aiohttp", "soxr"),
        install="pip install aiohttp soxr",
    ),
)
