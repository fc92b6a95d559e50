"""What a simulated voice says can be read off the audio."""

import numpy as np
import pytest
import soxr

from simulators.caller.codec import MULAW_8K
from simulators.speech import Pcm
from simulators.tone import Voice
from simulators.word_tones import WordTones

WORDS = ("गेहूँ", "सरसों", "मक्का", "बाजरा", "कपास", "हल्दी")
TONES = WordTones(WORDS, ("cartesia", "sarvam"))


def pcm(voice: Voice, text: str, duration_ms: float, rate_hz: int = 8000) -> Pcm:
    return np.rint(voice(text, duration_ms, rate_hz)).astype(np.int16)


def mulaw(samples: Pcm) -> Pcm:
    """As it comes out of a telephone."""
    return np.concatenate([MULAW_8K.decode(packet) for packet in MULAW_8K.packets(samples)])


def said(samples: Pcm) -> list[tuple[str, str]]:
    return [(heard.speaker, heard.word) for heard in TONES.heard(samples, 8000)]


def test_words_and_speakers_are_told_apart_through_mulaw() -> None:
    first = pcm(TONES.voice("cartesia"), "गेहूँ सरसों, मक्का।", 1200)
    second = pcm(TONES.voice("sarvam"), "बाजरा कपास", 800)
    pause = np.zeros(4000, dtype=np.int16)
    heard = TONES.heard(mulaw(np.concatenate([first, pause, second])), 8000)
    assert [(word.speaker, word.word) for word in heard] == [
        *(("cartesia", word) for word in ("गेहूँ", "सरसों", "मक्का")),
        *(("sarvam", word) for word in ("बाजरा", "कपास")),
    ]
    assert heard[2].end_ms == pytest.approx(1170, abs=25)
    assert heard[3].start_ms == pytest.approx(1700, abs=25)


def test_a_word_said_twice_is_heard_twice() -> None:
    assert said(pcm(TONES.voice("sarvam"), "कपास कपास", 700)) == [("sarvam", "कपास")] * 2


def test_a_word_cut_short_is_heard() -> None:
    whole = pcm(TONES.voice("sarvam"), "कपास हल्दी", 800)
    assert said(whole[: 8 * 480]) == [("sarvam", "कपास"), ("sarvam", "हल्दी")]


def test_another_rate_resampled_is_the_same() -> None:
    at_44100 = TONES.voice("cartesia")("गेहूँ हल्दी", 900, 44_100)
    assert said(soxr.resample(at_44100, 44_100, 8000).astype(np.int16)) == [
        ("cartesia", "गेहूँ"),
        ("cartesia", "हल्दी"),
    ]


def test_a_wrong_pitch_is_no_word_of_anybody() -> None:
    slow = TONES.voice("cartesia")("गेहूँ हल्दी", 900, 11_025)
    assert {word for _, word in said(slow.astype(np.int16))}.isdisjoint({"हल्दी"})


def test_too_many_cannot_be_told_apart() -> None:
    with pytest.raises(ValueError, match="too many"):
        WordTones([str(number) for number in range(24)], ("a",))
