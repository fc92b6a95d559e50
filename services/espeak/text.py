"""What is safe to hand to espeak-ng.

The library runs inside the server, and version 1.52 crashes on some texts that nobody would
say: a hyphen between a symbol and a Malayalam letter (``<-മ``) is one. Such a text may still
come from a language model or a client, so only what is known to be speakable is let through,
in the shape of written language; what is heard of proper sentences stays the same.
"""

import re
import unicodedata
from itertools import chain

#: The library's buffer for one word holds 160 bytes (``N_WORD_BYTES``), and a letter of an
#: Indian script takes three.
LONGEST_WORD = 50

_STOPS = ".,;:!?।॥،؟؛۔"
_SYMBOLS = "%&+=@/°$₹€£"
_JOINERS = "\u200c\u200d"
_ALIKE = str.maketrans(
    {"’": "'", "‘": "'", "‐": "-", "\u2011": "-", "…": "."} | dict.fromkeys("–—()[]{}", " , ")
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_PARAGRAPH = re.compile(r"\n\s*(?:\n|[*•-]\s)")

#: A piece takes the library about 5 ms, which is what one caller may keep the others waiting.
_SHORTEST_PIECE, _LONGEST_PIECE = 60, 200
_PAUSE = re.compile(r"(?:[!?।॥,;،؛؟۔]|(?<=\w{4})\.)(?=\s)")

#: Blocks of the scripts that the library's Indian and English voices read.
_SCRIPTS = (
    tuple(chain(range(0x41, 0x5B), range(0x61, 0x7B), range(0xC0, 0x250), range(0x1E00, 0x1F00))),
    tuple(range(0x620, 0x700)),
    *(tuple(range(start, start + 0x80)) for start in range(0x900, 0xD80, 0x80)),
)


def _of_category(block: tuple[int, ...], category: str) -> str:
    return "".join(c for c in map(chr, block) if unicodedata.category(c).startswith(category))


def _word(block: tuple[int, ...]) -> str:
    """Letters of one script with their signs; hyphens and apostrophes only between letters."""
    letter = f"[{_of_category(block, 'L')}]"
    marks = _of_category(block, "M")
    syllable = f"{letter}[{marks}]*(?:[{_JOINERS}](?={letter}))?" if marks else letter
    return f"(?:{syllable})+(?:['-](?:{syllable})+)*"


_TOKEN = re.compile(
    "|".join(
        (
            *(f"(?P<script{n}>{_word(block)})" for n, block in enumerate(_SCRIPTS)),
            r"(?P<number>[0-9]+(?:[.,:/-][0-9]+)*)",
            f"(?P<stop>[{_STOPS}])",
            f"(?P<symbol>[{_SYMBOLS}])",
        )
    )
)


def clean(text: str) -> str:
    """``text`` as words, numbers, single punctuation marks and symbols that have a spoken form.

    Markup tags, control characters, pictographs, letters of scripts that no Indian voice reads
    and vowel signs without a letter are dropped; words of two scripts are parted; digits of any
    script become ASCII, which every voice reads in its own language; what is longer than any
    word is broken up.

    Returns:
        The text to speak; empty where there is nothing to say.
    """
    plain = _PARAGRAPH.sub(". ", _TAG.sub(" ", text)).translate(_ALIKE)
    plain = "".join(_ascii_digit(character) for character in unicodedata.normalize("NFC", plain))
    pieces: list[str] = []
    last_kind, last_end = "stop", 0
    for token in _TOKEN.finditer(plain):
        kind = token.lastgroup or ""
        if kind == last_kind and kind in ("stop", "symbol"):
            continue
        apart = kind != "stop" and token.start() != last_end
        if apart or _must_part(last_kind, kind):
            pieces.append(" ")
        pieces.append(_broken_up(token.group()))
        last_kind, last_end = kind, token.end()
    return "".join(pieces).strip()


def _ascii_digit(character: str) -> str:
    return str(unicodedata.digit(character)) if character.isdecimal() else character


def _must_part(left: str, right: str) -> bool:
    """Whether a space must come between two neighbours: different scripts, save Latin digits."""
    words = left.startswith("script") and right.startswith("script")
    mixed = {left, right} - {"script0"} != {"number"} and "number" in (left, right)
    return words or (mixed and (left.startswith("script") or right.startswith("script")))


def _broken_up(word: str) -> str:
    return " ".join(word[at : at + LONGEST_WORD] for at in range(0, len(word), LONGEST_WORD))


def pieces(text: str) -> list[str]:
    """``text`` cut at pauses into pieces of about a breath's length.

    The library translates clause by clause, so a cut behind a punctuation mark is not heard
    where the mark's own pause is kept. A full stop behind a short word may belong to an
    abbreviation and is left alone.
    """
    found: list[str] = []
    rest = text.strip()
    while len(rest) > _LONGEST_PIECE:
        cut = _cut(rest)
        found.append(rest[:cut])
        rest = rest[cut:].strip()
    return [*found, rest] if rest else found


def _cut(text: str) -> int:
    pause = _PAUSE.search(text, _SHORTEST_PIECE, _LONGEST_PIECE)
    if pause is not None:
        return pause.end()
    space = text.rfind(" ", 1, _LONGEST_PIECE)
    return space if space > 0 else _LONGEST_PIECE
