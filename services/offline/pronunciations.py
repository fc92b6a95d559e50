"""How a word is said, in the phones of the acoustic model.

English words come from the dictionary in the pocketsphinx wheel (CMUdict); everything else is
read by espeak-ng in the agent's language and its sounds are mapped (:mod:`phones`).
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache

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
#: English words whose pronunciations are remembered.
_MAX_WORDS = 20_000
#: American and British, in which espeak gives its sounds second choices (t for th, v for w).
_ACCENTS = ("en-us", "en-gb")
_ENGLISH_WORD = re.compile(r"[a-z][a-z']*")


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
        known = english_word(key)
        if known:
            listed = tuple((((phones, 0.0),),) for phones in known)
            return (*listed, *(way for accent in _ACCENTS for way in read_aloud(key, accent)))
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


@lru_cache(maxsize=_MAX_WORDS)
def english_word(word: str) -> tuple[tuple[str, ...], ...]:
    """The phones of an English word in each of its pronunciations; empty if it is unknown.

    Raises:
        ProviderError: pocketsphinx is not installed.
    """
    text = _dictionary()
    found: list[tuple[str, ...]] = []
    for variant in ("", *(f"({n})" for n in range(2, 9))):
        # The file is sorted nowhere strictly, but every entry stands on a line of its own.
        start = text.find(f"\n{word}{variant} ".encode())
        if start < 0:
            break
        end = text.find(b"\n", start + 1)
        found.append(tuple(text[start + 1 : end].decode().split()[1:]))
    return tuple(found)


@cache
def _dictionary() -> bytes:
    """CMUdict as it comes with the model, 134,000 lines: searching beats 60 MB of objects."""
    path = model_folder() / "cmudict-en-us.dict"
    try:
        return b"\n" + path.read_bytes() + b"\n"
    except OSError as error:
        raise recognizer_error("model_broken", f"cannot read {path.name}: {error}") from error
