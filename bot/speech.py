"""One utterance of the agent, from the words sent to be spoken to the words heard."""

from collections.abc import Callable
from dataclasses import dataclass, field

#: Given what was heard of a phrase, once it has ended or was cut.
Remember = Callable[[str], None]


@dataclass(slots=True)
class _Stretch:
    """A stretch of audio and the sentences announced for it, usually one.

    ``timed_words`` are those that were heard, where the synthesiser tells when each is spoken.
    """

    start_ms: float
    end_ms: float
    texts: list[str] = field(default_factory=list)
    segment_ids: list[object] = field(default_factory=list)
    timed_words: list[str] | None = None

    @property
    def words(self) -> list[str]:
        return " ".join(self.texts).split()

    def heard_words(self, position_ms: float) -> list[str]:
        """By their times; else in proportion to the audio heard, cut at a word."""
        if self.timed_words is not None:
            return self.timed_words
        length_ms = self.end_ms - self.start_ms
        if length_ms <= 0 or position_ms <= self.start_ms:
            return []
        if position_ms >= self.end_ms - 1:
            return self.words
        return self.words[: int(len(self.words) * (position_ms - self.start_ms) / length_ms)]


@dataclass(slots=True, eq=False)
class Utterance:
    """What is being spoken in one go, and how much of it the caller has heard.

    Positions are those of :class:`bot.playout.Playout`. Where a synthesiser tells word times,
    these are the truth; otherwise the heard part of a stretch of audio is taken to be in
    proportion to its length, cut at a word. Voices that take over from each other in the middle
    of it may differ in this.

    Attributes:
        provider: Who synthesised it.
        turn: The turn it answers.
        context_id: The synthesiser's name for it.
        in_context: Whether the pipeline adds its words to the conversation.
        remember: Adds its words to the conversation, where the pipeline does not know them.
        is_answer: Whether it answers the caller; a request for patience does not.
        base_ms: Position of its first audio; None until there is any.
        started_ms: Session time at which the caller began to hear it; None until then.
        word_times: Whether it tells when each word is spoken, and not of which sentence.
        heard_words: Such words that were heard.
    """

    provider: str
    turn: int = 0
    context_id: str | None = None
    in_context: bool = True
    remember: Remember | None = None
    is_answer: bool = True
    base_ms: float | None = None
    started_ms: float | None = None
    word_times: bool = False
    heard_words: list[str] = field(default_factory=list)
    _stretches: list[_Stretch] = field(default_factory=list)
    _passed_on: set[object] = field(default_factory=set)

    @property
    def text(self) -> str:
        """Everything that was sent to be spoken."""
        return " ".join(text for stretch in self._stretches for text in stretch.texts)

    def begin_piece(self, text: str, position_ms: float, segment_id: object = None) -> None:
        """A sentence is announced; its audio starts at ``position_ms``.

        Sentences announced together share the audio that follows.
        """
        last = self._stretches[-1] if self._stretches else None
        if last is None or last.end_ms > last.start_ms:
            last = _Stretch(position_ms, position_ms)
            self._stretches.append(last)
        last.start_ms = last.end_ms = position_ms
        last.texts.append(text.strip())
        last.segment_ids.append(segment_id)

    def amend(self, segment_id: object, text: str) -> None:
        """The sentence was not spoken whole: these are its words that were."""
        for stretch in self._stretches:
            if segment_id in stretch.segment_ids:
                stretch.texts[stretch.segment_ids.index(segment_id)] = text

    def extend(self, position_ms: float) -> None:
        """Audio of the last piece now reaches to ``position_ms``."""
        if self._stretches:
            self._stretches[-1].end_ms = position_ms

    def passed_on(self, segment_id: object) -> None:
        """The pipeline has added this sentence to the conversation."""
        if segment_id is not None:
            self._passed_on.add(segment_id)

    def timed_words(self, segment_id: object) -> list[str]:
        """Where to put the words of a sentence when they are heard, one after the other."""
        for stretch in self._stretches:
            if segment_id is not None and segment_id in stretch.segment_ids:
                if stretch.timed_words is None:
                    stretch.timed_words = []
                return stretch.timed_words
        self.word_times = True
        return self.heard_words

    def heard_until(self, position_ms: float) -> str:
        """The words heard when playing stopped at ``position_ms``."""
        if self.word_times:
            return " ".join(self.heard_words).strip()
        heard = [word for stretch in self._stretches for word in stretch.heard_words(position_ms)]
        return " ".join(heard)

    def unremembered_until(self, position_ms: float) -> str:
        """The words heard that the pipeline has not added to the conversation by itself."""
        if self.word_times or not self.in_context or self.remember is not None:
            return ""
        words: list[str] = []
        for stretch in self._stretches:
            if stretch.timed_words is not None:
                continue
            known = sum(
                len(text.split())
                for text, segment_id in zip(stretch.texts, stretch.segment_ids, strict=True)
                if segment_id in self._passed_on
            )
            words += stretch.heard_words(position_ms)[known:]
        return " ".join(words)
