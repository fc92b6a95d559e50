"""Deepgram Flux through Pipecat's service, against the simulator, in a real pipeline."""

import aiohttp
import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from config.errors import ConfigError
from services.deepgram import DeepgramFluxSTTOptions
from services.deepgram.flux import build_stt
from services.hearing import unheard
from services.offline.frames import UnrecognizedSpeechFrame
from simulators.deepgram import DeepgramSimulator
from tests.unit.services.calls import context, on_the_line
from tests.unit.services.deepgram.services import pieces, say, sound

FORCE = '{"type": "ForceEndTurn"}'


async def test_the_options_reach_the_wire(http: aiohttp.ClientSession, key: str) -> None:
    options = DeepgramFluxSTTOptions(
        eot_threshold=0.8, eot_timeout_ms=2_000, numerals=True, keyterms=("Taaza Mart",)
    )
    async with DeepgramSimulator(api_key=key) as simulator:
        stt = build_stt(options, context(http, f"{simulator.base_url}/v2/listen", key=key))
        async with on_the_line(stt):
            await stt.connected()
        query = simulator.connections[0].received.query
        assert sorted(query) == [
            ("encoding", "linear16"),
            ("eot_threshold", "0.8"),
            ("eot_timeout_ms", "2000"),
            ("keyterm", "Taaza Mart"),
            ("language_hint", "en"),
            ("language_hint", "hi"),
            ("model", "flux-general-multi"),
            ("numerals", "true"),
            ("sample_rate", "8000"),
        ]
        assert simulator.violations == []


async def test_english_has_a_model_of_its_own(http: aiohttp.ClientSession, key: str) -> None:
    async with DeepgramSimulator() as simulator:
        here = context(http, simulator.base_url, "en-IN", key=key)
        async with on_the_line(build_stt(DeepgramFluxSTTOptions(), here)) as line:
            await simulator.until(lambda: len(simulator.connections) == 1)
        assert ("model", "flux-general-en") in simulator.connections[0].received.query
        assert simulator.violations == []
        assert line.errors == []


async def test_a_pause_concludes_the_turn(http: aiohttp.ClientSession, key: str) -> None:
    """Texts and nothing else: whose turn it is, others say."""
    async with DeepgramSimulator(utterances=["मुझे मदद चाहिए", "हाँ"]) as simulator:
        stt = build_stt(DeepgramFluxSTTOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(stt) as line:
            await say(line, sound(900))
            frame = await line.first(TranscriptionFrame)
            await say(line, sound(400))
            await line.first(TranscriptionFrame, 2)
        assert (frame.text, frame.finalized, frame.language) == ("मुझे मदद चाहिए", True, "hi")
        assert line.of(TranscriptionFrame)[1].text == "हाँ"
        assert line.of(InterimTranscriptionFrame) != []
        assert line.of(ProposedUserStartedSpeakingFrame) == []
        assert line.of(ProposedUserStoppedSpeakingFrame) == []
        assert line.of(InputAudioRawFrame) == []
        assert line.of(UnrecognizedSpeechFrame) == []
        assert simulator.connections[0].messages.count(FORCE) == 2
        assert simulator.violations == []
        assert line.errors == []


async def test_flux_may_decide_itself(http: aiohttp.ClientSession, key: str) -> None:
    options = DeepgramFluxSTTOptions(force_end_of_turn=False)
    async with DeepgramSimulator(utterances=["हाँ"]) as simulator:
        stt = build_stt(options, context(http, simulator.base_url, key=key))
        async with on_the_line(stt) as line:
            await say(line, sound(600))
            await line.send(*pieces(sound(700, 0)))
            assert (await line.first(TranscriptionFrame)).text == "हाँ"
        assert FORCE not in simulator.connections[0].messages


async def test_a_turn_without_words_is_told(http: aiohttp.ClientSession, key: str) -> None:
    async with DeepgramSimulator(utterances=[""]) as simulator:
        stt = build_stt(DeepgramFluxSTTOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(stt) as line:
            await say(line, sound(600))
            await line.first(UnrecognizedSpeechFrame)
        assert line.of(TranscriptionFrame) == []
        assert line.errors == []


async def test_a_noise_that_flux_does_not_hear_is_told(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unheard, "ANSWER_SECONDS", 0.05)
    async with DeepgramSimulator() as simulator:
        stt = build_stt(DeepgramFluxSTTOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(stt) as line:
            await line.send(VADUserStartedSpeakingFrame(start_secs=0.2), *pieces(sound(400, 100)))
            await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))
            await line.first(UnrecognizedSpeechFrame)
        assert simulator.violations == []


async def test_an_english_model_for_another_language(http: aiohttp.ClientSession, key: str) -> None:
    options = DeepgramFluxSTTOptions(model="flux-general-en")
    with pytest.raises(ConfigError, match="does not hear hi"):
        build_stt(options, context(http, "http://127.0.0.1:9", key=key))
