"""A deck of cards that is dealt to its end before it is shuffled anew."""

import random
from collections.abc import Sequence
from typing import Generic, TypeVar

CardT = TypeVar("CardT")


class Deck(Generic[CardT]):
    """Every card comes before any comes again: what is rare comes for certain, not by chance.

    Args:
        cards: At least one.
        rng: Shuffles; the same seed deals the same cards.
    """

    def __init__(self, cards: Sequence[CardT], rng: random.Random) -> None:
        if not cards:
            raise ValueError("a deck needs a card")
        self._cards = tuple(cards)
        self._rng = rng
        self._left: list[CardT] = []

    def draw(self) -> CardT:
        """The next card."""
        if not self._left:
            self._left = list(self._cards)
            self._rng.shuffle(self._left)
        return self._left.pop()
