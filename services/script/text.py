"""Bringing what a caller said, and what an operator wrote, to one comparable form.

Recognisers disagree on spelling: composed and decomposed letters, joiners, nukta or none,
chandrabindu or anusvara, native or ASCII digits, a danda at the end or not. None of these
may decide whether a phrase is understood.
"""

import re
import unicodedata

_DROPPED = dict.fromkeys(
    [
        0x200B,  # zero-width space
        0x200C,  # zero-width non-joiner
        0x200D,  # zero-width joiner
        0x2060,
        0xFEFF,
        0x0027,  # apostrophes: don't -> dont
        0x2018,
        0x2019,
        0x02BC,
        0x093C,  # nukta of Devanagari, Bengali, Gurmukhi, Gujarati, Odia, Kannada
        0x09BC,
        0x0A3C,
        0x0ABC,
        0x0B3C,
        0x0CBC,
    ]
)
_NASAL = {0x0901: 0x0902, 0x0981: 0x0982, 0x0A01: 0x0A02, 0x0A81: 0x0A82, 0x0B01: 0x0B02}
#: Malayalam: a chillu letter is the consonant with virama; Bengali khanda ta likewise.
_CHILLU = {
    0x0D7A: "ണ്",
    0x0D7B: "ന്",
    0x0D7C: "ര്",
    0x0D7D: "ല്",
    0x0D7E: "ള്",
    0x09CE: "ত্",
}
#: Stands for a point between digits; what comes in as one is nothing.
_POINT = "\ue000"
_TABLE: dict[int, int | str | None] = {**_DROPPED, **_NASAL, **_CHILLU, ord(_POINT): " "}
_DIGIT_COMMA = re.compile(r"(?<=\d),(?=\d)")
_DIGIT_POINT = re.compile(r"(?<=\d)\.(?=\d)")


def normalize(text: str) -> str:
    """Casefolded words of ``text`` with single spaces; digits are ASCII, punctuation is gone.

    A point between digits stays (``2.5``), a comma between digits goes (``1,500`` -> ``1500``).
    """
    folded = unicodedata.normalize("NFC", text).casefold().translate(_TABLE)
    # Letters and marks that stand together only now.
    folded = unicodedata.normalize("NFC", folded)
    folded = _DIGIT_COMMA.sub("", folded)
    folded = _DIGIT_POINT.sub(_POINT, folded)
    return " ".join("".join(map(_plain, folded)).split())


def _plain(char: str) -> str:
    if char == _POINT:
        return "."
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return char if category[0] in "LM" else " "


def tokens(text: str) -> list[str]:
    """Words of ``text`` in the form of :func:`normalize`."""
    return normalize(text).split()
