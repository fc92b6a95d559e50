"""Drops words that were heard a second time."""

from collections.abc import Sequence


class HeardTwice:
    """Compares the texts of a replay with what had come before it.

    A replay that had to begin somewhat early, because nobody could say where the last text
    ended, brings some words again: all of the earlier ones, or the last of them. They are
    compared without case and punctuation; what another vendor writes differently stays.

    Args:
        text: What had come before.
    """

    def __init__(self, text: str) -> None:
        self._known = [key for word in text.split() if (key := _key(word))]
        self._anchored = False

    def rest(self, text: str) -> str:
        """What is new in the replay's next text; empty where nothing is."""
        words = text.split()
        keys = [_key(word) for word in words]
        for start in range(1 if self._anchored else len(self._known)):
            matched = _run(self._known[start:], keys)
            after = start + matched
            if matched and (after == len(self._known) or matched == len(keys)):
                self._known = self._known[after:]
                self._anchored = True
                return " ".join(words[matched:])
        self._known = []
        return text


def _run(known: Sequence[str], heard: Sequence[str]) -> int:
    """How many words both begin with."""
    pairs = zip(known, heard, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(known), len(heard)))


def _key(word: str) -> str:
    return word.casefold().strip(".,?!।;:\"'“”‘’…-")
