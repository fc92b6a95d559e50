"""Smallest AI's text-to-speech through Pipecat's service, against the simulator."""

import json
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ErrorFrame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.utils.errors import ErrorCategory

from config.agent_file import read_agent
from config.errors import ConfigError, ProviderError
from config.settings import load_settings
from services.registry import catalog
from services.smallest import SmallestTTSOptions
from services.smallest.addresses import socket_address
from services.smallest.synthesis import render
from services.smallest.tts import build_tts
from simulators import tone
from simulators.behaviour import Behaviour
from simulators.smallest import SmallestSimulator
from tests.unit.services.calls import context, on_the_line

TEXT = "आपका स्वागत है।"
FILE = Path(__file__).parents[4] / "docs/examples/smallest_agent.json"


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_sentence_is_spoken_at_the_rate_of_the_line(
    http: aiohttp.ClientSession, key: str, rate_hz: int
) -> None:
    options = SmallestTTSOptions.model_validate({"voice_id": "devansh", "speed": 1.25})
    async with SmallestSimulator(speed=50, api_key=key) as simulator:
        here = context(http, simulator.base_url, rate_hz=rate_hz, key=key)
        async with on_the_line(build_tts(options, here), 24_000) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
        request = json.loads(simulator.connections[0].messages[0])
        assert (request["voice_id"], request["speed"]) == ("devansh", 1.25)
        assert (request["model"], request["language"]) == ("lightning_v3.1_pro", "hi")
        assert request["max_buffer_delay_ms"] == 0
        spoken = simulator.spoken[0]
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        samples = np.frombuffer(line.audio, dtype="<i2")
        assert len(samples) / rate_hz * 1000 == pytest.approx(spoken.duration_ms, abs=2)
        assert tone.dominant_frequency(samples, rate_hz) == pytest.approx(
            spoken.frequency_hz, abs=5
        )
        assert simulator.violations == []
        assert line.errors == []


async def test_the_first_sentence_of_an_answer_is_not_held_back(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with SmallestSimulator(speed=50) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_tts(SmallestTTSOptions(), here)) as line:
            await line.send(LLMFullResponseStartFrame(), LLMTextFrame(f"{TEXT} और"))
            await line.first(TTSAudioRawFrame)
        assert simulator.spoken[0].text.strip() == TEXT


@pytest.mark.parametrize("closes", [False, True])
async def test_one_phrase_after_another(
    http: aiohttp.ClientSession, key: str, closes: bool
) -> None:
    """Whether or not the server closes the connection after each, as one page has it."""
    async with SmallestSimulator(speed=50, closes_when_complete=closes) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_tts(SmallestTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
            await line.send(BotStartedSpeakingFrame(), BotStoppedSpeakingFrame())
            if closes:
                await simulator.until(lambda: len(simulator.connections) == 2)
            await line.send(TTSSpeakFrame("दूसरा वाक्य।"))
            await line.first(TTSStoppedFrame, 2)
        assert [spoken.text.strip() for spoken in simulator.spoken] == [TEXT, "दूसरा वाक्य।"]
        assert line.errors == []
        assert simulator.violations == []


async def test_after_an_interruption_only_the_new_sentence_is_heard(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with SmallestSimulator(script=[Behaviour(speed=1.0), Behaviour(speed=50.0)]) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_tts(SmallestTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT * 5))
            await line.first(TTSAudioRawFrame)
            await line.send(BotStartedSpeakingFrame(), InterruptionFrame())
            await simulator.until(lambda: len(simulator.connections) == 2)
            line.frames.clear()
            await line.send(TTSSpeakFrame("दूसरा वाक्य।"))
            await line.until(lambda: line.audio and isinstance(line.frames[-1], TTSStoppedFrame))
        samples = np.frombuffer(line.audio, dtype="<i2")
        second = simulator.spoken[-1]
        assert tone.dominant_frequency(samples, 8_000) == pytest.approx(second.frequency_hz, abs=5)
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=402), ErrorCategory.QUOTA),
        (Behaviour(refuse_status=429, retry_after_seconds=7), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Behaviour(drop_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=1_600), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=1_600, drop_code=1000), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=1_600), ErrorCategory.SERVER),
        (Behaviour(garbage_frames=1), ErrorCategory.SERVER),
        (Behaviour(garbage_frames=6), ErrorCategory.SERVER),
    ],
    ids=str,
)
async def test_every_failure_is_told_and_the_next_text_is_spoken(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with SmallestSimulator(speed=50, script=[behaviour]) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_tts(SmallestTTSOptions(), here)) as line:
            if behaviour.refuse_status is None and behaviour.drop_after_ms is None:
                await line.send(TTSSpeakFrame(TEXT))
            error = await line.first(ErrorFrame)
            assert error.category is category
            assert key not in error.error
            await line.send(InterruptionFrame(), TTSSpeakFrame("दूसरा वाक्य।"))
            await simulator.until(
                lambda: any(spoken.text.startswith("दूसरा") for spoken in simulator.spoken)
            )
            await line.until(lambda: line.audio)
        if behaviour.retry_after_seconds:
            assert error.exception is not None
            assert error.exception.response.headers["retry-after"] == "7"  # type: ignore[attr-defined]


async def test_a_wrong_key_is_told(http: aiohttp.ClientSession, key: str) -> None:
    async with SmallestSimulator(api_key=key) as simulator:
        here = context(http, simulator.base_url, key=f"not-{key}")
        async with on_the_line(build_tts(SmallestTTSOptions(), here)) as line:
            error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.AUTHENTICATION
    assert key not in error.error


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Behaviour(refuse_status=401), "tts_auth"),
        (Behaviour(refuse_status=429), "tts_busy"),
        (Behaviour(refuse_status=500), "tts_failed"),
        (Behaviour(empty=True), "tts_failed"),
    ],
)
async def test_a_phrase_that_cannot_be_rendered(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, code: str
) -> None:
    async with SmallestSimulator(behaviour=behaviour) as simulator:
        with pytest.raises(ProviderError) as failed:
            await render(SmallestTTSOptions(), context(http, simulator.base_url, key=key), TEXT)
    assert failed.value.code == code


@pytest.mark.parametrize(
    "written", ["https://h", "wss://h/waves/v1/tts/live", "https://h/waves/v1/"]
)
def test_addresses_as_people_write_them(written: str) -> None:
    assert socket_address(written) == "wss://h"


@pytest.mark.parametrize("written", [None, "", "api.smallest.ai", "https://"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"tts\.smallest\.base_url"):
        socket_address(written)


def test_the_example_is_good() -> None:
    agent = read_agent(FILE, catalog, load_settings(None, {}), check_installation=False)
    options = agent.provider_options("tts", "smallest")
    assert isinstance(options, SmallestTTSOptions)
    assert options.voice == "meher"
