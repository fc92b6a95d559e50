"""Keyless synthesiser: espeak-ng in process, for English and fifteen Indian languages.

It is clear rather than natural. It has no voice for Sanskrit, Maithili, Dogri, Bodo, Kashmiri,
Manipuri, Santali and Bhili.
"""

from collections.abc import Mapping

from pydantic import Field, field_validator

from config.providers import ProviderOptions, ProviderSpec, WireFormat
from services.espeak.voices import voice_file, voices

#: Our language code to the voice that speaks it. English is en-us, which says its r's as Indian
#: English does, in the timbre f2: of twelve sentences an open-vocabulary recogniser
#: (pocketsphinx) got 44 % of the words wrong, 78 % of en-gb+f2 and 93 % of plain en-us.
#: Konkani goes to the Marathi voice, because its own spells out anusvara and halant.
VOICES: Mapping[str, str] = {
    "en-IN": "en-us+f2",
    "hi": "hi",
    "mr": "mr",
    "bn": "bn",
    "ta": "ta",
    "te": "te",
    "gu": "gu",
    "kn": "kn",
    "ml": "ml",
    "pa": "pa",
    "or": "or",
    "as": "as",
    "ur": "ur",
    "ne": "ne",
    "kok": "mr",
    "sd": "sd",
}


class EspeakTTSOptions(ProviderOptions):
    """``tts.espeak`` of an agent file."""

    voice: str | None = Field(
        default=None,
        description="espeak voice, with a variant if wanted: en-gb, hi+f3. "
        "Left out, the language's own.",
    )
    rate_wpm: int = Field(
        default=150,
        ge=80,
        le=450,
        description="Words per minute. espeak's own default of 175 is fast for a phone line.",
    )
    pitch: int = Field(default=50, ge=0, le=99, description="0 low to 99 high.")
    volume: int = Field(
        default=100, ge=0, le=200, description="Per cent; above 100 loud sounds are compressed."
    )

    @field_validator("voice")
    @classmethod
    def _voice_exists(cls, voice: str | None) -> str | None:
        if voice is not None and voices():
            voice_file(voice)
        return voice


SPECS: tuple[ProviderSpec, ...] = (
    ProviderSpec(
        kind="tts",
        name="espeak",
        title="eSpeak NG (in process)",
        options=EspeakTTSOptions,
        build="services.espeak.tts:build_tts",
        render="services.espeak.tts:render",
        languages=VOICES,
        wire_formats=tuple(
            WireFormat(encoding="pcm", rate_hz=rate_hz) for rate_hz in (8_000, 16_000, 24_000)
        ),
        packages=("espeakng_loader", "soxr"),
        install="pip install espeakng-loader soxr",
    ),
)
