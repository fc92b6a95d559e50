"""Sample formats, with sound whose pitch and level are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.ai4bharat.audio import for_recogniser
from services.float_audio import FromSynthesiser


def sine(hz: float, rate_hz: int, seconds: float = 1.0) -> NDArray[np.float64]:
    wave: NDArray[np.float64] = np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)
    return wave


def pitch(pcm: bytes, rate_hz: int) -> float:
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate_hz / len(samples))


def taken(wire: bytes, sizes: list[int], from_hz: int, to_hz: int) -> bytes:
    converter, pcm, start = FromSynthesiser(from_hz, to_hz), b"", 0
    for size in sizes:
        pcm += converter.take(wire[start : start + size])
        start += size
    return pcm + converter.take(wire[start:]) + converter.rest()


def test_telephone_speech_is_doubled_in_rate_and_keeps_its_pitch() -> None:
    pcm = (sine(500, 8000) * 8000).astype("<i2").tobytes()
    heard = for_recogniser(pcm, 8000)
    assert len(heard) == 2 * len(pcm)
    assert pitch(heard, 16000) == pytest.approx(500, abs=2)


def test_speech_at_the_right_rate_is_left_alone_but_for_half_a_sample() -> None:
    assert for_recogniser(b"\x01\x02\x03\x04\x05", 16000) == b"\x01\x02\x03\x04"


@pytest.mark.parametrize("to_hz", [8000, 16000, 24000])
def test_speech_comes_down_to_the_line_with_its_length_and_pitch(to_hz: int) -> None:
    wire = (sine(700, 44100) * 0.5).astype("<f4").tobytes()
    pcm = taken(wire, [40_000] * 4, 44100, to_hz)
    assert len(pcm) == pytest.approx(2 * to_hz, rel=0.01)
    assert pitch(pcm, to_hz) == pytest.approx(700, abs=2)
    assert np.abs(np.frombuffer(pcm, dtype="<i2")).max() == pytest.approx(16384, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4001), max_size=20))
def test_where_the_wire_is_cut_changes_nothing(sizes: list[int]) -> None:
    wire = (sine(400, 44100, 0.2) * 0.5).astype("<f4").tobytes()
    assert taken(wire, sizes, 44100, 44100) == taken(wire, [], 44100, 44100)


def test_what_is_too_loud_is_clipped_and_what_is_no_number_is_silent() -> None:
    wire = np.array([2.0, -2.0, np.nan, np.inf, -np.inf, 0.0], dtype="<f4").tobytes()
    samples = np.frombuffer(taken(wire, [], 8000, 8000), dtype="<i2").tolist()
    assert samples == [32767, -32767, 0, 32767, -32767, 0]


def test_first_audio_needs_little_sound() -> None:
    """A stream resampler holds sound back; at this quality 60 ms are enough to begin."""
    converter = FromSynthesiser(44100, 8000)
    piece = np.zeros(44100 * 20 // 1000, dtype="<f4").tobytes()
    pieces = 1
    while not converter.take(piece):
        pieces += 1
    assert pieces <= 3
