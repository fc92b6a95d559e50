"""Google's text-to-speech through Pipecat's service and gRPC, against the simulator."""

from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.utils.errors import ErrorCategory

import services.google.tts as module
from config.errors import ProviderError
from services.google import GoogleTTSOptions
from services.google.tts import build_tts, clients, render, voice_name
from simulators import tone
from simulators.behaviour import Behaviour
from simulators.google import GoogleSpeechSimulator
from tests.unit.services.calls import context, on_the_line

TEXT = "आपका स्वागत है।"


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await clients.close()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_sentence_is_spoken_at_the_rate_of_the_line(
    http: aiohttp.ClientSession, rate_hz: int
) -> None:
    options = GoogleTTSOptions.model_validate({"voice_id": "Charon", "speaking_rate": 1.25})
    async with GoogleSpeechSimulator(speed=50) as simulator:
        here = context(http, simulator.base_url, rate_hz=rate_hz, vendor_language="hi-IN")
        async with on_the_line(build_tts(options, here), 24_000) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
        config = simulator.configs[0]
        assert config.voice.name == "hi-IN-Chirp3-HD-Charon"
        assert config.streaming_audio_config.sample_rate_hertz == rate_hz
        assert config.streaming_audio_config.speaking_rate == 1.25
        [(text, _, duration_ms)] = simulator.spoken
        assert text.strip() == TEXT
        samples = np.frombuffer(line.audio, dtype="<i2")
        assert len(samples) / rate_hz * 1000 == pytest.approx(duration_ms, abs=2)
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        assert simulator.violations == []
        assert line.errors == []


async def test_pieces_cut_within_a_sample_are_put_together(http: aiohttp.ClientSession) -> None:
    async with GoogleSpeechSimulator(speed=50, behaviour=Behaviour(odd_frames=True)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN")
        async with on_the_line(build_tts(GoogleTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
        _, frequency_hz, _ = simulator.spoken[0]
        samples = np.frombuffer(line.audio, dtype="<i2")
        assert tone.dominant_frequency(samples, 8_000) == pytest.approx(frequency_hz, abs=5)


async def test_after_an_interruption_only_the_new_sentence_is_heard(
    http: aiohttp.ClientSession,
) -> None:
    async with GoogleSpeechSimulator(script=[Behaviour(speed=1.0)], speed=50) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN")
        async with on_the_line(build_tts(GoogleTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT * 5))
            await line.first(TTSAudioRawFrame)
            await line.send(InterruptionFrame())
            await line.first(InterruptionFrame)
            line.frames.clear()
            await line.send(TTSSpeakFrame("दूसरा वाक्य।"))
            await line.until(lambda: line.audio and line.of(TTSStoppedFrame))
        samples = np.frombuffer(line.audio, dtype="<i2")
        frequency_hz = simulator.spoken[-1][1]
        assert tone.dominant_frequency(samples, 8_000) == pytest.approx(frequency_hz, abs=5)
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=429), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=503), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=1_600), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=1_600), ErrorCategory.SERVER),
    ],
)
async def test_what_goes_wrong_is_an_error_at_once(
    http: aiohttp.ClientSession, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with GoogleSpeechSimulator(behaviour=behaviour) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN")
        async with on_the_line(build_tts(GoogleTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            error = await line.first(ErrorFrame)
        assert error.category is category
        assert len(simulator.connections) == 1


async def test_sound_that_stops_coming_is_an_error(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE_SECONDS", 0.3)
    async with GoogleSpeechSimulator(behaviour=Behaviour(stall_after_bytes=1_600)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN")
        async with on_the_line(build_tts(GoogleTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(ErrorFrame)
        assert line.errors[0] == "tts_timeout"


async def test_a_phrase_that_is_refused(http: aiohttp.ClientSession) -> None:
    async with GoogleSpeechSimulator(behaviour=Behaviour(refuse_status=429)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN")
        with pytest.raises(ProviderError) as refused:
            await render(GoogleTTSOptions(), here, TEXT)
    assert (refused.value.code, refused.value.retryable) == ("tts_busy", True)


def test_a_voice_may_be_named_whole() -> None:
    assert voice_name("Kore", "ta-IN") == "ta-IN-Chirp3-HD-Kore"
    assert voice_name("hi-IN-Chirp3-HD-Leda", "hi-IN") == "hi-IN-Chirp3-HD-Leda"
