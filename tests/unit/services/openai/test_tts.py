"""Text to speech against the simulated service."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.text.base_text_aggregator import TextType

from config.errors import ProviderError
from services.connections.clients import close_shared_clients
from services.openai import OpenAITTSOptions
from services.openai.audio import Resampler, mulaw
from services.openai.tts import OpenAITTSService, build_tts, render
from simulators import tone
from simulators.behaviour import Behaviour
from simulators.openai import OpenAISimulator
from tests.unit.services.calls import context, on_the_line

TEXT = "नमस्ते, आपका स्वागत है।"


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await close_shared_clients()


def service(
    http: aiohttp.ClientSession, simulator: OpenAISimulator, rate_hz: int = 8_000, **given: object
) -> OpenAITTSService:
    options = OpenAITTSOptions.model_validate(given)
    return build_tts(options, context(http, simulator.base_url, rate_hz=rate_hz, key="k"))


def seconds(pcm: bytes, rate_hz: int) -> float:
    return len(pcm) / 2 / rate_hz


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_speech_comes_at_the_lines_rate(
    http: aiohttp.ClientSession, rate_hz: int, odd: bool
) -> None:
    async with OpenAISimulator(behaviour=Behaviour(odd_frames=odd)) as simulator:
        given = {"voice": "nova", "instructions": "Slowly.", "speed": 1.25}
        async with on_the_line(service(http, simulator, rate_hz, **given)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
        spoken = simulator.spoken[0]
        assert (spoken.text, spoken.voice) == (TEXT, "nova")
        assert (spoken.instructions, spoken.speed) == ("Slowly.", 1.25)
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        wanted = tone.speech_ms(TEXT) / 1.25 / 1000
        assert seconds(line.audio, rate_hz) == pytest.approx(wanted, abs=0.01)
        samples = np.frombuffer(line.audio, dtype="<i2")
        assert tone.dominant_frequency(samples, rate_hz) == pytest.approx(300, abs=3)
        assert simulator.violations == []
        assert line.errors == []


async def test_the_first_audio_does_not_wait_for_the_last(http: aiohttp.ClientSession) -> None:
    stalls = Behaviour(stall_after_bytes=9_600)
    async with OpenAISimulator(behaviour=stalls) as simulator:
        async with on_the_line(service(http, simulator, timeout_seconds=30)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.until(lambda: seconds(line.audio, 8_000) > 0.1)
            assert simulator.connections[0].silent
            await line.send(InterruptionFrame())
            async with asyncio.timeout(20):
                await simulator.connections[0].ended.wait()
        assert simulator.connections[0].abandoned
        assert line.errors == []


async def test_sentences_that_others_cut_are_spoken_at_once(http: aiohttp.ClientSession) -> None:
    async with OpenAISimulator() as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await line.send(AggregatedTextFrame("एक वाक्य", TextType.SENTENCE))
            await line.first(TTSAudioRawFrame)
        assert [spoken.text for spoken in simulator.spoken] == ["एक वाक्य"]


async def test_a_text_without_words_is_not_sent(http: aiohttp.ClientSession) -> None:
    async with OpenAISimulator() as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await line.send(TTSSpeakFrame("…"))
            await line.first(TTSStoppedFrame)
        assert simulator.connections == []
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=429, retry_after_seconds=2), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Behaviour(stall_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(stall_after_bytes=9_600), ErrorCategory.CONNECTIVITY),
        (Behaviour(half_open_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=9_600), ErrorCategory.CONNECTIVITY),
        (Behaviour(empty=True), ErrorCategory.SERVER),
    ],
)
async def test_failures_are_told_once(
    http: aiohttp.ClientSession, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with OpenAISimulator(behaviour=behaviour) as simulator:
        # Short where it is waited for; elsewhere a machine that stands still must not end it.
        hangs = category is ErrorCategory.CONNECTIVITY and behaviour.drop_after_bytes is None
        tts = service(http, simulator, timeout_seconds=1 if hangs else 30)
        async with on_the_line(tts) as line:
            await line.send(TTSSpeakFrame(TEXT))
            error = await line.first(ErrorFrame)
            await line.first(TTSStoppedFrame)
        assert error.category is category
        assert error.exception is not None
        # Pipecat tells of the silence, too, in words of its own.
        others = line.of(ErrorFrame)[1:]
        assert all("no audio" in other.error for other in others)
        assert len(simulator.connections) == 1


async def test_a_phrase_that_fails_outside_a_call_is_our_own_error(
    http: aiohttp.ClientSession,
) -> None:
    async with OpenAISimulator(behaviour=Behaviour(refuse_status=429)) as simulator:
        call = context(http, simulator.base_url, key="k")
        with pytest.raises(ProviderError, match="answered 429") as caught:
            await render(OpenAITTSOptions(), call, TEXT)
    assert (caught.value.code, caught.value.retryable) == ("tts_busy", True)


def test_a_resampler_holds_back_little_and_loses_nothing() -> None:
    pcm = tone.tone(300, 1000, "pcm_s16le", 24_000)
    resampler = Resampler(24_000, 8_000)
    out, longest = b"", 0.0
    for start in range(0, len(pcm), 961):
        out += resampler.take(pcm[start : start + 961])
        longest = max(longest, min(start + 961, len(pcm)) / 48_000 - len(out) / 16_000)
    assert longest < 0.05
    assert len(out + resampler.rest()) / 16_000 == pytest.approx(1.0, abs=0.002)


def test_mulaw_is_that_of_the_telephone() -> None:
    assert mulaw(np.array([0, 32767, -32768], dtype="<i2").tobytes()) == b"\xff\x80\x00"
