"""Soniox through Pipecat's service, against the simulator."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory

from config.agent_file import read_agent
from config.errors import ConfigError
from config.settings import load_settings
from services.registry import catalog
from services.soniox import SonioxSTTOptions
from services.soniox.stt import build_stt, websocket_url
from simulators.behaviour import Behaviour
from simulators.soniox import SonioxSimulator
from tests.unit.services.calls import Line, context, on_the_line

RATE_HZ = 8_000
FILE = Path(__file__).parents[4] / "docs/examples/soniox_agent.json"


def audio(duration_ms: int, level: int = 8_000) -> bytes:
    times = np.arange(RATE_HZ * duration_ms // 1000) / RATE_HZ
    return (np.sin(2 * np.pi * 440 * times) * level).astype("<i2").tobytes()


async def say(line: Line, pcm: bytes) -> None:
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
    for start in range(0, len(pcm), 640):
        await line.send(InputAudioRawFrame(pcm[start : start + 640], RATE_HZ, 1))
    await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


async def configuration(
    http: aiohttp.ClientSession, key: str, options: SonioxSTTOptions, **more: Any
) -> dict[str, Any]:
    async with SonioxSimulator(api_key=key) as simulator:
        here = context(http, simulator.base_url, key=key, **more)
        async with on_the_line(build_stt(options, here)):
            await simulator.until(
                lambda: bool(simulator.connections and simulator.connections[0].messages)
            )
        assert simulator.violations == []
        config: dict[str, Any] = json.loads(simulator.connections[0].messages[0])
        return config


async def test_what_is_asked_for(http: aiohttp.ClientSession, key: str) -> None:
    options = SonioxSTTOptions(
        language_hints=("en",), language_hints_strict=True, terms=("Vistaar",), context="खेती"
    )
    config = await configuration(http, key, options)
    assert config["model"] == "stt-rt-v5"
    assert (config["audio_format"], config["sample_rate"]) == ("pcm_s16le", RATE_HZ)
    assert set(config["language_hints"]) == {"hi", "en"}
    assert config["language_hints_strict"] is True
    assert config["enable_endpoint_detection"] is False
    assert (config["context"]["terms"], config["context"]["text"]) == (["Vistaar"], "खेती")


async def test_the_language_may_be_found_by_soniox(http: aiohttp.ClientSession, key: str) -> None:
    config = await configuration(http, key, SonioxSTTOptions(), vendor_language="auto")
    assert config["language_hints"] is None


async def test_the_text_is_final_as_soon_as_the_pause_is_noticed(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with SonioxSimulator(utterances=["मुझे मदद चाहिए", "धन्यवाद"]) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_stt(SonioxSTTOptions(), here)) as line:
            await say(line, audio(900))
            first = await line.first(TranscriptionFrame)
            await say(line, audio(300))
            second = await line.first(TranscriptionFrame, 2)
        assert (first.text, second.text) == ("मुझे मदद चाहिए", "धन्यवाद")
        assert first.finalized
        assert line.of(InterimTranscriptionFrame)[0].text == "मुझे मदद"
        assert simulator.violations == []
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=402), ErrorCategory.QUOTA),
        (Behaviour(refuse_status=429, retry_after_seconds=7), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=503), ErrorCategory.SERVER),
        (Behaviour(drop_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=800), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=800, drop_code=1000), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=800), ErrorCategory.SERVER),
        (Behaviour(garbage_frames=1), ErrorCategory.SERVER),
        (Behaviour(garbage_frames=6), ErrorCategory.SERVER),
    ],
    ids=str,
)
async def test_every_failure_is_told_once_with_its_cause(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with SonioxSimulator(behaviour=behaviour) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_stt(SonioxSTTOptions(), here)) as line:
            await say(line, audio(900))
            error = await line.first(ErrorFrame)
        assert error.category is category
        assert len(line.of(ErrorFrame)) == 1
        assert key not in error.error
        assert len(simulator.connections) == 1
        if behaviour.retry_after_seconds:
            assert error.exception is not None
            assert error.exception.response.headers["retry-after"] == "7"  # type: ignore[attr-defined]


async def test_an_unknown_model_is_told_as_soniox_words_it(
    http: aiohttp.ClientSession, key: str
) -> None:
    """Pipecat drops a message without tokens."""
    async with SonioxSimulator() as simulator:
        here = context(http, simulator.base_url, rate_hz=24_000, key=key)
        async with on_the_line(build_stt(SonioxSTTOptions(), here)) as line:
            await line.send(InputAudioRawFrame(bytes(640), 24_000, 1))
            error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.INVALID_REQUEST
    assert "400 sample_rate" in error.error


async def test_a_hint_that_is_no_language(http: aiohttp.ClientSession, key: str) -> None:
    with pytest.raises(ConfigError, match="'hinglish' is no language"):
        build_stt(
            SonioxSTTOptions(language_hints=("hinglish",)), context(http, "http://h", key=key)
        )


@pytest.mark.parametrize("written", ["https://h", "wss://h/transcribe-websocket", "https://h/"])
def test_addresses_as_people_write_them(written: str) -> None:
    assert websocket_url(written) == "wss://h/transcribe-websocket"


@pytest.mark.parametrize("written", [None, "", "stt-rt.soniox.com", "https://"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"stt\.soniox\.base_url"):
        websocket_url(written)


def test_the_example_is_good() -> None:
    agent = read_agent(FILE, catalog, load_settings(None, {}), check_installation=False)
    options = agent.provider_options("stt", "soniox")
    assert isinstance(options, SonioxSTTOptions)
    assert options.language_hints == ("en",)
