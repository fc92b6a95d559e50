"""Speech made by espeak-ng, and sounds to disturb it."""

import asyncio
import subprocess
from pathlib import Path

import numpy as np
import pytest

from simulators import speech as module
from simulators.speech import (
    Speech,
    SpeechError,
    Voice,
    level,
    mix_noise,
    noise,
    resample,
    tone,
    trim_silence,
)


def test_a_sentence_becomes_speech_without_silent_edges(tmp_path: Path) -> None:
    pcm = Speech(tmp_path).pcm("Good morning, how are you?", rate_hz=8000)
    assert pcm.dtype == np.int16
    assert 0.8 * 8000 < pcm.size < 3 * 8000
    assert 10_000 < np.abs(pcm.astype(int)).max() < 32_000
    assert np.abs(pcm[:80].astype(int)).max() > 100
    assert np.abs(pcm[-80:].astype(int)).max() > 100


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("hi-IN", "नमस्ते"),
        ("bn", "নমস্কার"),
        ("ta-IN", "வணக்கம்"),
        ("te", "నమస్కారం"),
        ("mr", "नमस्कार"),
        ("kn", "ನಮಸ್ಕಾರ"),
        ("ml", "നമസ്കാരം"),
        ("gu", "નમસ્તે"),
        ("pa", "ਸਤ ਸ੍ਰੀ ਅਕਾਲ"),
        ("en-IN", "hello"),
    ],
)
def test_it_speaks_indian_languages(tmp_path: Path, language: str, text: str) -> None:
    assert Speech(tmp_path).pcm(text, voice=Voice(language)).size > 2000


def test_rates_differ_in_nothing_but_rate(tmp_path: Path) -> None:
    speech = Speech(tmp_path)
    sizes = {hz: speech.pcm("hello there", rate_hz=hz).size / hz for hz in (8000, 16000, 24000)}
    assert max(sizes.values()) - min(sizes.values()) < 0.001


def test_voices_differ(tmp_path: Path) -> None:
    speech = Speech(tmp_path)
    slow = speech.pcm("hello there", voice=Voice(rate_wpm=100))
    fast = speech.pcm("hello there", voice=Voice(rate_wpm=250))
    assert slow.size > 1.5 * fast.size
    man = speech.pcm("hello there", voice=Voice(variant="m3"))
    assert man.tolist() != speech.pcm("hello there").tolist()


async def test_a_sentence_is_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await Speech(tmp_path).say("only once")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(subprocess, "run", refuse)
    again = await Speech(tmp_path).say("only once")
    assert again.tolist() == first.tolist()
    with pytest.raises(AssertionError, match="rendered again"):
        await Speech(tmp_path).say("only once", rate_hz=16000)


def test_an_unknown_voice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="no voice 'xx"):
        Speech(tmp_path).pcm("hello", voice=Voice("xx", ""))
    with pytest.raises(SpeechError, match="variant 'nobody'"):
        Speech(tmp_path).pcm("hello", voice=Voice(variant="nobody"))
    with pytest.raises(SpeechError, match="variant"):
        Speech(tmp_path).pcm("hello", voice=Voice(variant="../../en"))
    assert not list(tmp_path.iterdir())


def test_nothing_speakable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="nothing audible"):
        Speech(tmp_path).pcm(" … ")


def test_a_hanging_synthesiser_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "hang.py"
    script.write_text("import sys; sys.stdin.read(); import time; time.sleep(60)")
    monkeypatch.setattr(module, "_SCRIPT", script)
    with pytest.raises(SpeechError, match=r"took over 0\.2 s"):
        Speech(tmp_path, timeout_seconds=0.2).pcm("hello")


async def test_callers_may_speak_at_once(tmp_path: Path) -> None:
    speech = Speech(tmp_path)
    results = await asyncio.gather(*(speech.say("together") for _ in range(4)))
    assert len({result.tobytes() for result in results}) == 1


def test_trimming_keeps_all_that_is_loud() -> None:
    sound = tone(400, 100, rate_hz=8000)
    padded = np.concatenate([np.zeros(500, np.int16), sound, np.zeros(700, np.int16)])
    trimmed = trim_silence(padded)
    assert 0.95 * sound.size < trimmed.size <= sound.size
    with pytest.raises(SpeechError):
        trim_silence(np.zeros(100, np.int16))


def test_level_and_resample_are_exact() -> None:
    assert np.abs(level(tone(400, 100, rate_hz=8000, peak_level=3000), 20_000)).max() == 20_000
    up = resample(tone(400, 200, rate_hz=8000), 8000, 16000).astype(int)
    assert np.abs(up[400:-400] - tone(400, 200, rate_hz=16000)[400:-400]).max() < 60


def test_noise_has_the_level_asked_for_and_is_reproducible() -> None:
    hiss = noise(1000, rate_hz=8000, level_dbfs=-40)
    rms = np.sqrt(np.mean(hiss.astype(float) ** 2))
    assert 20 * np.log10(rms / 32768) == pytest.approx(-40, abs=0.2)
    assert hiss.tolist() == noise(1000, rate_hz=8000, level_dbfs=-40).tolist()
    assert hiss.tolist() != noise(1000, rate_hz=8000, level_dbfs=-40, seed=2).tolist()


def test_mixed_noise_lies_below_the_speech_by_the_ratio() -> None:
    clean = tone(400, 1000, rate_hz=8000)
    added = mix_noise(clean, snr_db=20, rate_hz=8000).astype(float) - clean
    ratio = np.sqrt(np.mean(clean.astype(float) ** 2)) / np.sqrt(np.mean(added**2))
    assert 20 * np.log10(ratio) == pytest.approx(20, abs=0.3)
