"""Google: Cloud Speech-to-Text, Cloud Text-to-Speech and the Gemini models."""

from typing import ClassVar

from pydantic import AliasChoices, Field, SecretStr

from config.providers import KeyedProviderOptions, ProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "GoogleLLMOptions", "GoogleSTTOptions", "GoogleTTSOptions"]


class GoogleCloudOptions(ProviderOptions):
    """What both directions of speech need."""

    credentials_path: SecretStr | None = Field(
        default=None,
        description="Path of a service account's JSON key file; better left to the environment.",
    )
    secret_field: ClassVar[str | None] = "credentials_path"


class GoogleSTTOptions(GoogleCloudOptions):
    """Options of ``stt.google``."""

    model: str = Field(
        default="latest_long",
        min_length=1,
        max_length=60,
        description="Model, such as latest_long, telephony or chirp_2; not every location has "
        "every model in every language.",
    )
    location: str = Field(
        default="global",
        pattern=r"^[a-z0-9-]{2,40}$",
        description="Google Cloud location, such as global or asia-south1.",
    )
    project: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9-]{4,29}$",
        description="Google Cloud project; by default that of the key file.",
    )
    punctuate: bool = Field(default=True, description="Write punctuation.")
    profanity_filter: bool = Field(default=False, description="Mask swear words.")


class GoogleTTSOptions(GoogleCloudOptions):
    """Options of ``tts.google``."""

    voice: str = Field(
        default="Kore",
        pattern=r"^[A-Za-z0-9-]{2,60}$",
        validation_alias=AliasChoices("voice", "voice_id", "voice_name", "speaker"),
        description="Chirp 3 HD voice, by its first name such as Kore or Charon, or whole.",
    )
    speaking_rate: float = Field(default=1.0, ge=0.25, le=2.0, description="Speaking rate.")


class GoogleLLMOptions(KeyedProviderOptions):
    """Options of ``llm.google``."""

    model: str = Field(
        default="gemini-3.6-flash",
        min_length=1,
        max_length=200,
        description="Model; it thinks as little as it lets itself be told to.",
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="How free its answers are; the model's own default."
    )
    top_p: float | None = Field(default=None, gt=0, le=1, description="Nucleus sampling.")
    max_tokens: int = Field(default=1024, ge=1, le=65_536, description="Longest answer, in tokens.")


#: Languages of the V2 models that every location has; Chirp's further ones (as-IN, or-IN, sd-IN)
#: may be given as the section's ``language``.
_STT_LANGUAGES = {
    "bn": "bn-IN",
    "en-IN": "en-IN",
    "gu": "gu-IN",
    "hi": "hi-IN",
    "kn": "kn-IN",
    "ml": "ml-IN",
    "mr": "mr-IN",
    "ne": "ne-NP",
    "pa": "pa-Guru-IN",
    "ta": "ta-IN",
    "te": "te-IN",
    "ur": "ur-IN",
}
#: Languages of the Chirp 3 HD voices, the ones that stream.
_TTS_LANGUAGES = {
    "bn": "bn-IN",
    "en-IN": "en-IN",
    "gu": "gu-IN",
    "hi": "hi-IN",
    "kn": "kn-IN",
    "ml": "ml-IN",
    "mr": "mr-IN",
    "ta": "ta-IN",
    "te": "te-IN",
    "ur": "ur-IN",
}
_INSTALL = 'pip install "pipecat-ai[google]"'

SPECS = (
    ProviderSpec(
        kind="stt",
        name="google",
        title="Google Cloud Speech-to-Text",
        options=GoogleSTTOptions,
        build="services.google.stt:build_stt",
        languages=_STT_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
        ),
        secret_env="GOOGLE_APPLICATION_CREDENTIALS",
        base_url_env="GOOGLE_STT_BASE_URL",
        default_base_url="https://speech.googleapis.com",
        packages=("google.cloud.speech_v2",),
        install=_INSTALL,
    ),
    ProviderSpec(
        kind="tts",
        name="google",
        title="Google Cloud Text-to-Speech",
        options=GoogleTTSOptions,
        build="services.google.tts:build_tts",
        render="services.google.tts:render",
        languages=_TTS_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
            WireFormat(encoding="pcm", rate_hz=24000),
        ),
        secret_env="GOOGLE_APPLICATION_CREDENTIALS",
        base_url_env="GOOGLE_TTS_BASE_URL",
        default_base_url="https://texttospeech.googleapis.com",
        packages=("google.cloud.texttospeech_v1",),
        install=_INSTALL,
    ),
    ProviderSpec(
        kind="llm",
        name="google",
        title="Google Gemini",
        options=GoogleLLMOptions,
        build="services.google.llm:build_llm",
        secret_env="GOOGLE_API_KEY",
        base_url_env="GOOGLE_LLM_BASE_URL",
        default_base_url="https://generativelanguage.googleapis.com",
        packages=("google.genai",),
        install=_INSTALL,
        aliases=("gemini",),
    ),
)
