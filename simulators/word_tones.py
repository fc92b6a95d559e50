"""A voice that a program can understand: every word has a tone, and so has whoever speaks.

Two tones sound at once, as on a telephone's keypad: the low one is the speaker's, the high one
the word's. They survive mu-law at 8 kHz, resampling and any cut, so that what a caller heard can
be read off the audio: who said which words, and when.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulators.tone import Voice, word_spans

_LOWEST_SPEAKER_HZ: Final = 300
_LOWEST_WORD_HZ: Final = 1100
_HIGHEST_WORD_HZ: Final = 3300
_STEP_HZ: Final = 100
_AMPLITUDE: Final = 6000
#: Between two words, so that one that is said twice in a row is heard twice.
_PAUSE_MS: Final = 30
_FADE_MS: Final = 4
_WINDOW_MS: Final = 40
_HOP_MS: Final = 10
#: Below this mean size a window is silent.
_SILENT_LEVEL: Final = 250
#: What sounds for less is the edge of something.
_SHORTEST_MS: Final = 40


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word as it was heard.

    Attributes:
        speaker: Who said it; empty where that could not be made out.
        word: The word; empty for a sound that is none.
    """

    speaker: str
    word: str
    start_ms: float
    end_ms: float

    @property
    def length_ms(self) -> float:
        """How long it sounded."""
        return self.end_ms - self.start_ms


class WordTones:
    """The words that can be told apart, and who may say them.

    Args:
        words: At most 23, without punctuation.
        speakers: At most 7.

    Raises:
        ValueError: They are too many to be told apart.
    """

    def __init__(self, words: Sequence[str], speakers: Sequence[str]) -> None:
        highest = _LOWEST_WORD_HZ + (len(words) - 1) * _STEP_HZ
        if highest > _HIGHEST_WORD_HZ or len(speakers) > 7 or len(set(words)) < len(words):
            raise ValueError("too many words or speakers, or a word twice")
        self._words = {word: _LOWEST_WORD_HZ + i * _STEP_HZ for i, word in enumerate(words)}
        self._speakers = {
            name: _LOWEST_SPEAKER_HZ + i * _STEP_HZ for i, name in enumerate(speakers)
        }

    def voice(self, speaker: str) -> Voice:
        """How somebody speaks; words that are not known have no tone but the speaker's."""
        low_hz = self._speakers[speaker]

        def speak(text: str, duration_ms: float, rate_hz: int) -> NDArray[np.float64]:
            samples = np.zeros(round(duration_ms * rate_hz / 1000))
            for word, start, end in word_spans(text, duration_ms):
                high_hz = self._words.get(bare(word), 0)
                first = round(start * rate_hz / 1000)
                last = round(max(start, end - _PAUSE_MS) * rate_hz / 1000)
                samples[first:last] = _sound(low_hz, high_hz, last - first, rate_hz)
            return samples

        return speak

    def heard(self, pcm: NDArray[np.int16], rate_hz: int) -> list[HeardWord]:
        """What was said in ``pcm``, in order; what is no known word is told as such."""
        window, hop = _WINDOW_MS * rate_hz // 1000, _HOP_MS * rate_hz // 1000
        if len(pcm) < window:
            return []
        parts = np.lib.stride_tricks.sliding_window_view(pcm, window)[::hop]
        centres = np.abs(parts[:, window // 2 - hop : window // 2 + hop].astype(np.int32))
        (loud,) = np.nonzero(centres.mean(axis=1) >= _SILENT_LEVEL)
        spectra = np.abs(np.fft.rfft(parts[loud] * np.hanning(window), axis=1))
        frequencies = np.fft.rfftfreq(window, 1 / rate_hz)
        runs: list[HeardWord] = []
        for number, spectrum in zip(loud, spectra, strict=True):
            speaker = _nearest(self._speakers, frequencies, spectrum, 0, 1000)
            word = _nearest(self._words, frequencies, spectrum, 1000, rate_hz / 2)
            at_ms = (int(number) * hop + window / 2) * 1000 / rate_hz
            sound = HeardWord(speaker, word, at_ms - _HOP_MS / 2, at_ms + _HOP_MS / 2)
            last = runs[-1] if runs else None
            if last and (last.speaker, last.word) == (speaker, word) and _adjoin(last, sound):
                runs[-1] = HeardWord(speaker, word, last.start_ms, sound.end_ms)
            else:
                runs.append(sound)
        return [run for run in runs if run.length_ms >= _SHORTEST_MS]


def bare(word: str) -> str:
    """A word without what stands around it."""
    return word.strip(".,?!।;:\"'“”‘’…-")


def _adjoin(last: HeardWord, sound: HeardWord) -> bool:
    return sound.start_ms - last.end_ms < _HOP_MS / 2


def _sound(low_hz: float, high_hz: float, count: int, rate_hz: int) -> NDArray[np.float64]:
    times = np.arange(count) / rate_hz
    wave = np.sin(2 * np.pi * low_hz * times)
    if high_hz:
        wave += np.sin(2 * np.pi * high_hz * times)
    fade = min(count // 2, _FADE_MS * rate_hz // 1000)
    if fade:
        wave[:fade] *= np.linspace(0, 1, fade)
        wave[-fade:] *= np.linspace(1, 0, fade)
    return np.asarray(wave * _AMPLITUDE, dtype=np.float64)


def _nearest(
    tones: dict[str, int],
    frequencies: NDArray[np.floating[Any]],
    spectrum: NDArray[np.floating[Any]],
    from_hz: float,
    to_hz: float,
) -> str:
    """Whose tone is the loudest between two frequencies; empty where it is nobody's."""
    band = (frequencies >= from_hz) & (frequencies < to_hz)
    loudest = float(frequencies[band][np.argmax(spectrum[band])])
    if spectrum[band].max() < spectrum.max() / 4:
        return ""
    name = min(tones, key=lambda each: abs(tones[each] - loudest))
    return name if abs(tones[name] - loudest) <= 0.4 * _STEP_HZ else ""
