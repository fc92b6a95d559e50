"""Cartesia through Pipecat's service in a call, and its bytes interface outside one."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.utils.errors import ErrorCategory

from config.errors import ConfigError, ProviderError
from services.cartesia import CartesiaTTSOptions
from services.cartesia.tts import build_tts, clients, render, websocket_url
from simulators.behaviour import Behaviour
from simulators.cartesia import CartesiaSimulator
from tests.unit.services.calls import context, on_the_line

TEXT = "आपका स्वागत है।"


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await clients.close()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_sentence_is_spoken_at_the_rate_of_the_line_with_word_times(
    http: aiohttp.ClientSession, key: str, rate_hz: int
) -> None:
    options = CartesiaTTSOptions.model_validate({"voice_id": "asha", "speed": 1.1})
    async with CartesiaSimulator(speed=50, api_key=key) as simulator:
        tts = build_tts(options, context(http, simulator.base_url, rate_hz=rate_hz, key=key))
        async with on_the_line(tts, rate_hz) as line:
            await line.send(TTSSpeakFrame(TEXT))
            await line.first(TTSStoppedFrame)
        request = json.loads(simulator.connections[0].messages[0])
        assert request["output_format"]["sample_rate"] == rate_hz
        assert request["generation_config"] == {"speed": 1.1}
        assert (request["language"], request["voice"]["id"]) == ("hi", "asha")
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        milliseconds = len(line.audio) / 2 / rate_hz * 1000
        assert milliseconds == pytest.approx(simulator.spoken[0].duration_ms, abs=2)
        assert " ".join(frame.text for frame in line.of(TTSTextFrame)) == TEXT
        assert simulator.violations == []
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=429, retry_after_seconds=7), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Behaviour(drop_after_bytes=1_600), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=1_600, drop_code=1000), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=1_600), ErrorCategory.SERVER),
        (Behaviour(garbage_frames=1), ErrorCategory.SERVER),
    ],
    ids=str,
)
async def test_every_failure_is_told(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, category: ErrorCategory
) -> None:
    """Pipecat connects anew without a word, and half a sentence passes for the whole."""
    async with CartesiaSimulator(speed=50, script=[behaviour]) as simulator:
        tts = build_tts(CartesiaTTSOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(tts) as line:
            if behaviour.refuse_status is None:
                await line.send(TTSSpeakFrame(TEXT))
            error = await line.first(ErrorFrame)
            assert error.category is category
            assert len(simulator.connections) == 1


async def test_a_socket_that_is_closed_for_want_of_words_is_opened_again(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with CartesiaSimulator(speed=50, idle_timeout_seconds=0.05) as simulator:
        tts = build_tts(CartesiaTTSOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(tts) as line:
            await simulator.until(lambda: len(simulator.connections) > 1)
            simulator.idle_timeout_seconds = 60.0
            await simulator.until(lambda: not simulator.connections[-1].ended.is_set())
            assert line.errors == []


async def test_a_phrase_outside_a_call(http: aiohttp.ClientSession, key: str) -> None:
    async with CartesiaSimulator(api_key=key) as simulator:
        here = context(http, simulator.base_url, key=key)
        pcm = await render(CartesiaTTSOptions(), here, TEXT)
        assert len(pcm) / 16 == pytest.approx(simulator.spoken[0].duration_ms, abs=2)
        assert any(pcm)
        assert simulator.violations == []


async def test_phrases_share_a_client(http: aiohttp.ClientSession, key: str) -> None:
    async with CartesiaSimulator() as simulator:
        here = context(http, simulator.base_url, key=key)
        await render(CartesiaTTSOptions(), here, TEXT)
        client = clients.get(simulator.base_url, key)
        await render(CartesiaTTSOptions(), here, TEXT)
        assert clients.get(simulator.base_url, key) is client
        assert not client.is_closed()


@pytest.mark.parametrize(
    ("behaviour", "code", "retryable"),
    [
        (Behaviour(refuse_status=401), "tts_auth", False),
        (Behaviour(refuse_status=402), "tts_failed", False),
        (Behaviour(refuse_status=503), "tts_failed", True),
        (Behaviour(refuse_status=429, retry_after_seconds=0.01), "tts_busy", True),
        (Behaviour(drop_after_bytes=3_000), "tts_unreachable", True),
    ],
)
async def test_a_phrase_that_fails_outside_a_call(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, code: str, retryable: bool
) -> None:
    async with CartesiaSimulator(behaviour=behaviour) as simulator:
        with pytest.raises(ProviderError) as failed:
            await render(CartesiaTTSOptions(), context(http, simulator.base_url, key=key), TEXT)
    assert (failed.value.code, failed.value.retryable) == (code, retryable)
    assert (failed.value.provider, failed.value.stage) == ("cartesia", "tts")
    assert key not in failed.value.message


async def test_a_server_that_is_away(
    http: aiohttp.ClientSession, key: str, closed_port: int
) -> None:
    address = CartesiaSimulator(port=closed_port).base_url
    with pytest.raises(ProviderError) as failed:
        await render(CartesiaTTSOptions(), context(http, address, key=key), TEXT)
    assert failed.value.code == "tts_unreachable"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://api.cartesia.ai", "wss://api.cartesia.ai/tts/websocket"),
        ("http://h:1/x/", "ws://h:1/x/tts/websocket"),
        ("wss://h/tts/websocket", "wss://h/tts/websocket"),
    ],
)
def test_addresses_as_people_write_them(written: str, address: str) -> None:
    assert websocket_url(written) == address


@pytest.mark.parametrize("written", [None, "", "api.cartesia.ai", "https://"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"tts\.cartesia\.base_url"):
        websocket_url(written)
