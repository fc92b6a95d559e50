"""Sarvam's text-to-speech through Pipecat's service, against the simulator."""

import json
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ErrorFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.utils.errors import ErrorCategory

from config.agent_file import read_agent
from config.errors import ConfigError
from config.settings import load_settings
from services.registry import catalog
from services.sarvam import SarvamTTSOptions
from services.sarvam.tts import build_tts, websocket_url
from simulators import tone
from simulators.behaviour import Behaviour
from simulators.sarvam import SarvamSimulator
from tests.unit.services.calls import context, on_the_line

TEXT = "आपका स्वागत है।"
FILE = Path(__file__).parents[4] / "docs/examples/sarvam_agent.json"


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_sentence_is_spoken_at_the_rate_of_the_line(
    http: aiohttp.ClientSession, key: str, rate_hz: int
) -> None:
    options = SarvamTTSOptions.model_validate({"speaker": "ritu", "pace": 1.25})
    async with SarvamSimulator(speed=50, api_key=key) as simulator:
        here = context(http, simulator.base_url, rate_hz=rate_hz, vendor_language="hi-IN", key=key)
        async with on_the_line(build_tts(options, here), 24_000) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
        config = json.loads(simulator.connections[0].messages[0])["data"]
        assert (config["speaker"], config["pace"]) == ("ritu", 1.25)
        assert (config["model"], config["target_language_code"]) == ("bulbul:v3", "hi-IN")
        assert config["min_buffer_size"] == 30
        assert simulator.spoken[0].text.strip() == TEXT
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        samples = np.frombuffer(line.audio, dtype="<i2")
        spoken = simulator.spoken[0]
        assert len(samples) / rate_hz * 1000 == pytest.approx(spoken.duration_ms, abs=2)
        assert tone.dominant_frequency(samples, rate_hz) == pytest.approx(
            spoken.frequency_hz, abs=5
        )
        assert simulator.violations == []
        assert line.errors == []


async def test_the_models_own_voice_is_the_default(http: aiohttp.ClientSession, key: str) -> None:
    options = SarvamTTSOptions(model="bulbul:v4-flash", pitch=0.1, loudness=1.2)
    async with SarvamSimulator(speed=50) as simulator:
        here = context(http, simulator.base_url, "or", vendor_language="od-IN", key=key)
        async with on_the_line(build_tts(options, here)) as line:
            await line.send(TTSSpeakFrame("ନମସ୍କାର"))
            await line.first(TTSStoppedFrame)
        config = json.loads(simulator.connections[0].messages[0])["data"]
        assert config["speaker"] == "shubh_en_narration_gentle"
        assert (config["pitch"], config["loudness"]) == (0.1, 1.2)
        assert simulator.spoken[0].language == "od-IN"
        assert simulator.violations == []


async def test_after_an_interruption_only_the_new_sentence_is_heard(
    http: aiohttp.ClientSession, key: str
) -> None:
    """Sarvam has no cancel: Pipecat leaves the old sentence behind with its connection."""
    async with SarvamSimulator(script=[Behaviour(speed=1.0), Behaviour(speed=50.0)]) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_tts(SarvamTTSOptions(), here)) as line:
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
        assert len(samples) / 8 == pytest.approx(second.duration_ms, abs=2)
        assert simulator.violations == []
        assert line.errors == []


async def test_a_wrong_key_is_reported(http: aiohttp.ClientSession, key: str) -> None:
    async with SarvamSimulator(api_key=key) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=f"not-{key}")
        async with on_the_line(build_tts(SarvamTTSOptions(), here)) as line:
            await line.until(lambda: line.errors)
        assert key not in str(line.errors)


async def test_an_error_in_mid_sentence_is_reported(http: aiohttp.ClientSession, key: str) -> None:
    async with SarvamSimulator(behaviour=Behaviour(error_after_bytes=1_600)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_tts(SarvamTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame(TEXT))
            error = await line.first(ErrorFrame)
        assert "synthesis failed" in error.error


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
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
    """Pipecat opens a connection for it too, but then hears nothing that comes over it."""
    async with SarvamSimulator(speed=50, script=[behaviour]) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_tts(SarvamTTSOptions(), here)) as line:
            if behaviour.refuse_status is None and behaviour.drop_after_ms is None:
                await line.send(TTSSpeakFrame(TEXT))
            error = await line.first(ErrorFrame)
            assert error.category is category
            assert len(simulator.connections) == 1
            line.frames.clear()
            await line.send(InterruptionFrame(), TTSSpeakFrame("दूसरा वाक्य।"))
            await line.until(lambda: line.audio)
        if behaviour.retry_after_seconds:
            assert error.exception is not None
            assert error.exception.response.headers["retry-after"] == "7"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (SarvamTTSOptions(pitch=0.1), "pitch: bulbul:v3 has no pitch"),
        (
            SarvamTTSOptions(model="bulbul:v4-flash", temperature=0.5),
            "temperature: bulbul:v4-flash has no temperature",
        ),
    ],
)
def test_options_that_the_model_lacks(options: SarvamTTSOptions, problem: str) -> None:
    assert options.problems_with(variables=(), transfer_targets=()) == [problem]
    assert SarvamTTSOptions().problems_with(variables=(), transfer_targets=()) == []


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://api.sarvam.ai", "wss://api.sarvam.ai/text-to-speech/ws"),
        ("http://h:1/x/", "ws://h:1/x/text-to-speech/ws"),
        ("wss://h/text-to-speech/ws", "wss://h/text-to-speech/ws"),
    ],
)
def test_addresses_as_people_write_them(written: str, address: str) -> None:
    assert websocket_url(written) == address


@pytest.mark.parametrize("written", [None, "", "api.sarvam.ai", "https://"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"tts\.sarvam\.base_url"):
        websocket_url(written)


def test_the_example_is_good() -> None:
    agent = read_agent(FILE, catalog, load_settings(None, {}), check_installation=False)
    options = agent.provider_options("tts", "sarvam")
    assert isinstance(options, SarvamTTSOptions)
    assert options.voice == "ritu"


def test_a_language_that_it_does_not_speak_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    text = FILE.read_text(encoding="utf-8").replace('"language": "hi"', '"language": "ur"')
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="does not speak Urdu"):
        read_agent(file, catalog, load_settings(None, {}), check_installation=False)
