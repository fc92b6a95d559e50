"""One utterance of the agent, from the words sent to be spoken to the words heard."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Piece:
    text: str
    start_ms: float
    end_ms: float


@dataclass(slots=True)
class Utterance:
    """What is being spoken in one go, and how much of it the caller has heard.

    Positions are those of :class:`bot.playout.Playout`. Where a synthesiser tells word times,
    ``heard_words`` is the truth; otherwise the heard part of a piece is taken to be in
    proportion to its audio, cut at a word.

    Attributes:
        provider: Who synthesised it.
        base_ms: Position of its first audio; None until there is any.
        started_ms: Session time at which the caller began to hear it; None until then.
        word_times: Whether the synthesiser tells when each word is spoken.
    """

    provider: str
    base_ms: float | None = None
    started_ms: float | None = None
    word_times: bool = False
    heard_words: list[str] = field(default_factory=list)
    _pieces: list[_Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything that was sent to be spoken."""
        return " ".join(piece.text for piece in self._pieces)

    def begin_piece(self, text: str, position_ms: float) -> None:
        """A sentence is announced; its audio starts at ``position_ms``."""
        self._pieces.append(_Piece(text.strip(), position_ms, position_ms))

    def extend(self, position_ms: float) -> None:
        """Audio of the last piece now reaches to ``position_ms``."""
        if self._pieces:
            self._pieces[-1].end_ms = position_ms

    def heard_until(self, position_ms: float) -> str:
        """The words heard when playing stopped at ``position_ms``."""
        if self.word_times:
            return " ".join(self.heard_words).strip()
        return " ".join(filter(None, (_heard_part(p, position_ms) for p in self._pieces)))


def _heard_part(piece: _Piece, position_ms: float) -> str:
    length_ms = piece.end_ms - piece.start_ms
    if length_ms <= 0 or position_ms <= piece.start_ms:
        return ""
    if position_ms >= piece.end_ms - 1:
        return piece.text
    words = piece.text.split()
    return " ".join(words[: int(len(words) * (position_ms - piece.start_ms) / length_ms)])
