"""Piper: neural voices on this machine, without a key.

The package ``piper-tts`` is under GPL-3.0: it is an extra that nothing else here needs, and whoever
passes this server on together with it must heed that.
"""

from collections.abc import Mapping

from pydantic import AliasChoices, Field

from config.providers import ProviderOptions, ProviderSpec, WireFormat

__all__ = ["SPECS", "VOICES", "PiperTTSOptions"]

#: Our code to the voice that speaks it where an agent names none, of those that are offered at
#: https://huggingface.co/rhasspy/piper-voices. English has no Indian accent.
VOICES: Mapping[str, str] = {
    "en-IN": "en_US-lessac-medium",
    "hi": "hi_IN-pratham-medium",
    "ml": "ml_IN-meera-medium",
    "ne": "ne_NP-google-medium",
    "te": "te_IN-maya-medium",
    "ur": "ur_PK-fasih-medium",
}


class PiperTTSOptions(ProviderOptions):
    """Options of ``tts.piper``."""

    voice: str | None = Field(
        default=None,
        min_length=1,
        max_length=400,
        validation_alias=AliasChoices("voice", "model"),
        description="Name of a voice in voices_folder, such as hi_IN-pratham-medium, or the path "
        "of its .onnx file; by default one that speaks the language.",
    )
    voices_folder: str = Field(
        default="voices",
        min_length=1,
        max_length=400,
        description="Where voices are: for each a .onnx and a .onnx.json file.",
    )
    speaker_id: int | None = Field(
        default=None, ge=0, le=10_000, description="Speaker of a voice that has several."
    )
    speed: float = Field(default=1.0, ge=0.5, le=2.0, description="Speaking rate.")
    timeout_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=30,
        description="How long the next part of a sentence may take, waiting for others' included.",
    )


SPECS = (
    ProviderSpec(
        kind="tts",
        name="piper",
        title="Piper (in process)",
        options=PiperTTSOptions,
        build="services.piper.tts:build_tts",
        render="services.piper.tts:render",
        prepare="services.piper.tts:prepare",
        languages=VOICES,
        wire_formats=(WireFormat(encoding="pcm", rate_hz=22_050),),
        packages=("piper", "soxr"),
        install='pip install "pipecat-ai[piper]"',
    ),
)
