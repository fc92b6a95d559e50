"""Azure's text-to-speech through Pipecat's service and Azure's SDK, against the simulator."""

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.utils.errors import ErrorCategory

import services.azure.tts as module
from config.agent_file import read_agent
from config.errors import ProviderError
from config.settings import load_settings
from services.azure import VOICES, AzureSTTOptions, AzureTTSOptions
from services.azure.tts import build_tts, render
from services.registry import catalog
from simulators import tone
from simulators.azure import AzureSimulator
from simulators.behaviour import Behaviour
from tests.unit.services.calls import context, on_the_line

TEXT = 'आपका "स्वागत" है।'
EXAMPLE = Path(__file__).parents[4] / "docs/examples/azure_agent.json"


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_sentence_is_spoken_at_the_rate_of_the_line(
    http: aiohttp.ClientSession, key: str, rate_hz: int
) -> None:
    options = AzureTTSOptions(speaking_rate=1.2, pitch_percent=-5, style="cheerful")
    async with AzureSimulator(speed=50, api_key=key) as simulator:
        here = context(http, simulator.base_url, rate_hz=rate_hz, vendor_language="hi-IN", key=key)
        async with on_the_line(build_tts(options, here), 24_000) as line:
            await simulator.until(lambda: any(c.messages for c in simulator.connections))
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
        [spoken] = simulator.spoken
        assert (spoken.text, spoken.voice, spoken.rate_hz) == (TEXT, VOICES["hi-IN"], rate_hz)
        assert "rate='1.2' pitch='-5%'" in spoken.ssml
        assert "style='cheerful'" in spoken.ssml
        samples = np.frombuffer(line.audio, dtype="<i2")
        assert len(samples) / rate_hz * 1000 == pytest.approx(spoken.duration_ms, abs=2)
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        assert " ".join(frame.text for frame in line.of(TTSTextFrame)) == TEXT
        assert len(simulator.connections) == 1, "it is connected before the first sentence"
        assert simulator.violations == []
        assert line.errors == []


async def test_after_an_interruption_only_the_new_sentence_is_heard(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with AzureSimulator(speed=1) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_tts(AzureTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame("पहला " * 20))
            await line.first(TTSAudioRawFrame)
            await line.send(InterruptionFrame())
            await line.first(InterruptionFrame)
            line.frames.clear()
            simulator.speed = 50
            await line.send(TTSSpeakFrame("दूसरा वाक्य।"))
            await line.until(lambda: line.audio and line.of(TTSStoppedFrame))
        samples = np.frombuffer(line.audio, dtype="<i2")
        second = simulator.spoken[-1]
        assert second.text == "दूसरा वाक्य।"
        assert tone.dominant_frequency(samples, 8_000) == pytest.approx(second.frequency_hz, abs=5)
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=429), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Behaviour(drop_after_bytes=1_600), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=1_600), None),
    ],
)
async def test_what_goes_wrong_is_one_error(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, category: ErrorCategory | None
) -> None:
    async with AzureSimulator(behaviour=behaviour) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_tts(AzureTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            error = await line.first(ErrorFrame)
        assert category in (None, error.category)
        assert isinstance(error.exception, ProviderError)
        assert key not in error.error


async def test_sound_that_stops_coming_is_an_error(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE_SECONDS", 0.5)
    async with AzureSimulator(behaviour=Behaviour(stall_after_bytes=1_600)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_tts(AzureTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(ErrorFrame)
        assert line.errors[0] == "tts_timeout"


async def test_what_the_sdk_tells_once_the_call_is_over_is_not_taken(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with AzureSimulator() as simulator:
        service: Any = build_tts(AzureTTSOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(service):
            pass
        result: Any = SimpleNamespace(
            result_id="1",
            audio_data=b"\0\0",
            audio_duration=timedelta(),
            properties={},
            cancellation_details=SimpleNamespace(reason=None, error_details=""),
        )
        late = SimpleNamespace(
            result=result,
            result_id="1",
            text="word",
            audio_offset=0,
            duration=timedelta(),
            boundary_type=None,
        )
        service._handle_synthesizing(late)
        service._handle_completed(late)
        service._handle_word_boundary(late)
        service._handle_canceled(late)
        await asyncio.sleep(0.01)
        assert service._audio_queue.empty() and service._word_boundary_queue.empty()


async def test_a_phrase_outside_a_call(http: aiohttp.ClientSession, key: str) -> None:
    async with AzureSimulator(speed=50) as simulator:
        here = context(http, simulator.base_url, "ta", vendor_language="ta-IN", key=key)
        pcm = await render(AzureTTSOptions(), here, "வணக்கம்")
        assert len(pcm) == tone.bytes_for(simulator.spoken[0].duration_ms, "pcm_s16le", 8_000)
        assert simulator.spoken[0].voice == "ta-IN-PallaviNeural"


async def test_a_phrase_that_is_refused(http: aiohttp.ClientSession, key: str) -> None:
    async with AzureSimulator(api_key=key) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=f"not-{key}")
        with pytest.raises(ProviderError) as refused:
            await render(AzureTTSOptions(), here, TEXT)
    assert refused.value.code == "tts_auth"


def test_the_example_is_good() -> None:
    agent = read_agent(EXAMPLE, catalog, load_settings(None, {}), check_installation=False)
    assert isinstance(agent.provider_options("stt", "azure"), AzureSTTOptions)
    options = agent.provider_options("tts", "azure")
    assert isinstance(options, AzureTTSOptions)
    assert options.voice == "mr-IN-ManoharNeural"
