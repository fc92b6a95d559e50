"""What is to be spoken, and what must follow it, in order."""

import uuid
from collections import deque
from collections.abc import Iterator
from itertools import takewhile

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSSpeakFrame,
)

from bot.chains.floods import MAX_ANSWER_LETTERS
from bot.chains.language import LanguageSwitchFrame
from bot.chains.pieces import Piece

#: Letters of sentences that may wait to be spoken: the longest answer that is taken of a model,
#: and as much again that others have had said (``floods.MAX_ANSWER_LETTERS``).
MAX_WAITING_LETTERS = 2 * MAX_ANSWER_LETTERS
#: Sentences, however short.
MAX_WAITING_SENTENCES = 2000


class SpeechQueue:
    """Sentences, and the frames between them that wait until they were spoken."""

    def __init__(self) -> None:
        self._items: deque[Piece | Frame] = deque()
        self._sentences = 0
        self._letters = 0
        #: Names the answer whose end has not come, and one that nobody speaks.
        self._answer: str | None = None
        self._given_up: str | None = None

    def take(self, frame: Frame) -> bool:
        """Put a frame behind all others; one that is to be spoken, as a sentence.

        Returns:
            False where no more sentences may wait, and it is left out.
        """
        if isinstance(frame, AggregatedTextFrame) and not frame.skip_tts:
            group = self._answer or str(uuid.uuid4())
            return self._take_sentence(Piece(frame.text, group, alone=self._answer is None))
        if isinstance(frame, TTSSpeakFrame):
            remembered = bool(frame.append_to_context)
            commit = remembered and self._answer is None
            group = str(uuid.uuid4())
            return self._take_sentence(
                Piece(frame.text, group, in_context=remembered, alone=True, commit=commit)
            )
        if isinstance(frame, LLMFullResponseStartFrame):
            self._answer = str(uuid.uuid4())
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._answer = None
        self._items.append(frame)
        return True

    def _take_sentence(self, piece: Piece) -> bool:
        if piece.group == self._given_up or not any(char.isalnum() for char in piece.text):
            return True
        letters = self._letters + piece.asked_letters
        if self._sentences >= MAX_WAITING_SENTENCES or letters > MAX_WAITING_LETTERS:
            return False
        self._items.append(piece)
        self._count(piece, 1)
        return True

    @property
    def head(self) -> Piece | Frame | None:
        """What is next; None when nothing is left."""
        return self._items[0] if self._items else None

    def pop(self) -> None:
        """The first has been dealt with."""
        self._count(self._items.popleft(), -1)

    def _count(self, item: Piece | Frame, sign: int) -> None:
        if isinstance(item, Piece):
            self._sentences += sign
            self._letters += sign * item.asked_letters

    def pieces(self) -> Iterator[Piece]:
        """The sentences, in order."""
        return (item for item in self._items if isinstance(item, Piece))

    def in_present_language(self) -> Iterator[Piece]:
        """The sentences that stand before a change of the language."""
        same = takewhile(lambda item: not isinstance(item, LanguageSwitchFrame), self._items)
        return (item for item in same if isinstance(item, Piece))

    @property
    def first(self) -> Piece | None:
        """The first sentence."""
        return next(self.pieces(), None)

    def begins(self, context_id: str | None) -> None:
        """The vendor begins with its next sentence, and names it."""
        piece = next((p for p in self.pieces() if p.sent and p.context_id is None), None)
        if piece is not None:
            piece.context_id = context_id

    def under_way(self, context_id: str | None) -> Piece | None:
        """The sentence that the vendor knows by that name."""
        return next((p for p in self.pieces() if p.sent and p.context_id == context_id), None)

    def give_up(self) -> None:
        """Nothing of it is spoken, nor of the rest of the answer; what follows speech stays."""
        self._given_up = self._answer
        self._drop_speech()

    def _drop_speech(self) -> None:
        self._items = deque(item for item in self._items if isinstance(item, Frame))
        self._sentences = self._letters = 0

    def interrupt(self) -> None:
        """Only what an interruption may not drop stays."""
        self._answer = self._given_up = None
        self._drop_speech()
        kept = [item for item in self._items if isinstance(item, Frame) and not item.interruptible]
        self._items = deque(kept)
