"""How a word is said, in the phones of the acoustic model.

English words come from the dictionary in the pocketsphinx wheel (CMUdict); everything else is
read by espeak-ng in the agent's language and its sounds are mapped (:mod:`phones`).
"""

import re
from collections.abc import Iterable
from functools import cache

from services.espeak.library import phonemes
from services.offline.acoustic_model import model_folder
from services.offline.errors import recognizer_error
from services.offline.phones import spell

#: One way to say one sound or word: its phones, and what choosing it costs (log-probability).
Spelling = tuple[tuple[str, ...], float]
#: One sound with all its spellings; a spelling without phones means it may be left out.
Sound = tuple[Spelling, ...]
#: One way to say a word: its sounds in order.
Pronunciation = tuple[Sound, ...]

_SECOND_CHOICE_COST = 3.0
_OMISSION_COST = 4.0
_ENGLISH_WORD = re.compile(r"[a-z][a-z']*")
_VARIANT = re.compile(r"\(\d+\)$")


def pronounce(word: str, voice: str) -> tuple[Pronunciation, ...]:
    """Every way to say ``word``; empty if it makes no sound (punctuation).

    Args:
        word: Without spaces, in any script; numerals are read out in the voice's language.
        voice: espeak voice of the agent's language.

    Raises:
        ProviderError: A package is missing.
    """
    key = word.lower().strip("'")
    if _ENGLISH_WORD.fullmatch(key):
        known = english_words().get(key)
        if known:
            return tuple((((phones, 0.0),),) for phones in known)
    return read_aloud(word, voice)


def read_aloud(text: str, voice: str) -> tuple[Pronunciation, ...]:
    """What espeak makes of ``text``, as one pronunciation; empty if it makes no sound."""
    ipa = phonemes(text, voice).replace(" ", "")
    row = tuple(_priced(sound) for sound in spell(ipa, voice))
    return (row,) if any(phones for sound in row for phones, _ in sound) else ()


def _priced(sound: Iterable[tuple[tuple[str, ...], bool]]) -> Sound:
    priced: list[Spelling] = []
    for phones, first_choice in sound:
        cost = _SECOND_CHOICE_COST if phones else _OMISSION_COST
        priced.append((phones, 0.0 if first_choice else cost))
    return tuple(priced)


@cache
def english_words() -> dict[str, tuple[tuple[str, ...], ...]]:
    """CMUdict as it comes with the model: 134,000 words, read once per process.

    Raises:
        ProviderError: pocketsphinx is not installed or its dictionary is damaged.
    """
    path = model_folder() / "cmudict-en-us.dict"
    found: dict[str, list[tuple[str, ...]]] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                word, *phones = line.split()
                found.setdefault(_VARIANT.sub("", word), []).append(tuple(phones))
    except (OSError, ValueError) as error:
        raise recognizer_error("model_broken", f"cannot read {path.name}: {error}") from error
    return {word: tuple(variants) for word, variants in found.items()}
