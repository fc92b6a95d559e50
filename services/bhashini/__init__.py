"""Bhashini, the public language service of India: hears 23 languages, speaks 25.

``bhashini``: speech is recognised over a streaming WebSocket, or utterance by utterance over the
ULCA pipeline (REST); the same pipeline speaks. ``bhashini_bhili`` and ``bhashini_parler`` are
models of its own on NVIDIA's cloud functions, over gRPC, each with an account of its own: hence
providers of their own. An agent in Bhili that says ``bhashini`` is given these.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions, ProviderSpec, WireFormat

__all__ = [
    "SPECS",
    "BhashiniParlerTTSOptions",
    "BhashiniSTTOptions",
    "BhashiniTTSOptions",
    "BhiliSTTOptions",
    "tts_service_for",
]

# fmt: off
_SCHEDULED = (
    "as", "bn", "brx", "doi", "gu", "hi", "kn", "ks", "kok", "mai", "ml",
    "mni", "mr", "ne", "or", "pa", "sa", "sat", "sd", "ta", "te", "ur",
)
# fmt: on

#: Our code to the recognisers'. Neither of the two default models knows English.
STT_LANGUAGES: Mapping[str, str] = {code: code for code in _SCHEDULED}

_TTS_SERVICE = "ai4bharat/indic-tts-coqui-{family}-gpu--t4"
_TTS_FAMILIES: Mapping[str, str] = {
    **dict.fromkeys(("kn", "ml", "ta", "te"), "dravidian"),
    **dict.fromkeys(("as", "bn", "gu", "hi", "mr", "or", "pa"), "indo_aryan"),
    **dict.fromkeys(("brx", "en", "mni"), "misc"),
}
#: Our code to the synthesisers'; other languages have none over REST.
TTS_LANGUAGES: Mapping[str, str] = {
    "en-IN" if code == "en" else code: code for code in _TTS_FAMILIES
}


#: The one language of the recogniser on NVCF.
BHILI_LANGUAGES: Mapping[str, str] = {"bhb": "bhb"}
#: Our code to the code of the synthesiser on NVCF.
PARLER_LANGUAGES: Mapping[str, str] = {code: code for code in (*_SCHEDULED, "bhb")}


def tts_service_for(vendor_language: str) -> str:
    """The service that speaks a language.

    >>> tts_service_for("ta")
    'ai4bharat/indic-tts-coqui-dravidian-gpu--t4'
    """
    return _TTS_SERVICE.format(family=_TTS_FAMILIES.get(vendor_language, "indo_aryan"))


class BhashiniSTTOptions(KeyedProviderOptions):
    """Options of ``stt.bhashini``."""

    mode: Literal["streaming", "ulca"] = Field(
        default="streaming",
        description="streaming: text while the caller speaks, over a WebSocket; ulca: one "
        "request per utterance.",
    )
    service_id: str | None = Field(
        default=None,
        max_length=200,
        validation_alias=AliasChoices("service_id", "model"),
        description="Bhashini's name of the recogniser; by default one for all 22 languages.",
    )
    post_processors: tuple[str, ...] = Field(
        default=("itn", "punctuation"),
        max_length=5,
        description="What is done to texts: itn writes numbers as digits.",
    )
    connect_timeout_seconds: float = Field(
        default=2.0, ge=0.2, le=30, description="How long the server may take to take a stream."
    )
    final_timeout_seconds: float = Field(
        default=0.8,
        ge=0.1,
        le=10,
        description="How long the final text of a stream is awaited once the caller is silent; "
        "then the last interim one counts.",
    )
    timeout_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=30,
        description="How long one utterance may take in mode ulca.",
    )
    max_speech_seconds: float = Field(
        default=30.0, ge=2, le=120, description="Longer speech is sent in pieces of this length."
    )


class BhashiniTTSOptions(KeyedProviderOptions):
    """Options of ``tts.bhashini``."""

    gender: Literal["female", "male"] = Field(
        default="female",
        validation_alias=AliasChoices("gender", "voice"),
        description="female or male: the service has one voice of each.",
    )
    speed: float = Field(default=1.0, ge=0.5, le=2.0, description="Speaking rate.")
    service_id: str | None = Field(
        default=None,
        max_length=200,
        validation_alias=AliasChoices("service_id", "model"),
        description="Bhashini's name of the synthesiser; by default the one for the language.",
    )
    timeout_seconds: float = Field(
        default=4.0,
        ge=0.5,
        le=30,
        description="How long one sentence may take.",
    )


class _FunctionOptions(KeyedProviderOptions):
    """What every model on NVCF takes."""

    function_id: str | None = Field(
        default=None,
        max_length=100,
        description="Id of the NVCF function; better left to the environment.",
    )
    function_version_id: str | None = Field(
        default=None,
        max_length=100,
        description="Version of the function; by default whichever is deployed.",
    )
    connect_timeout_seconds: float = Field(
        default=3.0, ge=0.2, le=30, description="How long the server may take to be reached."
    )


class BhiliSTTOptions(_FunctionOptions):
    """Options of ``stt.bhashini_bhili``."""

    final_timeout_seconds: float = Field(
        default=1.5,
        ge=0.1,
        le=10,
        description="How long the final text is awaited once the caller is silent; then the last "
        "interim one counts.",
    )
    max_speech_seconds: float = Field(
        default=30.0, ge=2, le=120, description="Longer speech is sent in pieces of this length."
    )


class BhashiniParlerTTSOptions(_FunctionOptions):
    """Options of ``tts.bhashini_parler``."""

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
    bhili_code: Literal["bhb", "bhli"] = Field(
        default="bhb", description="What the deployment calls Bhili; newer ones say bhli."
    )
    stall_timeout_seconds: float = Field(
        default=2.0,
        ge=0.2,
        le=30,
        description="How long a sentence may go without audio, at its start too.",
    )


_NVCF_ADDRESS = "https://grpc.nvcf.nvidia.com"
_NVCF_PACKAGES = ("grpc", "google.protobuf", "soxr")
_NVCF_INSTALL = "pip install grpcio protobuf soxr"
_ADDRESS = "https://dhruva-api.bhashini.gov.in"

SPECS = (
    ProviderSpec(
        kind="stt",
        name="bhashini",
        title="Bhashini",
        options=BhashiniSTTOptions,
        build="services.bhashini.stt:build_stt",
        languages=STT_LANGUAGES,
        elsewhere={"bhb": "bhashini_bhili"},
        wire_formats=(WireFormat(encoding="pcm", rate_hz=16_000),),
        secret_env="BHASHINI_API_KEY",
        backend_model="Bhashini",
        base_url_env="BHASHINI_BASE_URL",
        default_base_url=_ADDRESS,
        packages=("aiohttp", "soxr"),
        install="pip install aiohttp soxr",
    ),
    ProviderSpec(
        kind="tts",
        name="bhashini",
        title="Bhashini",
        options=BhashiniTTSOptions,
        build="services.bhashini.tts:build_tts",
        render="services.bhashini.tts:render",
        languages=TTS_LANGUAGES,
        elsewhere={"bhb": "bhashini_parler"},
        wire_formats=(WireFormat(encoding="pcm", rate_hz=8_000),),
        secret_env="BHASHINI_API_KEY",
        backend_model="Bhashini",
        base_url_env="BHASHINI_BASE_URL",
        default_base_url=_ADDRESS,
        packages=("aiohttp", "soxr"),
        install="pip install aiohttp soxr",
    ),
    ProviderSpec(
        kind="stt",
        name="bhashini_bhili",
        title="Bhashini Bhili",
        options=BhiliSTTOptions,
        build="services.bhashini.bhili:build_stt",
        languages=BHILI_LANGUAGES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=16_000),),
        secret_env="BHASHINI_BHILI_STT_AUTH_TOKEN",
        option_env={"function_id": "BHASHINI_BHILI_STT_FUNCTION_ID"},
        base_url_env="BHASHINI_NVCF_BASE_URL",
        default_base_url=_NVCF_ADDRESS,
        packages=_NVCF_PACKAGES,
        install=_NVCF_INSTALL,
    ),
    ProviderSpec(
        kind="tts",
        name="bhashini_parler",
        title="Bhashini Parler",
        options=BhashiniParlerTTSOptions,
        build="services.bhashini.parler:build_tts",
        render="services.bhashini.parler:render",
        languages=PARLER_LANGUAGES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=44_100),),
        secret_env="BHASHINI_TTS_AUTH_TOKEN",
        option_env={"function_id": "BHASHINI_TTS_FUNCTION_ID"},
        base_url_env="BHASHINI_NVCF_BASE_URL",
        default_base_url=_NVCF_ADDRESS,
        packages=_NVCF_PACKAGES,
        install=_NVCF_INSTALL,
    ),
)
