"""What is said in these calls, and how to read what a caller heard. No I/O."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from simulators.word_tones import HeardWord, WordTones, bare

#: What callers ask: one breath, long enough to be cut in two.
QUESTION: Final = "मुझे कल सुबह के लिए दो टिकट चाहिए"
UNDERSTOOD: Final = "दो टिकट चाहिए"
#: What a recogniser makes of a part of the question.
PIECE: Final = "आधा"
#: Of the question, as a recogniser must have heard it.
WHOLE_SHARE: Final = 0.9

ANSWER: Final = "गेहूँ सरसों मक्का बाजरा। कपास हल्दी अदरक लहसुन। नारियल केला पपीता अंगूर।"
GREETING: Final = "नमस्ते"
APOLOGY: Final = "क्षमा कीजिए"
HOLD: Final = "कृपया ठहरिए"
#: Said to callers who are silent or were not understood.
PROMPT: Final = "सुनिए"

ANSWER_WORDS: Final = tuple(bare(word) for word in ANSWER.split())
SPEAKERS: Final = ("cartesia", "sarvam", "ai4bharat", "bhashini")

Kind = Literal["answer", "apology", "hold", "greeting", "prompt", "noise"]
_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(ANSWER_WORDS, "answer"),
    **dict.fromkeys(APOLOGY.split(), "apology"),
    **dict.fromkeys(HOLD.split(), "hold"),
    **dict.fromkeys(GREETING.split(), "greeting"),
    **dict.fromkeys(PROMPT.split(), "prompt"),
}
TONES: Final = WordTones(tuple(_KINDS), SPEAKERS)
#: A shorter silence is a pause between two sentences.
SILENCE_MS: Final = 300.0
#: A sound reads longer than it is by up to so much: half a window's middle on either side.
_EDGES_MS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of speech of one kind, by one speaker, without a silence in it.

    Attributes:
        kind: What it was.
        speaker: Whose voice.
        words: As heard, in order.
    """

    kind: Kind
    speaker: str
    words: tuple[str, ...]
    start_ms: float
    end_ms: float

    def __str__(self) -> str:
        """Such as ``answer 1-5 (cartesia) 2.1 s``."""
        what: str = self.kind
        if self.kind == "answer" and not self.words:
            what += " (rest of a word)"
        elif self.kind == "answer":
            numbers = [ANSWER_WORDS.index(word) + 1 for word in self.words]
            if len(numbers) == 1:
                what += f" {numbers[0]}"
            elif numbers == list(range(numbers[0], numbers[-1] + 1)):
                what += f" {numbers[0]}-{numbers[-1]}"
            else:
                what += " " + ",".join(map(str, numbers))
        return f"{what} ({self.speaker or '?'}) {(self.end_ms - self.start_ms) / 1000:.1f} s"


def read(words: Sequence[HeardWord]) -> list[Part]:
    """What was heard, put together. A word that broke off and went on is one word."""
    parts: list[Part] = []
    before: HeardWord | None = None
    sounded_ms = 0.0
    for word in words:
        kind = _KINDS.get(word.word, "noise")
        last = parts[-1] if parts else None
        same = before is not None and (before.word, before.speaker) == (word.word, word.speaker)
        sounded_ms = word.length_ms - _EDGES_MS + (sounded_ms if same else 0.0)
        goes_on = same and sounded_ms <= _whole_ms(word.word)
        before = word
        if (
            last is not None
            and (last.kind, last.speaker) == (kind, word.speaker)
            and word.start_ms - last.end_ms < SILENCE_MS
        ):
            said = last.words if goes_on else (*last.words, word.word)
            parts[-1] = Part(kind, word.speaker, said, last.start_ms, word.end_ms)
        else:
            said = () if goes_on else (word.word,)
            parts.append(Part(kind, word.speaker, said, word.start_ms, word.end_ms))
    return parts


def _whole_ms(word: str) -> float:
    """The longest that a simulated voice takes for a word."""
    return len(word) * 100.0


def told(parts: Sequence[Part], from_ms: float) -> str:
    """The same for people, with the silences, from the caller's last word on."""
    found = []
    for part in parts:
        if part.start_ms - from_ms >= SILENCE_MS:
            found.append(f"silence {(part.start_ms - from_ms) / 1000:.1f} s")
        found.append(str(part))
        from_ms = part.end_ms
    return ", ".join(found) or "nothing"


def longest_silence_ms(parts: Sequence[Part], from_ms: float) -> float:
    """The longest silence between the caller's last word and the last word heard."""
    longest = 0.0
    for part in parts:
        longest = max(longest, part.start_ms - from_ms)
        from_ms = part.end_ms
    return longest


def answer_heard(parts: Sequence[Part]) -> list[str]:
    """The words of the answer, in the order in which they were heard."""
    return [word for part in parts if part.kind == "answer" for word in part.words]


def times_said(parts: Sequence[Part], kind: Kind) -> int:
    """How often something was said: a phrase that breaks off and goes on was said once."""
    said = Counter(word for part in parts if part.kind == kind for word in part.words)
    return max(said.values(), default=0)


def first(parts: Sequence[Part], kind: Kind) -> Part | None:
    """The first part of a kind."""
    return next((part for part in parts if part.kind == kind), None)
