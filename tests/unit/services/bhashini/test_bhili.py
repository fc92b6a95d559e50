"""Bhili speech-to-text against the simulated function, in a real pipeline."""

import asyncio
import secrets

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

from config.errors import ConfigError, ProviderError
from services.bhashini import BhiliSTTOptions, bhili
from services.bhashini.bhili import BhiliSTTService, build_stt
from services.bhashini.nvcf import target
from services.connections.clients import close_shared_clients
from services.offline.frames import UnrecognizedSpeechFrame
from simulators.behaviour import Behaviour
from simulators.bhashini.nvcf import NvcfSimulator
from tests.unit.services.calls import Line, context, on_the_line
from tests.until import until

RATE_HZ = 8_000
TEXT = "मां मदद जुवे"


def service(
    http: aiohttp.ClientSession,
    base_url: str,
    *,
    rate_hz: int = RATE_HZ,
    key: str = "any",
    **given: object,
) -> BhiliSTTService:
    options = BhiliSTTOptions.model_validate(
        {"function_id": "f-1", "final_timeout_seconds": 10, **given}
    )
    return build_stt(options, context(http, base_url, "bhb", rate_hz, key=key))


@pytest.fixture(autouse=True)
async def _channels_are_closed() -> object:
    yield
    await close_shared_clients()


def sound(duration_ms: int, rate_hz: int = RATE_HZ) -> list[InputAudioRawFrame]:
    times = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    pcm = (np.sin(2 * np.pi * 440 * times) * 6000).astype("<i2").tobytes()
    size = rate_hz // 25 * 2
    pieces = [pcm[start : start + size] for start in range(0, len(pcm), size)]
    return [InputAudioRawFrame(piece, rate_hz, 1) for piece in pieces]


async def say(line: Line, duration_ms: int = 600, rate_hz: int = RATE_HZ) -> None:
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2), *sound(duration_ms, rate_hz))
    await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_speech_becomes_a_text(http: aiohttp.ClientSession, key: str, rate_hz: int) -> None:
    async with NvcfSimulator(texts=[TEXT], api_key=key) as simulator:
        stt = service(http, simulator.base_url, key=key, rate_hz=rate_hz, function_version_id="v")
        async with on_the_line(stt, rate_hz) as line:
            await say(line, 700, rate_hz)
            frame = await line.first(TranscriptionFrame)
        assert (frame.text, frame.finalized) == (TEXT, True)
        assert line.of(InterimTranscriptionFrame)[0].text == "मां"
        assert line.errors == []
        assert simulator.violations == []
        assert simulator.heard[0].duration_ms == pytest.approx(700, abs=2)
        samples = np.frombuffer(bytes(simulator.connections[0].audio), dtype="<f4")
        peak = np.argmax(np.abs(np.fft.rfft(samples))) * 16_000 / len(samples)
        assert peak == pytest.approx(440, abs=3)
        headers = simulator.requests[0].headers
        assert (headers["function-id"], headers["function-version-id"]) == ("f-1", "v")


async def test_each_utterance_is_a_session_of_its_own_on_one_channel(
    http: aiohttp.ClientSession,
) -> None:
    async with NvcfSimulator(texts=["एक", "दो"]) as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await say(line)
            await line.first(TranscriptionFrame)
            await say(line)
            await line.first(TranscriptionFrame, 2)
        assert [frame.text for frame in line.of(TranscriptionFrame)] == ["एक", "दो"]
        assert len({session.session_id for session in simulator.heard}) == 2
        assert simulator.violations == []


async def test_a_last_text_that_does_not_come_leaves_the_interim_one(
    http: aiohttp.ClientSession,
) -> None:
    async with NvcfSimulator(texts=[TEXT], sends_final=False) as simulator:
        stt = service(http, simulator.base_url, final_timeout_seconds=0.2)
        async with on_the_line(stt) as line:
            await line.send(VADUserStartedSpeakingFrame(start_secs=0.2), *sound(700))
            await line.until(lambda: TEXT in [f.text for f in line.of(InterimTranscriptionFrame)])
            await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))
            assert (await line.first(TranscriptionFrame)).text == TEXT
        await simulator.until(lambda: simulator.connections[0].abandoned)


async def test_a_call_that_is_cut_is_told_to_the_server(http: aiohttp.ClientSession) -> None:
    async with NvcfSimulator() as simulator:
        async with on_the_line(service(http, simulator.base_url), cancel=True) as line:
            await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
            await simulator.until(lambda: len(simulator.connections) > 0)
        await simulator.until(lambda: simulator.connections[0].abandoned)


