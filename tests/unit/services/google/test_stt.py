"""Google's speech-to-text through Pipecat's service and gRPC, against the simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pipecat.services.google.stt as pipecat_google
import pytest
from google.cloud.speech_v2 import SpeechAsyncClient
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.utils.errors import ErrorCategory

import services.google.stt as module
from config.errors import ConfigError
from services.google import GoogleSTTOptions
from services.google.channels import server
from services.google.stt import build_stt, clients
from simulators.behaviour import Behaviour
from simulators.google import GoogleSpeechSimulator
from tests.unit.services.calls import Line, context, on_the_line
from tests.unit.simulators.vendors.sound import packets, silence, speech


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await clients.close()


@asynccontextmanager
async def talking(line: Line, rate_hz: int = 8_000) -> AsyncIterator[None]:
    """Speech and pauses, five times as fast as in a call, for as long as the block runs."""

    async def talk() -> None:
        while True:
            audio = speech(600, rate_hz=rate_hz) + silence(700, rate_hz=rate_hz)
            for packet in packets(audio, rate_hz // 50 * 2):
                await line.send(InputAudioRawFrame(packet, rate_hz, 1))
                await asyncio.sleep(0.004)

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_speech_becomes_text(http: aiohttp.ClientSession, rate_hz: int) -> None:
    async with GoogleSpeechSimulator(utterances=["मुझे मदद चाहिए"]) as simulator:
        here = context(http, simulator.base_url, rate_hz=rate_hz, vendor_language="hi-IN")
        options = GoogleSTTOptions(project="my-project", model="telephony")
        async with on_the_line(build_stt(options, here), 24_000) as line, talking(line, rate_hz):
            heard = await line.first(TranscriptionFrame)
        assert heard.text == "मुझे मदद चाहिए"
        assert heard.finalized
        assert line.of(InterimTranscriptionFrame)[0].text == "मुझे"
        request = simulator.configs[0]
        assert request.recognizer == "projects/my-project/locations/global/recognizers/_"
        config = request.streaming_config.config
        assert (config.model, list(config.language_codes)) == ("telephony", ["hi-IN"])
        assert simulator.violations == []
        assert line.errors == []


async def test_punjabi_is_asked_for_by_its_script(http: aiohttp.ClientSession) -> None:
    async with GoogleSpeechSimulator() as simulator:
        here = context(http, simulator.base_url, "pa", vendor_language="pa-Guru-IN")
        async with on_the_line(build_stt(GoogleSTTOptions(), here)) as line, talking(line):
            await line.first(TranscriptionFrame)
        assert simulator.violations == []


async def test_before_the_streams_limit_a_new_one_begins_and_no_word_is_lost(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROLL_SECONDS", 0.3)
    words = [f"शब्द{number}" for number in range(100)]
    async with GoogleSpeechSimulator(utterances=words) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN")
        async with on_the_line(build_stt(GoogleSTTOptions(), here)) as line, talking(line):
            await line.first(TranscriptionFrame, 6)
        texts = [frame.text for frame in line.of(TranscriptionFrame)]
        assert texts[:6] == words[:6]
        assert len(simulator.connections) >= 3
        assert simulator.violations == []
        assert line.errors == []


async def test_at_last_a_new_stream_begins_even_while_someone_speaks(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROLL_AT_LAST_SECONDS", 0.1)
    async with GoogleSpeechSimulator() as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN")
        async with on_the_line(build_stt(GoogleSTTOptions(), here)) as line, talking(line):
            await simulator.until(lambda: len(simulator.connections) >= 4)
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=403), ErrorCategory.AUTHORIZATION),
        (Behaviour(refuse_status=429), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Behaviour(refuse_status=503), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=3_200), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=3_200), ErrorCategory.SERVER),
    ],
)
async def test_what_goes_wrong_is_one_error(
    http: aiohttp.ClientSession, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with GoogleSpeechSimulator(behaviour=behaviour) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN")
        async with on_the_line(build_stt(GoogleSTTOptions(), here)) as line:
            for packet in packets(speech(200)):
                await line.send(InputAudioRawFrame(packet, 8_000, 1))
            error = await line.first(ErrorFrame)
        assert error.category is category
        assert len(line.errors) == 1
        assert len(simulator.connections) == 1


async def test_a_server_that_is_not_there_is_one_error(
    http: aiohttp.ClientSession, closed_port: int
) -> None:
    address = GoogleSpeechSimulator(port=closed_port).base_url
    here = context(http, address, vendor_language="hi-IN")
    async with on_the_line(build_stt(GoogleSTTOptions(), here)) as line, talking(line):
        error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.CONNECTIVITY
    assert len(line.errors) == 1


async def test_calls_share_a_client(http: aiohttp.ClientSession) -> None:
    """And Pipecat's constructor still finds a client by the names that are lent to it."""
    here = context(http, "http://127.0.0.1:9", vendor_language="hi-IN")
    first, second = (build_stt(GoogleSTTOptions(), here) for _ in range(2))
    assert first._client is second._client is clients.get("http://127.0.0.1:9", "")
    names = vars(pipecat_google)
    assert names["speech_v2"].SpeechAsyncClient is SpeechAsyncClient
    assert names["default"].__module__.startswith("google.auth")


async def test_a_key_file_that_is_none_is_told_without_its_path(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    for path in (tmp_path / "absent.json", tmp_path / "empty.json"):
        (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
        here = context(http, "https://speech.googleapis.com", key=str(path))
        with pytest.raises(ConfigError, match="JSON key file") as refused:
            build_stt(GoogleSTTOptions(), here)
        assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "location", "address"),
    [
        ("https://speech.googleapis.com/", "global", "https://speech.googleapis.com"),
        (
            "https://speech.googleapis.com",
            "asia-south1",
            "https://asia-south1-speech.googleapis.com",
        ),
        ("http://127.0.0.1:9", "asia-south1", "http://127.0.0.1:9"),
    ],
)
def test_a_location_has_a_server_of_its_own(written: str, location: str, address: str) -> None:
    assert server("stt", written, location) == address


@pytest.mark.parametrize("written", [None, "", "speech.googleapis.com", "https://h/path"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"stt\.google\.base_url"):
        server("stt", written)


async def test_a_server_that_takes_no_audio_is_left_before_it_fills_the_memory(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_sends(self: module.ReportingGoogleSTTService) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(module.ReportingGoogleSTTService, "_stream_audio", nobody_sends)
    here = context(http, "http://127.0.0.1:1", vendor_language="hi-IN")
    stt = build_stt(GoogleSTTOptions(project="my-project"), here)
    async with on_the_line(stt, 8_000) as line:
        for _ in range(10 * module.MAX_WAITING):
            await line.send(InputAudioRawFrame(bytes(640), 8_000, 1))
        error = await line.first(ErrorFrame)
        assert error.category is ErrorCategory.CONNECTIVITY
        assert stt._request_queue.qsize() == module.MAX_WAITING + 1
        assert len(line.of(ErrorFrame)) == 1
