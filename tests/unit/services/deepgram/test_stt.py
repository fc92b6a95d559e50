"""Deepgram through Pipecat's service, against the simulator, in a real pipeline."""

from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from config.errors import ConfigError
from config.resolve import provider_language
from services.deepgram import SPECS, DeepgramSTTOptions
from services.deepgram import stt as deepgram_stt
from services.deepgram.stt import build_stt, http_clients, server_address
from services.hearing import unheard
from services.offline.frames import UnrecognizedSpeechFrame
from simulators.behaviour import Behaviour
from simulators.deepgram import DeepgramSimulator, Utterance
from tests.unit.services.calls import Line, context, on_the_line
from tests.unit.services.deepgram.services import say

RATE_HZ = 8_000
#: Deepgram's SDK 7.17 imports names that websockets has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")


def audio(duration_ms: int, level: int) -> bytes:
    times = np.arange(RATE_HZ * duration_ms // 1000) / RATE_HZ
    return (np.sin(2 * np.pi * 440 * times) * level).astype("<i2").tobytes()


async def hear(line: Line, pcm: bytes) -> None:
    for start in range(0, len(pcm), 640):
        await line.send(InputAudioRawFrame(pcm[start : start + 640], RATE_HZ, 1))


async def test_the_options_reach_the_wire(http: aiohttp.ClientSession, key: str) -> None:
    options = DeepgramSTTOptions(numerals=True, keyterms=("Taaza Mart", "Vistaar"))
    async with DeepgramSimulator(api_key=key) as simulator:
        stt = build_stt(options, context(http, simulator.base_url, key=key))
        async with on_the_line(stt):
            await simulator.until(lambda: len(simulator.connections) == 1)
        query = simulator.connections[0].received.query
        assert {
            ("model", "nova-3"),
            ("language", "hi"),
            ("encoding", "linear16"),
            ("sample_rate", "8000"),
            ("interim_results", "true"),
            ("numerals", "true"),
            ("endpointing", "400"),
            ("keyterm", "Taaza Mart"),
            ("keyterm", "Vistaar"),
        } <= set(query)
        assert simulator.violations == []
    await http_clients.close()


async def test_the_text_is_final_as_soon_as_the_pause_is_noticed(
    http: aiohttp.ClientSession, key: str
) -> None:
    """A text that is not marked so holds up the end of the turn."""
    async with DeepgramSimulator(utterances=[Utterance("मुझे मदद चाहिए")]) as simulator:
        stt = build_stt(DeepgramSTTOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(stt) as line:
            await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
            await hear(line, audio(1_000, 8_000) + audio(200, 0))
            await simulator.until(lambda: len(simulator.connections[0].audio) == 1_200 * 16)
            await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))
            frame = await line.first(TranscriptionFrame)
        assert (frame.text, frame.finalized) == ("मुझे मदद चाहिए", True)
        assert line.of(InterimTranscriptionFrame) != []
        assert line.of(InputAudioRawFrame) == []
        assert simulator.violations == []
        assert line.errors == []
    await http_clients.close()


async def test_callers_who_mix_languages(http: aiohttp.ClientSession, key: str) -> None:
    """``multi`` reaches Deepgram, and the language of each word the transcript."""
    options = DeepgramSTTOptions(language="multi")
    spec = next(spec for spec in SPECS if spec.name == "deepgram" and spec.kind == "stt")
    language, vendor_language = provider_language(spec, options, "hi")
    assert (language, vendor_language) == ("hi", "multi")
    async with DeepgramSimulator(utterances=[Utterance("balance बताइए", language="hi")]) as sim:
        here = context(http, sim.base_url, vendor_language=vendor_language, key=key)
        async with on_the_line(build_stt(options, here)) as line:
            await say(line, audio(800, 8_000))
            frame = await line.first(TranscriptionFrame)
        assert ("language", "multi") in sim.connections[0].received.query
        assert sim.violations == []
    assert frame.language == "hi"
    result: Any = frame.result
    words = result.channel.alternatives[0].words
    assert [(word.word, word.language) for word in words] == [("balance", "hi"), ("बताइए", "hi")]
    await http_clients.close()


async def test_speech_without_words_is_told(http: aiohttp.ClientSession, key: str) -> None:
    async with DeepgramSimulator(utterances=["", "हाँ"]) as simulator:
        stt = build_stt(DeepgramSTTOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(stt) as line:
            await say(line, audio(600, 8_000))
            told = await line.first(UnrecognizedSpeechFrame)
            assert told.duration_seconds > 0
            assert told.answered
            await say(line, audio(600, 8_000))
            assert (await line.first(TranscriptionFrame)).text == "हाँ"
        assert len(line.of(UnrecognizedSpeechFrame)) == 1
        assert line.errors == []
    await http_clients.close()


async def test_a_finalize_that_is_not_answered(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unheard, "ANSWER_SECONDS", 0.05)
    stalled = Behaviour(stall_after_bytes=1_000)
    async with DeepgramSimulator(behaviour=stalled) as simulator:
        stt = build_stt(DeepgramSTTOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(stt, cancel=True) as line:
            await say(line, audio(600, 8_000))
            # It may as well be deaf.
            assert not (await line.first(UnrecognizedSpeechFrame)).answered
    await http_clients.close()


async def test_silence_does_not_cost_the_connection(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepgram_stt, "KEEPALIVE_SECONDS", 0.01)
    async with DeepgramSimulator() as simulator:
        stt = build_stt(DeepgramSTTOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(stt) as line:
            alive = '{"type": "KeepAlive"}'
            await simulator.until(lambda: simulator.connections[0].messages.count(alive) >= 3)
        assert simulator.violations == []
        assert line.errors == []
    await http_clients.close()


async def test_a_wrong_key_is_reported_and_the_call_goes_on(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with DeepgramSimulator(api_key=key) as simulator:
        stt = build_stt(DeepgramSTTOptions(), context(http, simulator.base_url, key=f"not-{key}"))
        async with on_the_line(stt) as line:
            await line.until(lambda: line.errors)
        assert not stt.is_usable
        assert key not in str(line.errors)
    await http_clients.close()


async def test_calls_after_the_first_make_no_http_client(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs 30 ms of the event loop; fails when Pipecat changes how it makes its client."""
    made: list[object] = []
    original = httpx.AsyncClient.__init__

    def note(client: httpx.AsyncClient, *positional: Any, **named: Any) -> None:
        made.append(client)
        original(client, *positional, **named)

    monkeypatch.setattr(httpx.AsyncClient, "__init__", note)
    here = context(http, "http://127.0.0.1:9", key=key)
    for _ in range(3):
        build_stt(DeepgramSTTOptions(), here)
    assert len(made) == 1
    await http_clients.close()


@pytest.mark.parametrize(
    "written", ["https://h", "https://h/", "https://h/v1", "https://h/v1/listen"]
)
def test_addresses_as_people_write_them(written: str) -> None:
    assert server_address(written) == "wss://h"


@pytest.mark.parametrize("written", [None, "", "api.deepgram.com", "ftp://h", "https://"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"stt\.deepgram\.base_url"):
        server_address(written)


def test_a_model_of_the_other_provider() -> None:
    options = DeepgramSTTOptions(model="flux-general-multi")
    (problem,) = options.problems_with(variables=(), transfer_targets=())
    assert "deepgram_flux" in problem
