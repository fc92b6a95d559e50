"""An answer that broke off is taken up again, and nothing of it is said twice."""

import unicodedata
from collections.abc import Sequence

#: Asks a model to go on with an answer of which the caller has heard the beginning.
GO_ON = (
    "Your last answer was cut off there. Continue it from exactly where it stops, in the same "
    "language. Repeat nothing of it and say nothing about this."
)
#: A new answer that departs from the old one before this part of it is another answer.
SAME_ANSWER = 0.6


def _bare(word: str) -> str:
    """A word without case and marks at its ends, for comparing."""
    composed = unicodedata.normalize("NFC", word).casefold()
    start, end = 0, len(composed)
    while start < end and not _spoken(composed[start]):
        start += 1
    while end > start and not _spoken(composed[end - 1]):
        end -= 1
    return composed[start:end]


def _spoken(char: str) -> bool:
    """Letters, digits, and the vowel signs and viramas of Indian scripts."""
    return char.isalnum() or unicodedata.category(char).startswith("M")


def _words(text: str) -> list[str]:
    return [bare for word in text.split() if (bare := _bare(word))]


class PrefixSkipper:
    """Lets through only what of a new answer the caller has not heard in the old one.

    While the new answer says the same words it is held back. When it has said all of them, the
    rest is let through. When it departs early it is another answer and comes whole; when it
    departs late, what comes after the words in common is let through.

    Args:
        said: What was said of the old answer.
    """

    def __init__(self, said: str) -> None:
        self._said: Sequence[str] = _words(said)
        self._matched = 0
        self._held = ""
        self._word = ""
        self._open = not self._said

    def feed(self, text: str) -> str:
        """Take a piece of the new answer; give what may be said."""
        if self._open:
            return text
        for index, char in enumerate(text):
            if not char.isspace():
                self._word += char
                continue
            self._word += char
            let_through = self._take_word()
            if self._open:
                return let_through + text[index + 1 :]
        return ""

    def flush(self) -> str:
        """The new answer has ended: what of it is still to be said."""
        if self._open:
            return ""
        let_through = self._take_word()
        # All of it had been said before.
        return let_through if self._open else ""

    def _take_word(self) -> str:
        word, self._word = self._word, ""
        bare = _bare(word.strip())
        if not bare or (
            self._matched < len(self._said) and self._agrees(bare, self._said[self._matched])
        ):
            self._held += word
            self._matched += bool(bare)
            self._open = False
            return ""
        self._open = True
        if self._matched >= SAME_ANSWER * len(self._said):
            return word
        return self._held + word

    def _agrees(self, new: str, old: str) -> bool:
        """Whether two words are the same; the old answer's last may have been cut short."""
        return new == old or (self._matched == len(self._said) - 1 and new.startswith(old))
