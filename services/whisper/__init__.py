"""Whisper: OpenAI's open recogniser on this machine (faster-whisper), without a key."""

from collections.abc import Mapping
from typing import Literal

from pydantic import AliasChoices, Field

from config.providers import ProviderOptions, ProviderSpec, WireFormat

__all__ = ["LANGUAGES", "SPECS", "WhisperSTTOptions"]

#: Our code to the model's token, for each that it has one of. How well it knows them differs:
#: its small models read little but Hindi, Urdu, Tamil and English.
LANGUAGES: Mapping[str, str] = {
    **{
        code: code
        for code in (
            *("as", "bn", "gu", "hi", "kn", "ml", "mr"),
            *("ne", "pa", "sa", "sd", "ta", "te", "ur"),
        )
    },
    "en-IN": "en",
}


class WhisperSTTOptions(ProviderOptions):
    """Options of ``stt.whisper``."""

    model: str = Field(
        default="small",
        min_length=1,
        max_length=400,
        validation_alias=AliasChoices("model", "model_path", "model_size"),
        description="Size (tiny, base, small, medium, large-v3, turbo), name at Hugging Face, or "
        "folder of a model in CTranslate2's format. It must be on disk.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where it runs.")
    compute_type: Literal["default", "int8", "int8_float16", "float16", "float32"] = Field(
        default="int8", description="Its numbers; int8 is the fastest on a CPU."
    )
    parallel: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Utterances that are read at the same time; further ones wait.",
    )
    cpu_threads: int = Field(
        default=1, ge=1, le=64, description="CPU threads that read one utterance."
    )
    beam_size: int = Field(
        default=1, ge=1, le=10, description="1 is the fastest; 5 reads a little better."
    )
    initial_prompt: str | None = Field(
        default=None,
        max_length=1000,
        description="A text in the style and spelling that is wanted.",
    )
    hotwords: str | None = Field(
        default=None, max_length=1000, description="Words to expect, with spaces between them."
    )
    no_speech_threshold: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Likelihood of silence above which what was read is dropped.",
    )
    timeout_seconds: float = Field(
        default=8.0,
        ge=0.5,
        le=60,
        description="How long one utterance may take, waiting for others included.",
    )
    max_speech_seconds: float = Field(
        default=28.0,
        ge=2,
        le=30,
        description="Longer speech is read in pieces; the model hears 30 s at once.",
    )


SPECS = (
    ProviderSpec(
        kind="stt",
        name="whisper",
        title="Whisper (in process)",
        options=WhisperSTTOptions,
        build="services.whisper.stt:build_stt",
        prepare="services.whisper.stt:prepare",
        languages=LANGUAGES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=16_000),),
        packages=("faster_whisper", "soxr"),
        install='pip install "pipecat-ai[whisper]"',
    ),
)
