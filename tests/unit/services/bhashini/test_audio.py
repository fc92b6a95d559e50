"""Sample formats, with sound whose pitch and level are known."""

import contextlib
import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.bhashini.audio import STREAM_RATE_HZ, ToStream, from_wav, wav


def sine(hz: float, rate_hz: int, seconds: float = 1.0) -> NDArray[np.float64]:
    wave_: NDArray[np.float64] = np.sin(
        2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz
    )
    return wave_


def pcm_of(hz: float, rate_hz: int, seconds: float = 1.0) -> bytes:
    return (sine(hz, rate_hz, seconds) * 8_000).astype("<i2").tobytes()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize("size", [320, 3_200, 1_000_000])
def test_telephone_speech_becomes_floats_at_the_streams_rate(rate_hz: int, size: int) -> None:
    pcm, converter = pcm_of(500, rate_hz), ToStream(rate_hz)
    wire = b"".join(converter.take(pcm[i : i + size]) for i in range(0, len(pcm), size))
    wire += converter.take(b"", last=True)
    samples = np.frombuffer(wire, dtype="<f4")
    assert len(samples) == pytest.approx(STREAM_RATE_HZ, abs=2)
    assert np.argmax(np.abs(np.fft.rfft(samples))) == pytest.approx(500, abs=2)
    assert np.abs(samples).max() == pytest.approx(8_000 / 32_768, rel=0.05)


def test_no_sample_is_beyond_full_scale() -> None:
    square = (np.sign(sine(500, 8_000)) * 32_767).astype("<i2").tobytes()
    samples = np.frombuffer(ToStream(8_000).take(square, last=True), dtype="<f4")
    assert np.abs(samples).max() <= 1.0


def test_a_wav_file_is_one_that_others_read() -> None:
    pcm = pcm_of(500, 8_000)
    with wave.open(io.BytesIO(wav(pcm + b"\x00", 8_000))) as opened:
        assert opened.getparams()[:4] == (1, 2, 8_000, 8_000)
        assert opened.readframes(8_000) == pcm


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_a_file_at_the_lines_rate_is_left_alone(rate_hz: int) -> None:
    assert from_wav(wav(pcm_of(500, rate_hz), rate_hz), rate_hz) == pcm_of(500, rate_hz)


def floats(rate_hz: int, *, extensible: bool = False) -> bytes:
    """A file of 32-bit float samples, with a chunk before them that nobody asked for."""
    data = (sine(700, rate_hz) * 0.5).astype("<f4").tobytes()
    code = 0xFFFE if extensible else 3
    form = struct.pack("<HHIIHH", code, 1, rate_hz, rate_hz * 4, 4, 32)
    if extensible:
        form += struct.pack("<HHIH14x", 22, 32, 0, 3)
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\x00"
    chunks += b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", 0x7FFFF000) + data
    return b"RIFF" + struct.pack("<I", 0x7FFFF024) + b"WAVE" + chunks


@pytest.mark.parametrize("extensible", [False, True])
def test_floats_at_another_rate_and_with_lengths_that_lie_are_read(extensible: bool) -> None:
    samples = np.frombuffer(from_wav(floats(44_100, extensible=extensible), 8_000), dtype="<i2")
    assert len(samples) == pytest.approx(8_000, abs=2)
    assert np.argmax(np.abs(np.fft.rfft(samples))) == pytest.approx(700, abs=2)
    assert np.abs(samples).max() == pytest.approx(16_384, rel=0.05)


GOOD = wav(pcm_of(500, 8_000, 0.01), 8_000)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"ID3\x03" + bytes(100),
        GOOD[:36],
        GOOD.replace(struct.pack("<H", 16), struct.pack("<H", 24), 2),
        GOOD[:22] + b"\x02\x00" + GOOD[24:],
        GOOD[:24] + struct.pack("<I", 4_000) + GOOD[28:],
        GOOD[:24] + struct.pack("<I", 4_000_000_000) + GOOD[28:],
    ],
)
def test_what_is_no_usable_file_is_told(file: bytes) -> None:
    with pytest.raises(ValueError, match="WAV|bits|channels|Hz"):
        from_wav(file, 8_000)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, len(GOOD)))
def test_nothing_but_a_value_error_comes_of_a_broken_file(noise: bytes, place: int) -> None:
    broken = GOOD[:place] + noise + GOOD[place + len(noise) :]
    with contextlib.suppress(ValueError):
        assert len(from_wav(broken, 8_000)) % 2 == 0
