"""The sentences of an answer on their way to being spoken, and how far each has come."""

from dataclasses import dataclass, field

#: Letters a second of telephone speech before a vendor's own pace is known. Hindi, Tamil and
#: English news read aloud lie between 11 and 15.
LETTERS_PER_SECOND = 13.0
#: Audio shorter than this tells nothing of the pace.
MIN_PACE_SECONDS = 0.8
#: A vendor that stops without saying so has finished when it has spoken this part.
NEARLY_ALL = 0.85
#: A digit is spoken as a word or two, and takes as long as so many letters.
LETTERS_IN_A_DIGIT = 8
#: The longest that a sentence can take to be spoken: three times what it takes at the usual pace,
#: and some seconds. Audio beyond that is no speech of it.
LONGEST_TIMES = 3.0
LONGEST_MORE_SECONDS = 10.0
#: As many words again as a sentence has letters can be told of it: "7" is four words in some
#: languages. More are none of it.
MORE_WORDS = 50


def letters(text: str) -> int:
    """Characters that are spoken."""
    return sum(not char.isspace() for char in text)


@dataclass(slots=True)
class Pace:
    """How fast a vendor speaks, learnt from what it has spoken whole."""

    letters_per_second: float = LETTERS_PER_SECOND

    def learn(self, text: str, seconds: float) -> None:
        """``text`` took so long."""
        if seconds >= MIN_PACE_SECONDS and letters(text):
            measured = letters(text) / seconds
            self.letters_per_second += 0.5 * (measured - self.letters_per_second)

    def seconds(self, text: str) -> float:
        """How long ``text`` takes, roughly."""
        return letters(text) / self.letters_per_second


@dataclass(slots=True, eq=False)
class Piece:
    """One sentence that is to be spoken.

    Attributes:
        text: Its words.
        group: Names the answer it belongs to.
        in_context: Whether its words become part of the conversation.
        alone: Whether it is an utterance of its own rather than part of an answer.
        commit: Whether the conversation is to take it over when it has been spoken.
        sent: Whether a vendor has it.
        context_id: The vendor's name for it; None until it speaks.
        audio_ms: How much audio of it has come.
        first_audio_ns: Where its words' times begin, on the pipeline's clock; None until it
            is heard.
        segment_id: Names it once it was announced.
        spoken_words: Its words that the vendor says were spoken, in order.
        words_told: How many words the vendor has told of.
        asked_letters: How long it was before anything of it was spoken.
        done: Whether nothing more of it will come.
    """

    text: str
    group: str
    in_context: bool = True
    alone: bool = False
    commit: bool = False
    sent: bool = False
    context_id: str | None = None
    audio_ms: float = 0.0
    first_audio_ns: int | None = None
    segment_id: int | None = None
    spoken_words: list[str] = field(default_factory=list)
    done: bool = False
    words_told: int = 0
    asked_letters: int = field(init=False)

    def __post_init__(self) -> None:
        self.asked_letters = len(self.text)

    @property
    def longest_ms(self) -> float:
        """More audio than this cannot be what was asked for."""
        digits = sum(char.isdigit() for char in self.text)
        weight = letters(self.text) + (LETTERS_IN_A_DIGIT - 1) * digits
        seconds = LONGEST_TIMES * weight / LETTERS_PER_SECOND + LONGEST_MORE_SECONDS
        return seconds * 1000

    @property
    def most_words(self) -> int:
        """More words than this cannot have been spoken of it."""
        return letters(self.text) + MORE_WORDS

    def take_back(self) -> None:
        """Nobody has it any more: it is to be spoken by the next."""
        self.sent = False
        self.context_id = self.first_audio_ns = None
        self.audio_ms = 0.0
        self.spoken_words = []
        self.words_told = 0

    def spoken_part(self, pace: Pace) -> float:
        """How much of it has been spoken, from 0 to 1, roughly."""
        words = len(self.text.split())
        if self.spoken_words and words:
            return min(1.0, len(self.spoken_words) / words)
        expected_ms = pace.seconds(self.text) * 1000
        return min(1.0, self.audio_ms / expected_ms) if expected_ms else 1.0

    def split(self, pace: Pace) -> tuple[str, str]:
        """Its words spoken and its words left; cut at a word.

        A vendor's word times are exact; else the part spoken is judged by the length of the
        audio, and a word begun counts as spoken: the caller should hear nothing twice.
        """
        words = self.text.split()
        part = self.spoken_part(pace)
        count = min(len(words), -int(-part * len(words) // 1)) if self.audio_ms else 0
        return " ".join(words[:count]), " ".join(words[count:])
