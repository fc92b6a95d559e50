"""ElevenLabs: realtime speech-to-text (Scribe) and streaming text-to-speech.

Wire facts: elevenlabs.io/docs, realtime speech to text and multi-context WebSocket; which
languages a model takes is as the API answers, which differs from its lists here and there.
"""

from typing import Any, Literal

from pydantic import AliasChoices, Field, field_validator

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "ElevenLabsSTTOptions", "ElevenLabsTTSOptions"]

TTSModel = Literal[
    "eleven_flash_v2_5",
    "eleven_turbo_v2_5",
    "eleven_v3",
    "eleven_v3_conversational",
    "eleven_v4",
    "eleven_v4_turbo",
]


class ElevenLabsSTTOptions(KeyedProviderOptions):
    """Options of ``stt.elevenlabs``."""

    model: Literal["scribe_v2_realtime"] = Field(
        default="scribe_v2_realtime", description="The one model that listens live."
    )
    word_timestamps: bool = Field(
        default=False, description="Have the time of each word, and the language detected."
    )
    remove_fillers: bool | None = Field(
        default=None, description="Leave out filler words and false starts."
    )
    filter_background_audio: bool | None = Field(
        default=None, description="Ignore speech and noise in the background."
    )
    keyterms: tuple[str, ...] = Field(
        default=(), max_length=50, description="Names and terms to listen for."
    )

    @field_validator("model", mode="before")
    @classmethod
    def _its_live_kind(cls, value: Any) -> Any:
        """VoiceERA's files may name the model of whole recordings."""
        return "scribe_v2_realtime" if value == "scribe_v2" else value


class ElevenLabsTTSOptions(KeyedProviderOptions):
    """Options of ``tts.elevenlabs``."""

    model: TTSModel | None = Field(
        default=None,
        description="Model; by default the quickest that speaks the language: eleven_flash_v2_5 "
        "(English, Hindi, Tamil), eleven_v4_turbo (Odia) or eleven_v3_conversational.",
    )
    voice: str = Field(
        default="EXAVITQu4vr4xnSDxMaL",
        pattern=r"^[A-Za-z0-9]{20}$",
        validation_alias=AliasChoices("voice", "voice_id"),
        description="Id of the voice, 20 letters and digits.",
    )
    stability: float | None = Field(
        default=None, ge=0.0, le=1.0, description="How little readings vary."
    )
    similarity_boost: float | None = Field(
        default=None, ge=0.0, le=1.0, description="How closely it keeps to the original voice."
    )
    style: float | None = Field(
        default=None, ge=0.0, le=1.0, description="How much the original's style is exaggerated."
    )
    speed: float | None = Field(
        default=None, ge=0.7, le=1.2, description="Speaking rate; 1.0 by default."
    )


#: ISO 639-3.
_STT_LANGUAGES = {
    "as": "asm",
    "bn": "ben",
    "en-IN": "eng",
    "gu": "guj",
    "hi": "hin",
    "kn": "kan",
    "ml": "mal",
    "mr": "mar",
    "ne": "nep",
    "or": "ori",
    "pa": "pan",
    "sd": "snd",
    "ta": "tam",
    "te": "tel",
    "ur": "urd",
}
#: ISO 639-1; which model takes which is in ``services/elevenlabs/tts.py``.
_TTS_LANGUAGES = {
    "as": "as",
    "bn": "bn",
    "en-IN": "en",
    "gu": "gu",
    "hi": "hi",
    "kn": "kn",
    "ml": "ml",
    "mr": "mr",
    "ne": "ne",
    "or": "or",
    "pa": "pa",
    "sd": "sd",
    "ta": "ta",
    "te": "te",
    "ur": "ur",
}
_LINE_RATES = (
    WireFormat(encoding="pcm", rate_hz=8000),
    WireFormat(encoding="pcm", rate_hz=16000),
)

SPECS = (
    ProviderSpec(
        kind="stt",
        name="elevenlabs",
        title="ElevenLabs",
        options=ElevenLabsSTTOptions,
        build="services.elevenlabs.stt:build_stt",
        languages=_STT_LANGUAGES,
        wire_formats=_LINE_RATES,
        secret_env="ELEVENLABS_API_KEY",
        backend_model="ElevenLabs",
        base_url_env="ELEVENLABS_BASE_URL",
        default_base_url="https://api.elevenlabs.io",
        packages=("websockets",),
        install="pip install websockets",
    ),
    ProviderSpec(
        kind="tts",
        name="elevenlabs",
        title="ElevenLabs",
        options=ElevenLabsTTSOptions,
        build="services.elevenlabs.tts:build_tts",
        render="services.elevenlabs.tts:render",
        languages=_TTS_LANGUAGES,
        wire_formats=(*_LINE_RATES, WireFormat(encoding="pcm", rate_hz=24000)),
        secret_env="ELEVENLABS_API_KEY",
        backend_model="ElevenLabs",
        base_url_env="ELEVENLABS_BASE_URL",
        default_base_url="https://api.elevenlabs.io",
        packages=("websockets",),
        install="pip install websockets",
    ),
)
