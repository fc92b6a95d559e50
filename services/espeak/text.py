"""What is safe to hand to espeak-ng.

The library runs inside the server, and version 1.52 crashes on some texts that nobody would
say: a hyphen between two letters of certain kinds (``<-മ`` to a Malayalam voice, ``ऽ-ॠ`` to a
Marathi one) is such. They may still come from a language model or a client, so only what is
known to be speakable is let through, in the shape of written language; what is heard of proper
sentences stays the same.
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
_ALIKE = str.maketrans({"’": "'", "‘": "'", "…": "."} | dict.fromkeys("–—()[]{}", " , "))
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_MOBILE_NUMBER = re.compile(r"\b([0-9]{5})[ -]([0-9]{5})\b")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?")
_READ_BY_DIGIT = re.compile(r"[0-9]{8,}|0[0-9]+")
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
    """Letters of one script with their signs; apostrophes only between letters."""
    letter = f"[{_of_category(block, 'L')}]"
    marks = _of_category(block, "M")
    syllable = f"{letter}[{marks}]*(?:[{_JOINERS}](?={letter}))?" if marks else letter
    return f"(?:{syllable})+(?:'(?:{syllable})+)*"


#: NFC leaves letters with a dot below (``য়``) in two parts, of which the Bengali voice then drops
#: the vowel and the Assamese one spells the dot; the letters in one part are read well by all.
_COMPOSED = {
    unicodedata.normalize("NFC", chr(code)): chr(code)
    for code in chain(*_SCRIPTS[2:])
    if len(unicodedata.normalize("NFC", chr(code))) == 2
}
_COMPOSABLE = re.compile("|".join(_COMPOSED))

_TOKEN = re.compile(
    "|".join(
        (
            *(f"(?P<script{n}>{_word(block)})" for n, block in enumerate(_SCRIPTS)),
            r"(?P<number>[0-9]+(?:[.,:/][0-9]+)*)",
            f"(?P<stop>[{_STOPS}])",
            f"(?P<symbol>[{_SYMBOLS}])",
        )
    )
)


def clean(text: str) -> str:
    """``text`` as words, numbers, single punctuation marks and symbols that have a spoken form.

    Markup tags, control characters, pictographs, letters of scripts that no Indian voice reads
    and vowel signs without a letter are dropped; words of two scripts are parted; digits of any
    script become ASCII, which every voice reads in its own language, lakhs and thousands lose
    their commas, and what can only be a telephone number or a code is read digit by digit; what
    is longer than any word is broken up.

    Returns:
        The text to speak; empty where there is nothing to say.
    """
    plain = _PARAGRAPH.sub(". ", _TAG.sub(" ", text)).translate(_ALIKE)
    plain = _COMPOSABLE.sub(
        lambda pair: _COMPOSED[pair.group()], unicodedata.normalize("NFC", plain)
    )
    plain = "".join(map(_ascii_digit, plain))
    plain = _MOBILE_NUMBER.sub(r" \1\2", plain)
    kept: list[str] = []
    last_kind, last_end = "stop", 0
    for token in _TOKEN.finditer(plain):
        kind = token.lastgroup or ""
        if kind == last_kind and kind in ("stop", "symbol"):
            continue
        apart = kind != "stop" and token.start() != last_end
        if apart or _must_part(last_kind, kind):
            kept.append(" ")
        said = _number(token.group()) if kind == "number" else token.group()
        kept.append(_broken_up(said))
        last_kind, last_end = kind, token.end()
    return "".join(kept).strip()


def _ascii_digit(character: str) -> str:
    return str(unicodedata.digit(character)) if character.isdecimal() else character


def _must_part(left: str, right: str) -> bool:
    """Whether a space must come between two neighbours: different scripts, save Latin digits."""
    words = left.startswith("script") and right.startswith("script")
    mixed = {left, right} - {"script0"} != {"number"} and "number" in (left, right)
    return words or (mixed and (left.startswith("script") or right.startswith("script")))


def _number(written: str) -> str:
    if _GROUPED.fullmatch(written):
        return written.replace(",", "")
    return " ".join(written) if _READ_BY_DIGIT.fullmatch(written) else written


def _broken_up(word: str) -> str:
    runs = [
        run[at : at + LONGEST_WORD]
        for run in word.split()
        for at in range(0, len(run), LONGEST_WORD)
    ]
    return " ".join(runs)


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
