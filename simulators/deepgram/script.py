"""What the simulated Deepgram hears in the speech that it receives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance as it is to be recognised.

    Attributes:
        text: The transcript; empty for speech that nothing was made of.
        parts: The same in several finals, of which only the last has ``speech_final``.
        interims: Interim transcripts in order (the last one stays); by default the words so
            far, one more each 300 ms.
        confidence: 0 to 1.
        language: What ``language=multi`` reports.
        delay_ms: Extra time before the final.
    """

    text: str
    parts: tuple[str, ...] = ()
    interims: tuple[str, ...] | None = None
    confidence: float = 0.95
    language: str = "hi"
    delay_ms: float = 0.0

    def finals(self) -> tuple[str, ...]:
        """The transcripts of its finals."""
        return self.parts or (self.text,)

    def interim(self, spoken_ms: float, number: int) -> str:
        """The ``number``-th interim transcript, ``spoken_ms`` into the utterance."""
        if self.interims is not None:
            return self.interims[min(number, len(self.interims) - 1)] if self.interims else ""
        words = self.text.split()
        return " ".join(words[: 1 + int(spoken_ms / _MS_PER_WORD)])


_MS_PER_WORD = 300.0


@dataclass(frozen=True, slots=True)
class Heard:
    """Speech found in the audio.

    Attributes:
        connection: Number of the connection.
        number: Number of the utterance, counted from 0 on the connection (or in the
            simulator, where the script is shared).
        start_ms: Where in the stream it began.
        duration_ms: How long it was, or has been so far.
        audio: Its bytes as received; empty where audio isn't kept.
    """

    connection: int
    number: int
    start_ms: float
    duration_ms: float
    audio: bytes


#: Utterances in turn, again from the first after the last; or a function of what was heard
#: (without side effects: it is asked for interims too).
Utterances = Sequence[str | Utterance] | Callable[[Heard], str | Utterance]


def recognise(utterances: Utterances, heard: Heard) -> Utterance:
    """The scripted utterance for a stretch of speech."""
    if callable(utterances):
        found = utterances(heard)
    else:
        found = utterances[heard.number % len(utterances)] if utterances else ""
    return found if isinstance(found, Utterance) else Utterance(found)
