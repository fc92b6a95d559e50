"""The caller's audio on its way in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audio_rate import RateMatcher
from bot.ear import Ear
from serializer.codecs import MULAW_8K, PCM_8K, PCM_16K, PCM_24K, AudioFormat


@given(cuts=st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_pieces_of_any_size_lose_nothing(cuts: list[int]) -> None:
    content = (np.arange(sum(cuts)) % 251).astype(np.uint8).tobytes()
    ear = Ear(MULAW_8K)
    heard = b""
    start = 0
    for size in cuts:
        pcm = ear.take(content[start : start + size])
        start += size
        assert pcm is None or len(pcm) >= 640
        heard += pcm or b""
    expected = MULAW_8K.decode(content)
    assert expected.startswith(heard) and len(expected) - len(heard) < 640


@pytest.mark.parametrize(
    ("line", "rate_hz"),
    [
        (MULAW_8K, 8000),
        (PCM_8K, 8000),
        (PCM_16K, 16000),
        (PCM_24K, 16000),
        (AudioFormat("pcm", 16000, "be"), 16000),
    ],
)
def test_what_comes_out_is_at_a_rate_that_voice_activity_knows(
    line: AudioFormat, rate_hz: int
) -> None:
    ear = Ear(line)
    assert ear.rate_hz == rate_hz
    pcm = b"".join(ear.take(line.silence(20)) or b"" for _ in range(100))
    assert len(pcm) == pytest.approx(rate_hz * 2 * 2, rel=0.02)


def test_an_odd_byte_waits_for_its_other_half() -> None:
    ear = Ear(PCM_8K)
    content = (np.arange(2000) % 30000).astype("<i2").tobytes()
    heard = b"".join(ear.take(content[s : s + 643]) or b"" for s in range(0, len(content), 643))
    assert content.startswith(heard) and len(heard) > 3000


def test_equal_rates_pass_untouched() -> None:
    assert RateMatcher(8000).take(b"\x01\x02\x03\x04", 8000) == b"\x01\x02\x03\x04"


@pytest.mark.parametrize("from_hz", [16000, 22050, 24000, 44100])
def test_a_tone_keeps_its_pitch_and_length(from_hz: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(from_hz) / from_hz) * 10000
    pcm = tone.astype("<i2").tobytes()
    matcher = RateMatcher(8000)
    out = b"".join(matcher.take(pcm[s : s + 999], from_hz) for s in range(0, len(pcm), 999))
    samples = np.frombuffer(out + matcher.flush(), "<i2").astype(float)
    assert len(samples) == pytest.approx(8000, abs=4)
    spectrum = np.abs(np.fft.rfft(samples[:8000]))
    assert int(np.argmax(spectrum)) == pytest.approx(440, abs=1)


def test_two_channels_are_mixed() -> None:
    stereo = np.array([[100, 300], [-100, -300]], "<i2").tobytes()
    mixed = np.frombuffer(RateMatcher(8000).take(stereo, 8000, 2), "<i2")
    assert mixed.tolist() == [200, -200]
