"""Azure's speech-to-text through Pipecat's service and Azure's SDK, against the simulator."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from azure.cognitiveservices.speech import CancellationReason, ResultReason, SpeechRecognizer
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.utils.errors import ErrorCategory

from config.errors import ConfigError
from services.azure import AzureSTTOptions
from services.azure.addresses import place
from services.azure.stt import build_stt
from simulators.azure import AzureSimulator
from simulators.behaviour import Behaviour
from tests.unit.services.calls import Line, context, on_the_line
from tests.unit.simulators.vendors.sound import packets, silence, speech
from tests.until import until


async def say(line: Line, rate_hz: int = 8_000) -> None:
    audio = speech(600, rate_hz=rate_hz) + silence(700, rate_hz=rate_hz)
    for packet in packets(audio, rate_hz // 50 * 2):
        await line.send(InputAudioRawFrame(packet, rate_hz, 1))


@asynccontextmanager
async def talking(line: Line) -> AsyncIterator[None]:
    """Speech and pauses at the pace of a call, for as long as the block runs."""

    async def talk() -> None:
        while True:
            for packet in packets(speech(600) + silence(700)):
                await line.send(InputAudioRawFrame(packet, 8_000, 1))
                await asyncio.sleep(0.02)

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_speech_becomes_text(http: aiohttp.ClientSession, key: str, rate_hz: int) -> None:
    async with AzureSimulator(utterances=["मुझे मदद चाहिए"], api_key=key) as simulator:
        here = context(http, simulator.base_url, rate_hz=rate_hz, vendor_language="hi-IN", key=key)
        options = AzureSTTOptions(segmentation_silence_ms=300)
        async with on_the_line(build_stt(options, here), 24_000) as line:
            await say(line, rate_hz)
            heard = await line.first(TranscriptionFrame)
        assert heard.text == "मुझे मदद चाहिए"
        assert heard.finalized
        assert line.of(InterimTranscriptionFrame)[0].text == "मुझे"
        contexts = [m for m in simulator.connections[0].messages if "Path:speech.context" in m]
        body = json.loads(contexts[0].partition("\r\n\r\n")[2])
        assert body["phraseDetection"]["language"] == "hi-IN"
        assert "300" in json.dumps(body)
        assert simulator.violations == []
        assert line.errors == []


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, ErrorCategory.AUTHENTICATION),
        (403, ErrorCategory.AUTHENTICATION),
        (429, ErrorCategory.RATE_LIMIT),
        (500, ErrorCategory.SERVER),
    ],
)
async def test_a_refusal_is_one_error(
    http: aiohttp.ClientSession, key: str, status: int, category: ErrorCategory
) -> None:
    async with AzureSimulator(behaviour=Behaviour(refuse_status=status)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_stt(AzureSTTOptions(), here)) as line:
            error = await line.first(ErrorFrame)
        assert error.category is category
        assert len(line.errors) == 1
        assert key not in error.error


async def test_a_server_that_is_not_there_is_one_error(
    http: aiohttp.ClientSession, key: str, closed_port: int
) -> None:
    address = AzureSimulator(port=closed_port).base_url
    here = context(http, address, vendor_language="hi-IN", key=key)
    async with on_the_line(build_stt(AzureSTTOptions(), here)) as line:
        error = await line.first(ErrorFrame)
    assert line.errors == ["stt_dropped"]
    assert error.category is ErrorCategory.CONNECTIVITY


async def test_a_connection_that_breaks_once_is_mended_and_no_word_is_lost(
    http: aiohttp.ClientSession, key: str
) -> None:
    script = [Behaviour(drop_after_bytes=3_200)]
    async with AzureSimulator(utterances=["एक", "दो"], script=script) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_stt(AzureSTTOptions(), here)) as line, talking(line):
            await line.first(TranscriptionFrame)
        assert len(simulator.connections) == 2
        assert line.errors == []


async def test_a_connection_that_keeps_breaking_is_one_error(
    http: aiohttp.ClientSession, key: str
) -> None:
    dropping = Behaviour(drop_after_bytes=1_600)
    async with AzureSimulator(behaviour=dropping) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_stt(AzureSTTOptions(), here)) as line, talking(line):
            error = await line.first(ErrorFrame)
        assert error.category is ErrorCategory.CONNECTIVITY
        assert len(line.errors) == 1


async def test_an_error_in_mid_call_is_told(http: aiohttp.ClientSession, key: str) -> None:
    failing = Behaviour(error_after_bytes=1_600)
    async with AzureSimulator(behaviour=failing) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_stt(AzureSTTOptions(), here)) as line, talking(line):
            error = await line.first(ErrorFrame)
        assert error.category in (ErrorCategory.SERVER, ErrorCategory.CONNECTIVITY)


async def test_garbage_is_passed_over(http: aiohttp.ClientSession, key: str) -> None:
    async with AzureSimulator(behaviour=Behaviour(garbage_frames=6)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_stt(AzureSTTOptions(), here)) as line:
            await say(line)
            await line.until(lambda: line.of(TranscriptionFrame) or line.errors)


async def test_a_server_that_does_not_answer_the_end_holds_up_nobody(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with AzureSimulator(behaviour=Behaviour(half_open_after_ms=1)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_stt(AzureSTTOptions(), here)) as line:
            await say(line)
            await simulator.until(lambda: any(c.is_deaf for c in simulator.connections))


async def test_what_the_sdk_tells_once_the_call_is_over_is_not_taken(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AzureSimulator() as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        service: Any = build_stt(AzureSTTOptions(), here)
        async with on_the_line(service) as line:
            pass
        asked = Mock(side_effect=AssertionError("the loop may be closed"))
        monkeypatch.setattr(service, "get_event_loop", asked)
        details = SimpleNamespace(reason=CancellationReason.Error, code=None, error_details="")
        for reason in (ResultReason.RecognizedSpeech, ResultReason.NoMatch):
            result = SimpleNamespace(reason=reason, text="late", cancellation_details=details)
            late = SimpleNamespace(result=result)
            service._on_handle_recognizing(late)
            service._on_handle_recognized(late)
            service._on_handle_canceled(late)
            service._on_session_stopped(late)
        assert not asked.called
        assert line.of(TranscriptionFrame) == [] and line.errors == []


@pytest.mark.parametrize("trouble", [None, RuntimeError("it could not begin")])
async def test_a_recognition_is_not_ended_before_it_has_begun(
    http: aiohttp.ClientSession,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception | None,
) -> None:
    """Azure's SDK would use what is freed, and end the process."""
    began, done, ours = Event(), list[str](), set[int]()
    begin = SpeechRecognizer.start_continuous_recognition_async
    stop = SpeechRecognizer.stop_continuous_recognition

    class Beginning:
        def __init__(self, recognizer: SpeechRecognizer) -> None:
            self._future = begin(recognizer)

        def get(self) -> None:
            began.wait(60)
            done.append("begun")
            self._future.get()
            if trouble is not None:
                raise trouble

    def beginning(recognizer: SpeechRecognizer) -> Beginning:
        ours.add(id(recognizer))
        return Beginning(recognizer)

    def stopped(recognizer: SpeechRecognizer) -> None:
        if id(recognizer) in ours:  # And not that of a test before, which may end only now.
            done.append("ended")
        stop(recognizer)

    monkeypatch.setattr(SpeechRecognizer, "start_continuous_recognition_async", beginning)
    monkeypatch.setattr(SpeechRecognizer, "stop_continuous_recognition", stopped)
    async with AzureSimulator() as simulator:
        here = context(http, simulator.base_url, vendor_language="hi-IN", key=key)
        async with on_the_line(build_stt(AzureSTTOptions(), here)):
            pass
        assert done == []
        began.set()
        await until(lambda: done == ["begun", "ended"])


def test_a_regions_address_is_left_to_the_sdk(http: aiohttp.ClientSession) -> None:
    regional = context(http, "https://centralindia.api.cognitive.microsoft.com/")
    assert place("stt", AzureSTTOptions(), regional) == {"region": "centralindia"}
    assert place("stt", AzureSTTOptions(region="eastus"), regional) == {"region": "eastus"}
    own = context(http, "https://bank.cognitiveservices.azure.com/")
    assert place("stt", AzureSTTOptions(region="eastus"), own) == {
        "private_endpoint": "https://bank.cognitiveservices.azure.com"
    }


@pytest.mark.parametrize("written", [None, "", "eastus", "ftp://h"])
def test_addresses_that_are_none(http: aiohttp.ClientSession, written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"stt\.azure\.base_url"):
        place("stt", AzureSTTOptions(), context(http, written))
