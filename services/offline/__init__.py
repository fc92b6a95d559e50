"""Keyless recogniser: hears the phrases of the agent's own file, and says when it hears others.

Its acoustic model is the American English one of the pocketsphinx wheel; the sounds of Indian
languages are mapped to its phones. It knows no word that the agent's file does not contain.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from config.providers import ProviderOptions, ProviderSpec, WireFormat

#: Our language code to the espeak voice whose pronunciation is used. Sindhi, Urdu and the other
#: languages in Arabic script are left out: without vowel marks espeak guesses their words.
LANGUAGES: Mapping[str, str] = {
    "en-IN": "en-us",
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
    "ne": "ne",
    "kok": "kok",
}

_Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class OfflineSTTOptions(ProviderOptions):
    """``stt.offline`` of an agent file."""

    phrases: tuple[_Phrase, ...] = Field(
        default=(),
        max_length=500,
        description="Phrases to hear besides those of the script; may hold {digits}, {digit}, "
        "{number}, {phone} and {yesno}.",
    )
    yes_no: bool = Field(
        default=True, description="Always hear yes and no, whatever the phrases are."
    )
    sensitivity: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How readily something unclear is taken for a phrase: 0 seldom, 1 always.",
    )
    min_speech_seconds: float = Field(
        default=0.12, ge=0, le=2, description="Shorter sounds are ignored."
    )
    max_speech_seconds: float = Field(
        default=20, ge=1, le=60, description="What is longer is not understood."
    )


SPECS: tuple[ProviderSpec, ...] = (
    ProviderSpec(
        kind="stt",
        name="offline",
        title="Offline phrases (pocketsphinx model)",
        options=OfflineSTTOptions,
        build="services.offline.stt:build_stt",
        prepare="services.offline.stt:prepare",
        languages=LANGUAGES,
        wire_formats=(
            WireFormat(encoding="pcm", rate_hz=8_000),
            WireFormat(encoding="pcm", rate_hz=16_000),
        ),
        packages=("pocketsphinx", "espeakng_loader"),
        install="pip install pocketsphinx espeakng-loader",
        closed_vocabulary=True,
    ),
)
