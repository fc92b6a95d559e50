"""What is passed on of one answer, however many models give it."""

from pipecat.frames.frames import (
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)

from bot.chains.continuation import PrefixSkipper


class Answer:
    """Makes one answer of several attempts: one beginning, each word once, one end.

    Waits for nothing and knows no vendor: what a model gives goes in, and what is to be passed
    on of it comes back, in order.

    Attributes:
        said: What was passed on, by all attempts.
    """

    def __init__(self) -> None:
        self.said = ""
        self._open = False
        self._skipper: PrefixSkipper | None = None
        self._given = 0

    def begin_attempt(self) -> None:
        """Another attempt is made; what it says again of what was said is left out."""
        self._given = 0
        if self.said:
            if not self.said[-1].isspace():
                # What goes on there begins with a word of its own.
                self.said += " "
            self._skipper = PrefixSkipper(self.said)

    def room(self, text: str, most_letters: int) -> str | None:
        """Count a piece of what the present attempt gives, to be said or not.

        Args:
            most_letters: How long the answer may be.

        Returns:
            What of it is still within that, cut at a word; None where all of it is.
        """
        # A piece without a letter counts too: an answer of nothing else would have no end.
        before, self._given = self._given, self._given + max(1, len(text))
        if self._given <= most_letters:
            return None
        fitting = text[: max(0, most_letters - before)]
        return fitting[: max(fitting.rfind(" "), fitting.rfind("\n")) + 1]

    def text(self, frame: LLMTextFrame) -> list[Frame]:
        """A piece of it."""
        if self._skipper is not None:
            frame.text = self._skipper.feed(frame.text)
        if not frame.text:
            return []
        beginning = self._begin()
        self.said += frame.text
        return [*beginning, frame]

    def rest(self) -> list[Frame]:
        """No more text comes: what was held back, lest it had been said before."""
        rest = self._skipper.flush() if self._skipper is not None else ""
        if not rest:
            return []
        self._skipper = None
        return self.text(LLMTextFrame(rest))

    def end(self, frame: Frame) -> list[Frame]:
        """The model's own end of it.

        It has a beginning also around tool calls without words, for those who wait for the end.
        """
        beginning = self._begin()
        self._open = False
        return [*beginning, frame]

    def break_off(self) -> list[Frame]:
        """It goes no further, for now at least."""
        if not self._open:
            return []
        self._open = False
        return [LLMFullResponseEndFrame()]

    def _begin(self) -> list[Frame]:
        if self._open:
            return []
        self._open = True
        return [LLMFullResponseStartFrame()]
