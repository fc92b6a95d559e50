"""Deepgram's voices through Pipecat's services, against the simulator, in a real pipeline."""

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.utils.errors import ErrorCategory
from pydantic import ValidationError

from config.errors import ProviderError
from services.deepgram import DeepgramTTSOptions
from services.deepgram.tts import build_tts, render
from simulators import tone
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.deepgram import DeepgramSimulator
from tests.unit.services.calls import context, on_the_line

VOICES = ("aura-2-thalia-en", "flux-meena-en")
TEXT = "Good morning, how may I help you?"
every_voice = pytest.mark.parametrize("voice", VOICES)


@every_voice
@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_sentence_is_spoken_at_the_lines_rate(
    http: aiohttp.ClientSession, key: str, voice: str, rate_hz: int
) -> None:
    options = DeepgramTTSOptions(voice=voice, speed=1.25)
    async with DeepgramSimulator(api_key=key, speed=50) as simulator:
        here = context(http, simulator.base_url, "en-IN", rate_hz, key=key)
        async with on_the_line(build_tts(options, here), rate_hz) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
        (spoken,) = simulator.spoken
        assert spoken.text.strip() == TEXT
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        seconds = len(line.audio) / 2 / rate_hz
        assert seconds == pytest.approx(spoken.duration_ms / 1000, abs=0.1)
        assert ("speed", "1.25") in simulator.connections[0].received.query
        assert simulator.violations == []
        assert line.errors == []


@every_voice
async def test_sentences_follow_each_other(
    http: aiohttp.ClientSession, key: str, voice: str
) -> None:
    """Cut by somebody else, and none is held back for the next."""
    async with DeepgramSimulator(speed=50) as simulator:
        here = context(http, simulator.base_url, "en-IN", key=key)
        async with on_the_line(build_tts(DeepgramTTSOptions(voice=voice), here)) as line:
            await line.send(TTSSpeakFrame("One."), TTSSpeakFrame("Two and three."))
            await line.first(TTSStoppedFrame, 2)
        kinds = [type(f) for f in line.frames if isinstance(f, TTSStartedFrame | TTSStoppedFrame)]
        assert kinds == [TTSStartedFrame, TTSStoppedFrame] * 2
        assert [spoken.text.strip() for spoken in simulator.spoken] == ["One.", "Two and three."]
        expected_ms = sum(spoken.duration_ms for spoken in simulator.spoken)
        assert len(line.audio) / 16 == pytest.approx(expected_ms, abs=20)
        assert simulator.violations == []
        assert line.errors == []


@every_voice
async def test_what_was_interrupted_is_not_heard_in_the_next_sentence(
    http: aiohttp.ClientSession, key: str, voice: str
) -> None:
    async with DeepgramSimulator(speed=3) as simulator:
        here = context(http, simulator.base_url, "en-IN", key=key)
        async with on_the_line(build_tts(DeepgramTTSOptions(voice=voice), here)) as line:
            await line.send(TTSSpeakFrame(TEXT * 3))
            await line.first(TTSAudioRawFrame, 2)
            await line.send(InterruptionFrame())
            await line.first(InterruptionFrame)
            await line.send(TTSSpeakFrame("A new beginning."))
            await line.first(TTSStartedFrame, 2)
            begun = line.frames.index(line.of(TTSStartedFrame)[1])
            await line.until(
                lambda: any(isinstance(f, TTSStoppedFrame) for f in line.frames[begun:])
            )
        heard = [f.audio for f in line.frames[begun:] if isinstance(f, TTSAudioRawFrame)]
        samples = np.frombuffer(b"".join(heard), dtype="<i2")
        second = simulator.spoken[1]
        assert tone.dominant_frequency(samples, 8_000) == pytest.approx(second.frequency_hz, abs=5)
        assert len(samples) / 8 == pytest.approx(second.duration_ms, abs=20)
        told = "Clear" if voice.startswith("aura") else "Interrupt"
        assert any(told in message for message in simulator.connections[0].messages)
        assert simulator.violations == []


