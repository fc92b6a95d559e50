"""How a transcript sounds: a tone as long as the text would take to say."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from simulators import tone
from simulators.cartesia.request import Generation


@dataclass(slots=True)
class Spoken:
    """A transcript that was, or is being, spoken.

    Attributes:
        frequency_hz: Its tone.
        duration_ms: How long the whole of it is.
        sent_ms: How much of it was sent.
        is_cancelled: The client didn't want the rest.
        sound: How words sound; without it, all of it is the tone.
    """

    context_id: str
    text: str
    frequency_hz: int
    duration_ms: float
    encoding: str
    rate_hz: int
    language: str
    voice: str
    sent_ms: float = 0.0
    is_cancelled: bool = False
    sound: tone.Voice | None = None

    def audio(self, rate_hz: int) -> bytes:
        """All of it."""
        return tone.speech(
            self.text,
            self.duration_ms,
            self.encoding,
            rate_hz,
            voice=self.sound,
            frequency_hz=self.frequency_hz,
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of audio: its place in the utterance, its size, and its base64 text."""

    start_ms: float
    duration_ms: float
    size: int
    data: str


def spoken(
    generation: Generation,
    text: str,
    frequency_hz: int,
    ms_per_character: float,
    sound: tone.Voice | None = None,
) -> Spoken:
    """The utterance for a transcript."""
    duration_ms = tone.speech_ms(text, ms_per_character=ms_per_character) / generation.speed
    return Spoken(
        context_id=generation.context_id,
        text=text,
        frequency_hz=frequency_hz,
        duration_ms=round(duration_ms, 3),
        encoding=generation.encoding,
        rate_hz=generation.rate_hz,
        language=generation.language,
        voice=generation.voice,
        sound=sound,
    )


def pieces(utterance: Spoken, *, rate_hz: int | None = None, odd: bool = False) -> Iterator[Piece]:
    """The audio of an utterance in chunks.

    Args:
        utterance: What is said.
        rate_hz: Rate to make it at, where that isn't the rate that was asked for.
        odd: Cut within samples.
    """
    rate_hz = rate_hz or utterance.rate_hz
    encoding, frequency_hz = utterance.encoding, utterance.frequency_hz
    if odd or utterance.sound is not None:
        yield from _cut_pieces(utterance, rate_hz, odd=odd)
        return
    whole = tone.chunk_base64(frequency_hz, encoding, rate_hz)
    size = len(tone.chunk(frequency_hz, encoding, rate_hz))
    start_ms = 0.0
    while utterance.duration_ms - start_ms >= tone.CHUNK_MS:
        yield Piece(start_ms, tone.CHUNK_MS, size, whole)
        start_ms += tone.CHUNK_MS
    rest = tone.tone(frequency_hz, utterance.duration_ms - start_ms, encoding, rate_hz)
    if rest:
        data = base64.b64encode(rest).decode()
        yield Piece(start_ms, utterance.duration_ms - start_ms, len(rest), data)


def _cut_pieces(utterance: Spoken, rate_hz: int, *, odd: bool) -> Iterator[Piece]:
    audio = utterance.audio(rate_hz)
    size = len(tone.chunk(utterance.frequency_hz, utterance.encoding, rate_hz)) - odd
    for start in range(0, len(audio), size):
        data = audio[start : start + size]
        start_ms = utterance.duration_ms * start / len(audio)
        duration_ms = utterance.duration_ms * len(data) / len(audio)
        yield Piece(start_ms, duration_ms, len(data), base64.b64encode(data).decode())


def word_times(utterance: Spoken) -> list[tuple[str, float, float]]:
    """Each word with the seconds from the utterance's start at which it begins and ends."""
    return [
        (word, round(start / 1000, 3), round(end / 1000, 3))
        for word, start, end in tone.word_spans(utterance.text, utterance.duration_ms)
    ]