async def test_a_call_that_the_server_cuts_amid_speech_leaves_no_task(
    http: aiohttp.ClientSession,
) -> None:
    before = asyncio.all_tasks()
    async with (
        NvcfSimulator(behaviour=Behaviour(drop_after_bytes=20_000)) as simulator,
        on_the_line(service(http, simulator.base_url), cancel=True) as line,
    ):
        await line.send(VADUserStartedSpeakingFrame(start_secs=0.2), *sound(700))
        await line.first(ErrorFrame)
    await close_shared_clients()
    await until(lambda: asyncio.all_tasks() <= before, 10)


@pytest.mark.parametrize(
    ("fault", "code", "category"),
    [
        (Behaviour(refuse_status=401), "stt_auth", ErrorCategory.SERVER),
        (Behaviour(refuse_status=429), "stt_busy", ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=503), "stt_unreachable", ErrorCategory.CONNECTIVITY),
        (Behaviour(refuse_status=500), "stt_failed", ErrorCategory.SERVER),
        (Behaviour(drop_after_bytes=20_000), "stt_dropped", ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=0), "stt_failed", ErrorCategory.SERVER),
        (Behaviour(stall_after_ms=0), "stt_timeout", ErrorCategory.CONNECTIVITY),
    ],
)
async def test_what_goes_wrong_is_told_and_the_turn_ends(
    http: aiohttp.ClientSession,
    fault: Behaviour,
    code: str,
    category: ErrorCategory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Short where it is waited for; elsewhere a machine that stands still must not end it.
    limit_seconds = 0.2
    if code != "stt_timeout":
        monkeypatch.setattr(bhili, "FIRST_ANSWER_SECONDS", 10.0)
        limit_seconds = 10.0
    async with NvcfSimulator(behaviour=fault) as simulator:
        stt = service(http, simulator.base_url, final_timeout_seconds=limit_seconds)
        async with on_the_line(stt) as line:
            await say(line, 2_200)
            await line.first(UnrecognizedSpeechFrame)
        assert line.errors == [code]
        assert line.of(ErrorFrame)[0].category is category
        assert isinstance(line.of(ErrorFrame)[0].exception, ProviderError)


async def test_a_stream_that_breaks_is_reported_and_not_opened_again(
    http: aiohttp.ClientSession,
) -> None:
    async with (
        NvcfSimulator(texts=[TEXT], script=[Behaviour(drop_after_bytes=20_000)]) as simulator,
        on_the_line(service(http, simulator.base_url)) as line,
    ):
        await say(line, 1_000)
        await line.first(UnrecognizedSpeechFrame)
        assert len(line.errors) == 1
        assert len(simulator.heard) <= 1, "whoever holds it decides who hears it once more"
        await say(line, 1_000)
        assert (await line.first(TranscriptionFrame)).text == TEXT


async def test_garbage_is_let_pass(http: aiohttp.ClientSession) -> None:
    async with NvcfSimulator(texts=[TEXT], behaviour=Behaviour(garbage_frames=3)) as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await say(line)
            assert (await line.first(TranscriptionFrame)).text == TEXT
        assert line.errors == []


async def test_a_server_that_is_away(http: aiohttp.ClientSession, closed_port: int) -> None:
    address = NvcfSimulator(port=closed_port).base_url
    key = secrets.token_hex(16)
    async with on_the_line(service(http, address, key=key)) as line:
        await say(line)
        await line.first(UnrecognizedSpeechFrame)
    assert line.errors == ["stt_unreachable"]
    assert key not in line.of(ErrorFrame)[0].error


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://grpc.nvcf.nvidia.com", ("grpc.nvcf.nvidia.com:443", True)),
        ("grpcs://h:8443", ("h:8443", True)),
        ("http://127.0.0.1:9", ("127.0.0.1:9", False)),
        ("grpc://[::1]:9", ("[::1]:9", False)),
    ],
)
def test_addresses_as_people_write_them(written: str, meant: tuple[str, bool]) -> None:
    assert target(written, "stt.bhashini_bhili") == meant


@pytest.mark.parametrize("written", ["", None, "localhost:8001", "ws://h:1", "https://"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match="stt.bhashini_bhili.base_url"):
        target(written, "stt.bhashini_bhili")
