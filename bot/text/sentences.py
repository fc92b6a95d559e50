"""Cuts a stream of text into pieces that can be spoken, in any Indian language.

A splitter that knows only ``. ? !`` holds Hindi or Urdu back until the answer is complete,
and one that trusts every full stop cuts ``रु. 500`` or ``डॉ. शर्मा`` in two.
"""

import re
from dataclasses import dataclass, field

#: Marks that end a sentence wherever they stand: danda and double danda, question and
#: exclamation mark, Urdu full stop and question mark, Ol Chiki and Meitei dandas, ellipsis.
HARD_ENDS = frozenset("।॥?!۔؟᱾᱿꯫…\n")
CLAUSE_ENDS = frozenset(",;:،؛–—")
CLOSERS = frozenset("\"'”’)]}»")

#: Words whose full stop does not end a sentence, in lower case and without it.
ABBREVIATIONS = frozenset(
    word
    for line in (
        "dr mr mrs ms prof sr jr st no rs vs etc e.g i.e approx dept govt ltd pvt a.m p.m inc co",
        "डॉ रु श्री श्रीमती प्रो कु सं क्र कि.मी ई.स मो पं स्व मि ता जि",
        "ডা ডাঃ মো প্রো রু টা டாக்டர் டாக் திரு திருமதி ரூ பேரா",
        "డా శ్రీ రూ ప్రొ ડૉ શ્રી રૂ ಡಾ ಶ್ರೀ ರೂ ഡോ ശ്രീ രൂ ਡਾ ਸ੍ਰੀ ਰੁ ଡା ଶ୍ରୀ ଟ",
    )
    for word in line.split()
)
_LAST_WORD = re.compile(r"(\S+)\.$")


@dataclass(slots=True)
class SentenceCutter:
    """Collects streamed text and gives back whole pieces, in order, losing nothing.

    Attributes:
        first_clause_chars: The first piece of an answer may end at a comma once it is this
            long, so that speaking can begin early; 0 waits for the whole sentence.
        max_chars: A piece that grows longer is cut at the last space.
    """

    first_clause_chars: int = 40
    max_chars: int = 300
    _buffer: str = ""
    _first: bool = field(default=True)

    def feed(self, text: str) -> list[str]:
        """Add streamed text; return the pieces that are complete now."""
        self._buffer += text
        pieces: list[str] = []
        while (end := self._find_end()) is not None:
            piece, self._buffer = self._buffer[:end], self._buffer[end:]
            if piece.strip():
                pieces.append(piece.strip())
                self._first = False
        return pieces

    def flush(self) -> str | None:
        """Return what is left at the end of an answer, and be ready for the next one."""
        rest = self._buffer.strip()
        self.reset()
        return rest or None

    def reset(self) -> None:
        """Forget everything: the caller interrupted."""
        self._buffer = ""
        self._first = True

    def _find_end(self) -> int | None:
        """Index behind the first complete piece, or None while there is none."""
        text = self._buffer
        for index, char in enumerate(text):
            if char in HARD_ENDS or (char == "." and self._is_full_stop(index)):
                return self._after_closers(index + 1)
            elif self._is_early_clause(char, index):
                return index + 1
        if len(text) > self.max_chars:
            cut = text.rfind(" ", 0, self.max_chars)
            return cut + 1 if cut > 0 else self.max_chars
        return None

    def _is_full_stop(self, index: int) -> bool:
        """Whether the dot at ``index`` ends a sentence; unknown until its next character comes."""
        text = self._buffer
        if index + 1 >= len(text):
            return False
        following = text[index + 1]
        if not (following.isspace() or following in CLOSERS):
            return False
        match = _LAST_WORD.search(text[: index + 1])
        if match is None:
            return True
        word = match.group(1).lower().lstrip("\"'(“‘")
        return word not in ABBREVIATIONS and not (len(word) == 1 and word.isalpha())

    def _after_closers(self, index: int) -> int:
        """Take closing quotes and repeated marks along."""
        text = self._buffer
        while index < len(text) and (text[index] in CLOSERS or text[index] in HARD_ENDS):
            index += 1
        return index

    def _is_early_clause(self, char: str, index: int) -> bool:
        text = self._buffer
        return (
            self._first
            and 0 < self.first_clause_chars <= index
            and char in CLAUSE_ENDS
            and index + 1 < len(text)
            and text[index + 1].isspace()
        )