@every_voice
async def test_what_is_interrupted_before_it_sounds_is_never_heard(
    http: aiohttp.ClientSession, key: str, voice: str
) -> None:
    """Deepgram ignores an interruption before a Flux connection's first sound."""
    async with DeepgramSimulator(speed=50) as simulator:
        here = context(http, simulator.base_url, "en-IN", key=key)
        async with on_the_line(build_tts(DeepgramTTSOptions(voice=voice), here)) as line:
            await simulator.until(lambda: len(simulator.connections) == 1)
            simulator.behave(Behaviour(stall_after_ms=0), on=0)
            await line.send(TTSSpeakFrame(TEXT * 3))
            await simulator.until(lambda: '{"type": "Flush"}' in simulator.connections[0].messages)
            if voice.startswith("aura"):
                simulator.behave(WELL_BEHAVED, on=0)
            await line.send(InterruptionFrame())
            await line.first(InterruptionFrame)
            await line.send(TTSSpeakFrame("A new beginning."))
            await line.first(TTSStartedFrame, 2)
            begun = line.frames.index(line.of(TTSStartedFrame)[1])
            await line.until(
                lambda: any(isinstance(f, TTSStoppedFrame) for f in line.frames[begun:])
            )
        heard = [f.audio for f in line.frames[begun:] if isinstance(f, TTSAudioRawFrame)]
        last = simulator.spoken[-1]
        assert last.text.strip() == "A new beginning."
        assert len(b"".join(heard)) / 16 == pytest.approx(last.duration_ms, abs=20)
        assert line.errors == []


async def test_too_many_flushes_are_told(http: aiohttp.ClientSession, key: str) -> None:
    """The sentence after the twentieth in a minute would never be said."""
    async with DeepgramSimulator(speed=1_000) as simulator:
        here = context(http, simulator.base_url, "en-IN", key=key)
        tts = build_tts(DeepgramTTSOptions(voice="aura-2-thalia-en"), here)
        async with on_the_line(tts, cancel=True) as line:
            for _ in range(21):
                await line.send(TTSSpeakFrame("Yes."))
            error = await line.first(ErrorFrame)
        assert error.category is ErrorCategory.RATE_LIMIT


@every_voice
async def test_a_phrase_outside_a_call(http: aiohttp.ClientSession, key: str, voice: str) -> None:
    async with DeepgramSimulator(speed=50) as simulator:
        here = context(http, simulator.base_url, "en-IN", key=key)
        pcm = await render(DeepgramTTSOptions(voice=voice), here, TEXT)
        assert len(pcm) / 16 == pytest.approx(simulator.spoken[0].duration_ms, abs=1)
        assert simulator.violations == []


@every_voice
@pytest.mark.parametrize(
    ("behaviour", "code", "retryable"),
    [
        (Behaviour(refuse_status=401), "tts_auth", False),
        (Behaviour(refuse_status=429), "tts_busy", True),
        (Behaviour(drop_after_bytes=3_000), "tts_dropped", True),
        (Behaviour(error_after_bytes=3_000), "tts_failed", True),
        (Behaviour(garbage_frames=1), "tts_garbage", True),
    ],
    ids=["401", "429", "torn", "error", "garbage"],
)
async def test_a_phrase_that_fails(
    http: aiohttp.ClientSession,
    key: str,
    voice: str,
    behaviour: Behaviour,
    code: str,
    retryable: bool,
) -> None:
    async with DeepgramSimulator(behaviour=behaviour) as simulator:
        here = context(http, simulator.base_url, "en-IN", key=key)
        with pytest.raises(ProviderError) as caught:
            await render(DeepgramTTSOptions(voice=voice), here, TEXT)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert key not in caught.value.message


@pytest.mark.parametrize("voice", ["meena", "flux-meena-en&model=x", "aura-2-diana-es"])
def test_voices_that_are_none(voice: str) -> None:
    with pytest.raises(ValidationError, match="voice"):
        DeepgramTTSOptions(voice=voice)
