"""The options of everything that OpenAI hears and speaks."""

from collections.abc import Mapping
from typing import Literal

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions

#: Our code to Whisper's. The first line is what OpenAI documents as understood well enough (less
#: than half of the words wrong); the second its models have a token for, and take with more
#: errors. Of the others (Odia, Bodo, Dogri, Kashmiri, Konkani, Maithili, Manipuri, Santali,
#: Bhili) they know nothing, and answer 400.
WHISPER_LANGUAGES: Mapping[str, str] = {
    **{code: code for code in ("hi", "kn", "mr", "ne", "ta", "ur")},
    **{code: code for code in ("as", "bn", "gu", "ml", "pa", "sa", "sd", "te")},
    "en-IN": "en",
}


class WhisperSTTOptions(KeyedProviderOptions):
    """What recognisers that take one utterance at a time have in common."""

    prompt: str | None = Field(
        default=None,
        max_length=1000,
        description="Words in the caller's language that are likely to be said, such as names.",
    )
    temperature: float | None = Field(
        default=None, ge=0, le=1, description="How freely it guesses; the model's own default."
    )
    timeout_seconds: float = Field(
        default=5.0, ge=0.5, le=30, description="How long one utterance may take."
    )


class OpenAISTTOptions(WhisperSTTOptions):
    """Options of ``stt.openai``."""

    model: str = Field(
        default="gpt-transcribe",
        description="gpt-transcribe, gpt-4o-transcribe, gpt-4o-mini-transcribe or whisper-1.",
    )


class OpenAIRealtimeSTTOptions(KeyedProviderOptions):
    """Options of ``stt.openai_realtime``."""

    model: str = Field(
        default="gpt-realtime-whisper",
        description="gpt-realtime-whisper, gpt-live-transcribe or gpt-transcribe.",
    )
    noise_reduction: Literal["near_field", "far_field"] | None = Field(
        default=None, description="near_field for a telephone at the ear, far_field for a room."
    )
    connect_timeout_seconds: float = Field(
        default=3.0, ge=0.2, le=30, description="How long the server may take to be ready."
    )
    final_timeout_seconds: float = Field(
        default=4.0,
        ge=0.2,
        le=30,
        description="How long the final text is awaited once the caller is silent.",
    )


class OpenAITTSOptions(KeyedProviderOptions):
    """Options of ``tts.openai``."""

    model: str = Field(default="gpt-4o-mini-tts", description="gpt-4o-mini-tts, tts-1 or tts-1-hd.")
    voice: str = Field(
        default="coral",
        min_length=1,
        max_length=60,
        validation_alias=AliasChoices("voice", "voice_id", "speaker"),
        description="Voice, such as alloy, ash, ballad, coral, echo, fable, nova, onyx, sage, "
        "shimmer, verse, marin or cedar. It speaks the language of its text.",
    )
    instructions: str | None = Field(
        default=None,
        max_length=2000,
        description="How to speak, in words (not with tts-1): accent, pace, mood.",
    )
    speed: float | None = Field(default=None, ge=0.25, le=4.0, description="Speaking rate.")
    timeout_seconds: float = Field(
        default=4.0,
        ge=0.5,
        le=30,
        description="How long a sentence may go without audio, at its start too.",
    )
