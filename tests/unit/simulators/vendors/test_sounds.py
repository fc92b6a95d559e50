"""Loudness, endpoints and tones."""

import itertools
import math

import numpy as np
import pytest

from simulators import tone
from simulators.energy import Endpointer, SpeechEnded, SpeechStarted, loudness
from tests.unit.simulators.vendors.sound import packets, silence, speech

NAMES = {"linear16": "pcm_s16le", "mulaw": "pcm_mulaw", "alaw": "pcm_alaw"}


@pytest.mark.parametrize("encoding", NAMES)
@pytest.mark.parametrize("level", [0, 1000, 8000, 30000])
def test_loudness_is_the_mean_size_of_the_samples(encoding: str, level: int) -> None:
    samples = np.tile([level, -level], 400).astype(np.float64)
    audio = tone.encode(samples, NAMES[encoding])
    assert loudness(audio, encoding) == pytest.approx(level, abs=260, rel=0.05)


def test_loudness_of_nothing_is_none() -> None:
    assert loudness(b"") == 0.0


def ear(silence_ms: float = 200.0) -> Endpointer:
    """An endpointer for 8 kHz."""
    return Endpointer(rate_hz=8000, encoding="linear16", silence_ms=silence_ms)


@pytest.mark.parametrize("size", [2, 320, 322, 5000, 10**6])
def test_ends_of_speech_are_found_to_20_ms(size: int) -> None:
    audio = silence(300) + speech(500) + silence(100) + speech(200) + silence(400)
    listener = ear()
    events = [event for packet in packets(audio, size) for event in listener.feed(packet)]
    assert events == [SpeechStarted(300), SpeechEnded(300, 1100, 1300)]


def test_speech_can_be_ended_from_outside() -> None:
    listener = ear(math.inf)
    assert listener.finish() == ()
    listener.feed(speech(400) + silence(5000))
    assert listener.finish() == (SpeechEnded(0, 400, 5400),)
    assert not listener.speaking


def test_soft_noise_and_short_clicks_are_no_speech() -> None:
    noise = np.random.default_rng(1).normal(0, 60, 8000)
    clicks = b"".join(itertools.chain.from_iterable([(speech(40), silence(200))] * 5))
    assert ear().feed(tone.encode(noise, "pcm_s16le") + clicks) == ()


@pytest.mark.parametrize("frequency_hz", tone.FREQUENCIES_HZ)
def test_chunks_of_a_tone_join_without_a_seam(frequency_hz: int) -> None:
    for rate_hz in (8000, 16000, 22050, 24000, 44100, 48000):
        piece = np.frombuffer(tone.chunk(frequency_hz, "pcm_s16le", rate_hz), dtype="<i2")
        steepest = np.abs(np.diff(piece.astype(int))).max()
        assert abs(int(piece[0]) - int(piece[-1])) <= steepest + 1
        assert len(piece) == rate_hz * tone.CHUNK_MS // 1000


def test_a_tone_is_recognised_by_its_frequency() -> None:
    for number in range(len(tone.FREQUENCIES_HZ)):
        pcm = np.frombuffer(tone.tone(tone.frequency(number), 400, "pcm_s16le", 8000), "<i2")
        heard = tone.dominant_frequency(pcm, 8000)
        assert heard == pytest.approx(tone.frequency(number), abs=10)


def test_speech_lasts_in_proportion_to_its_text() -> None:
    assert tone.speech_ms("") == tone.speech_ms("  ") == 0
    assert tone.speech_ms("ok") == 300
    assert tone.speech_ms("a" * 20) == 1400


@pytest.mark.parametrize("name", ["mulaw", "alaw"])
def test_companding_follows_g711(name: str) -> None:
    """Anchors of ITU-T G.711: silence, and full scale of either sign."""
    samples = np.array([0.0, 32635.0, -32635.0])
    expected = {"mulaw": b"\xff\x80\x00", "alaw": b"\xd5\xaa\x2a"}
    assert tone.encode(samples, NAMES[name]) == expected[name]
