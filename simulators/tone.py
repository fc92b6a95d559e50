"""Audio whose pitch tells which sentence it stands for, made once and then only cut.

A chunk lasts a whole number of a tone's periods, so that equal chunks follow each other
without a seam and every chunk of a tone is the same bytes.
"""

import base64
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

CHUNK_MS: Final = 100
#: Far enough apart to be told from each other through mu-law at 8 kHz; all of them have whole
#: periods in `CHUNK_MS`.
FREQUENCIES_HZ: Final = tuple(range(300, 1500, 60))
_AMPLITUDE: Final = 8000
_MS_PER_CHARACTER: Final = 70
_SHORTEST_MS: Final = 300
BYTES_PER_SAMPLE: Final = {"pcm_s16le": 2, "pcm_f32le": 4, "pcm_mulaw": 1, "pcm_alaw": 1}

#: Makes a text into samples of 16-bit size, given its length in ms and the rate in Hz.
Voice = Callable[[str, float, int], NDArray[np.float64]]


def speech_ms(text: str, *, ms_per_character: float = _MS_PER_CHARACTER) -> float:
    """How long ``text`` is spoken for: in proportion to its letters, 300 ms at least."""
    letters = len(text.strip())
    return max(float(_SHORTEST_MS), letters * ms_per_character) if letters else 0.0


def frequency(number: int) -> int:
    """The tone of the ``number``-th sentence; they repeat after `FREQUENCIES_HZ`."""
    return FREQUENCIES_HZ[number % len(FREQUENCIES_HZ)]


@lru_cache(maxsize=512)
def chunk(frequency_hz: int, encoding: str, rate_hz: int) -> bytes:
    """`CHUNK_MS` of a tone; repeats without a seam."""
    times = np.arange(rate_hz * CHUNK_MS // 1000) / rate_hz
    samples = np.sin(2 * np.pi * frequency_hz * times) * _AMPLITUDE
    return encode(samples, encoding)


@lru_cache(maxsize=512)
def chunk_base64(frequency_hz: int, encoding: str, rate_hz: int) -> str:
    """`chunk`, in base64."""
    return base64.b64encode(chunk(frequency_hz, encoding, rate_hz)).decode()


def bytes_for(duration_ms: float, encoding: str, rate_hz: int) -> int:
    """Size of so much audio, in whole samples."""
    return round(duration_ms * rate_hz / 1000) * BYTES_PER_SAMPLE[encoding]


def tone(frequency_hz: int, duration_ms: float, encoding: str, rate_hz: int) -> bytes:
    """A tone of any length."""
    size = bytes_for(duration_ms, encoding, rate_hz)
    piece = chunk(frequency_hz, encoding, rate_hz)
    return (piece * (size // len(piece) + 1))[:size]


def speech(
    text: str,
    duration_ms: float,
    encoding: str,
    rate_hz: int,
    *,
    voice: Voice | None,
    frequency_hz: int,
) -> bytes:
    """A text in a voice, or without one as a tone."""
    if voice is None:
        return tone(frequency_hz, duration_ms, encoding, rate_hz)
    return encode(voice(text, duration_ms, rate_hz), encoding)


def word_spans(text: str, duration_ms: float) -> list[tuple[str, float, float]]:
    """Each word with where it begins and ends, in ms, by the number of its letters."""
    words = text.split()
    letters = sum(len(word) for word in words)
    found = []
    position = 0.0
    for word in words:
        end = position + duration_ms * len(word) / letters
        found.append((word, position, end))
        position = end
    return found


def encode(samples: NDArray[np.float64], encoding: str) -> bytes:
    """Samples of 16-bit size in one of the raw encodings."""
    if encoding == "pcm_f32le":
        return (samples / 32768).astype("<f4").tobytes()
    linear = samples.round().astype("<i2")
    if encoding == "pcm_s16le":
        return linear.tobytes()
    return _mulaw(linear) if encoding == "pcm_mulaw" else _alaw(linear)


def dominant_frequency(samples: NDArray[np.int16], rate_hz: int) -> float:
    """The loudest frequency, in Hz: which tone is heard in a recording."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


def _mulaw(linear: NDArray[np.int16]) -> bytes:
    """G.711 mu-law."""
    wide = linear.astype(np.int32)
    sign = np.where(wide < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(wide), 32635) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return bytes((~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8).tobytes())


def _alaw(linear: NDArray[np.int16]) -> bytes:
    """G.711 A-law."""
    wide = linear.astype(np.int32)
    sign = np.where(wide >= 0, 0x80, 0)
    magnitude = np.minimum(np.where(wide >= 0, wide, -wide - 1), 32767)
    exponent = np.where(
        magnitude < 256, 0, np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 7
    )
    shift = np.where(exponent == 0, 4, exponent + 3)
    mantissa = (magnitude >> shift) & 0x0F
    return bytes(((sign | exponent << 4 | mantissa) ^ 0x55).astype(np.uint8).tobytes())
