"""Azure AI Speech: speech-to-text and text-to-speech over its own WebSocket protocol."""

from typing import Literal

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "VOICES", "AzureSTTOptions", "AzureTTSOptions"]


class AzureOptions(KeyedProviderOptions):
    """What both directions need."""

    region: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]{2,40}$",
        description="Region of the Speech resource, by default centralindia; without meaning for "
        "an address of a resource's own.",
    )


class AzureSTTOptions(AzureOptions):
    """Options of ``stt.azure``."""

    endpoint_id: str | None = Field(
        default=None, max_length=100, description="Id of a custom model's deployment."
    )
    segmentation_silence_ms: int = Field(
        default=400, ge=100, le=5000, description="Silence after which Azure closes a phrase."
    )
    profanity: Literal["raw", "masked", "removed"] = Field(
        default="raw", description="What becomes of swear words."
    )


class AzureTTSOptions(AzureOptions):
    """Options of ``tts.azure``."""

    voice: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[A-Za-z0-9:_-]+$",
        validation_alias=AliasChoices("voice", "voice_id", "speaker"),
        description="Name of the voice, such as hi-IN-MadhurNeural; by default a woman's of the "
        "agent's language.",
    )
    speaking_rate: float = Field(default=1.0, ge=0.5, le=2.0, description="Speaking rate.")
    pitch_percent: int = Field(default=0, ge=-50, le=50, description="Change of the pitch.")
    style: str | None = Field(
        default=None,
        max_length=40,
        pattern=r"^[a-z-]+$",
        description="Speaking style of the voice, such as cheerful, where it has any.",
    )


#: Languages that Azure hears and speaks; Odia's recognition was not seen in Microsoft's own table.
_LANGUAGES = {
    "as": "as-IN",
    "bn": "bn-IN",
    "en-IN": "en-IN",
    "gu": "gu-IN",
    "hi": "hi-IN",
    "kn": "kn-IN",
    "ml": "ml-IN",
    "mr": "mr-IN",
    "ne": "ne-NP",
    "or": "or-IN",
    "pa": "pa-IN",
    "ta": "ta-IN",
    "te": "te-IN",
    "ur": "ur-IN",
}

#: A voice for each language that Azure speaks (Microsoft's table of neural voices).
VOICES = {
    "as-IN": "as-IN-YashicaNeural",
    "bn-IN": "bn-IN-TanishaaNeural",
    "en-IN": "en-IN-NeerjaNeural",
    "gu-IN": "gu-IN-DhwaniNeural",
    "hi-IN": "hi-IN-SwaraNeural",
    "kn-IN": "kn-IN-SapnaNeural",
    "ml-IN": "ml-IN-SobhanaNeural",
    "mr-IN": "mr-IN-AarohiNeural",
    "ne-NP": "ne-NP-HemkalaNeural",
    "or-IN": "or-IN-SubhasiniNeural",
    "pa-IN": "pa-IN-VaaniNeural",
    "ta-IN": "ta-IN-PallaviNeural",
    "te-IN": "te-IN-ShrutiNeural",
    "ur-IN": "ur-IN-GulNeural",
}
_ADDRESS = "https://centralindia.api.cognitive.microsoft.com"
_INSTALL = 'pip install "pipecat-ai[azure]"'

SPECS = (
    ProviderSpec(
        kind="stt",
        name="azure",
        title="Azure AI Speech",
        options=AzureSTTOptions,
        build="services.azure.stt:build_stt",
        languages=_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
        ),
        secret_env="AZURE_SPEECH_API_KEY",
        base_url_env="AZURE_SPEECH_BASE_URL",
        default_base_url=_ADDRESS,
        packages=("azure.cognitiveservices.speech",),
        install=_INSTALL,
    ),
    ProviderSpec(
        kind="tts",
        name="azure",
        title="Azure AI Speech",
        options=AzureTTSOptions,
        build="services.azure.tts:build_tts",
        render="services.azure.tts:render",
        languages=_LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8000),
            WireFormat(encoding="pcm", rate_hz=16000),
            WireFormat(encoding="pcm", rate_hz=24000),
        ),
        secret_env="AZURE_SPEECH_API_KEY",
        base_url_env="AZURE_SPEECH_BASE_URL",
        default_base_url=_ADDRESS,
        packages=("azure.cognitiveservices.speech",),
        install=_INSTALL,
    ),
)
