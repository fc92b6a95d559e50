"""Sarvam's realtime speech-to-text through Pipecat's service, against the simulator."""

import json
import subprocess
import sys
from importlib.util import find_spec
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

from config.errors import ConfigError
from services.offline.frames import UnrecognizedSpeechFrame
from services.sarvam import SarvamSTTOptions
from services.sarvam.stt import PING_SECONDS, PREROLL_MS, build_stt
from simulators.behaviour import Behaviour
from simulators.sarvam import SarvamSimulator
from tests.unit.services.calls import Line, context, on_the_line

RATE_HZ = 8_000


def audio(duration_ms: int, level: int = 8_000) -> bytes:
    times = np.arange(RATE_HZ * duration_ms // 1000) / RATE_HZ
    return (np.sin(2 * np.pi * 440 * times) * level).astype("<i2").tobytes()


async def hear(line: Line, pcm: bytes) -> None:
    for start in range(0, len(pcm), 640):
        await line.send(InputAudioRawFrame(pcm[start : start + 640], RATE_HZ, 1))


async def say(line: Line, pcm: bytes) -> None:
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
    await hear(line, pcm)
    await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


def here(http: aiohttp.ClientSession, simulator: SarvamSimulator, key: str, **more: Any) -> Any:
    return context(http, simulator.base_url, **{"vendor_language": "hi-IN", "key": key, **more})


async def test_what_is_asked_for(http: aiohttp.ClientSession, key: str) -> None:
    options = SarvamSTTOptions(
        model="saaras:v4", mode="codemix", prompt="किसान सेवा", keyterms=("Taaza Mart",)
    )
    async with SarvamSimulator(api_key=key) as simulator:
        stt = build_stt(options, here(http, simulator, key, vendor_language="or-IN"))
        async with on_the_line(stt):
            await simulator.until(lambda: len(simulator.connections) == 1)
        assert dict(simulator.connections[0].received.query) == {
            "language_code": "or-IN",
            "stream_type": "fast",
            "endpointing": "manual",
            "encoding": "linear16",
            "sample_rate": "8000",
            "model": "saaras:v4",
            "mode": "codemix",
            "return_timestamps": "false",
            "keyterms": '["Taaza Mart"]',
            "prompt": "किसान सेवा",
        }
        assert simulator.violations == []


async def test_the_language_may_be_found_by_sarvam(http: aiohttp.ClientSession, key: str) -> None:
    async with SarvamSimulator() as simulator:
        stt = build_stt(SarvamSTTOptions(), here(http, simulator, key, vendor_language="auto"))
        async with on_the_line(stt):
            await simulator.until(lambda: len(simulator.connections) == 1)
        assert dict(simulator.connections[0].received.query)["language_code"] == "auto"
        assert simulator.violations == []


async def test_speech_is_heard_from_before_it_was_noticed(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with SarvamSimulator(utterances=["मुझे मदद चाहिए", "धन्यवाद"]) as simulator:
        async with on_the_line(build_stt(SarvamSTTOptions(), here(http, simulator, key))) as line:
            await hear(line, audio(1_000, 0))
            before, speech = audio(PREROLL_MS), audio(900)
            await hear(line, before)
            await say(line, speech)
            first = await line.first(TranscriptionFrame)
            await say(line, audio(300))
            second = await line.first(TranscriptionFrame, 2)
        assert (first.text, second.text) == ("मुझे मदद चाहिए", "धन्यवाद")
        assert first.finalized
        assert line.of(InterimTranscriptionFrame)[0].text == "मुझे"
        assert simulator.heard[0].audio == before + speech
        assert line.errors == []
        assert simulator.violations == []


async def test_a_long_silence_is_bridged_by_pings(http: aiohttp.ClientSession, key: str) -> None:
    async with SarvamSimulator() as simulator:
        async with on_the_line(build_stt(SarvamSTTOptions(), here(http, simulator, key))) as line:
            for _ in range(PING_SECONDS * 4):
                await line.send(InputAudioRawFrame(bytes(RATE_HZ * 2), RATE_HZ, 1))
            messages = simulator.connections[0].messages
            await simulator.until(lambda: len(messages) >= 4)
            assert {json.loads(message)["event"] for message in messages} == {"ping"}
            assert simulator.connections[0].audio_bytes == 0
            await say(line, audio(300))
            await line.first(TranscriptionFrame)
        assert line.errors == []


async def test_nothing_understood_ends_the_turn(http: aiohttp.ClientSession, key: str) -> None:
    async with SarvamSimulator(behaviour=Behaviour(empty=True)) as simulator:
        async with on_the_line(build_stt(SarvamSTTOptions(), here(http, simulator, key))) as line:
            await say(line, audio(300))
            await line.first(UnrecognizedSpeechFrame)
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=403), ErrorCategory.AUTHORIZATION),
        (Behaviour(refuse_status=429, retry_after_seconds=7), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=503), ErrorCategory.SERVER),
        (Behaviour(drop_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_ms=20, drop_code=1000), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=800), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=800, drop_code=4000), ErrorCategory.INVALID_REQUEST),
        (Behaviour(error_after_bytes=800), ErrorCategory.SERVER),
        (Behaviour(garbage_frames=1), ErrorCategory.SERVER),
        (Behaviour(garbage_frames=6), ErrorCategory.SERVER),
    ],
    ids=str,
)
async def test_every_failure_is_told_with_its_cause(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with SarvamSimulator(behaviour=behaviour) as simulator:
        async with on_the_line(build_stt(SarvamSTTOptions(), here(http, simulator, key))) as line:
            await say(line, audio(600))
            error = await line.first(ErrorFrame)
        assert error.category is category
        assert key not in error.error
        assert len(simulator.connections) == 1
        if behaviour.retry_after_seconds:
            assert error.exception is not None
            assert error.exception.response.headers["retry-after"] == "7"  # type: ignore[attr-defined]


async def test_nobody_there(http: aiohttp.ClientSession, key: str, closed_port: int) -> None:
    gone = here(http, SarvamSimulator(port=closed_port), key)
    async with on_the_line(build_stt(SarvamSTTOptions(), gone)) as line:
        error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.CONNECTIVITY


def test_hints_that_the_model_does_not_take() -> None:
    wrong = SarvamSTTOptions(keyterms=("a",))
    assert wrong.problems_with(variables=(), transfer_targets=())
    long = SarvamSTTOptions(model="saaras:v4", keyterms=("a" * 65,))
    assert long.problems_with(variables=(), transfer_targets=())
    assert SarvamSTTOptions().problems_with(variables=(), transfer_targets=()) == []


async def test_an_address_that_is_none(http: aiohttp.ClientSession, key: str) -> None:
    with pytest.raises(ConfigError, match=r"stt\.sarvam\.base_url"):
        build_stt(SarvamSTTOptions(), context(http, "api.sarvam.ai", key=key))


@pytest.mark.skipif(find_spec("sarvamai") is not None, reason="Sarvam's package is there")
def test_sarvams_package_is_not_needed_and_nothing_stands_in_for_it_afterwards() -> None:
    program = (
        "import sys, warnings; warnings.simplefilter('ignore'); import services.sarvam.package;"
        "print([name for name in sys.modules if name.startswith('sarvamai')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
