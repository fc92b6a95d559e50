"""Speech-to-text against the simulated service, streamed and by utterance, in a real pipeline."""

import json
from typing import Any

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from config.errors import ConfigError, ProviderError
from services.bhashini import BhashiniSTTOptions
from services.bhashini.addresses import pipeline_address, stream_address
from services.bhashini.stt import BhashiniSTTService, build_stt
from services.hearing.utterance_stt import PREROLL_MS
from services.offline.frames import UnrecognizedSpeechFrame
from simulators.behaviour import Behaviour
from simulators.bhashini import BhashiniSimulator
from tests.unit.services.calls import Line, context, on_the_line

RATE_HZ = 8_000
CHUNK_MS = 40
TEXT = "मुझे मदद चाहिए"
HANGS = Behaviour(stall_after_ms=0)
MODES = ("streaming", "ulca")
both = pytest.mark.parametrize("mode", MODES)


def sound(duration_ms: int, rate_hz: int = RATE_HZ, level: int = 6000) -> bytes:
    times = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    return (np.sin(2 * np.pi * 440 * times) * level).astype("<i2").tobytes()


async def hear(line: Line, pcm: bytes, rate_hz: int = RATE_HZ) -> None:
    size = rate_hz * CHUNK_MS // 1000 * 2
    for start in range(0, len(pcm), size):
        await line.send(InputAudioRawFrame(pcm[start : start + size], rate_hz, 1))


async def begin(line: Line) -> None:
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))


async def pause(line: Line) -> None:
    await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


async def say(line: Line, duration_ms: int = 600, rate_hz: int = RATE_HZ) -> None:
    """One stretch of speech with its voice activity."""
    await begin(line)
    await hear(line, sound(duration_ms, rate_hz), rate_hz)
    await pause(line)


def service(
    http: aiohttp.ClientSession,
    base_url: str,
    *,
    mode: str = "streaming",
    rate_hz: int = RATE_HZ,
    language: str = "hi",
    key: str = "any",
    **given: object,
) -> BhashiniSTTService:
    options = BhashiniSTTOptions.model_validate(
        {"mode": mode, "final_timeout_seconds": 10, **given}
    )
    return build_stt(options, context(http, base_url, language, rate_hz, key=key))


@both
async def test_speech_becomes_a_finalized_text_and_audio_stops_here(
    http: aiohttp.ClientSession, key: str, mode: str
) -> None:
    async with BhashiniSimulator(texts={"ta": "வணக்கம்"}, api_key=key) as simulator:
        stt = service(http, simulator.base_url, mode=mode, language="ta", key=key)
        async with on_the_line(stt) as line:
            await say(line)
            frame = await line.first(TranscriptionFrame)
        assert (frame.text, frame.finalized) == ("வணக்கம்", True)
        assert line.of(InputAudioRawFrame) == []
        assert simulator.violations == []
        assert simulator.heard[0].duration_ms == pytest.approx(600, abs=2)
        assert line.errors == []


@both
@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_what_was_said_just_before_speech_was_noticed_is_sent_too(
    http: aiohttp.ClientSession, mode: str, rate_hz: int
) -> None:
    async with BhashiniSimulator() as simulator:
        stt = service(http, simulator.base_url, mode=mode, rate_hz=rate_hz)
        async with on_the_line(stt, rate_hz) as line:
            await hear(line, sound(3_000, rate_hz), rate_hz)
            await say(line, 400, rate_hz)
            await line.first(TranscriptionFrame)
        heard = simulator.heard[0]
        assert heard.duration_ms == pytest.approx(PREROLL_MS + 400, abs=2)
        # As loud as it was: a sine's mean size is 2/pi of its height.
        assert heard.loudness == pytest.approx(6000 / 32768 * 2 / np.pi, rel=0.05)


async def test_the_stream_begins_with_what_it_is(http: aiohttp.ClientSession, key: str) -> None:
    async with BhashiniSimulator(api_key=key) as simulator:
        async with on_the_line(service(http, simulator.base_url, key=key)) as line:
            await say(line)
            await line.first(TranscriptionFrame)
        connection = simulator.connections[0]
        start = json.loads(connection.messages[0])
        assert start["config"]["postProcessors"] == ["itn", "punctuation"]
        assert start["streamingConfig"]["chunkDurationMs"] == 200
        assert connection.messages[1:] == ['{"type":"end"}']
        samples = np.frombuffer(bytes(connection.audio), dtype="<f4")
        peak = np.argmax(np.abs(np.fft.rfft(samples))) * 16_000 / len(samples)
        assert peak == pytest.approx(440, abs=3)


async def test_words_come_while_the_caller_speaks(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator(texts=[TEXT]) as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await begin(line)
            await hear(line, sound(440))
            assert (await line.first(InterimTranscriptionFrame)).text == "मुझे"
            assert simulator.heard == []
            await hear(line, sound(1_000))
            await pause(line)
            await line.first(TranscriptionFrame)
        interims = [frame.text for frame in line.of(InterimTranscriptionFrame)]
        assert interims[:3] == ["मुझे", "मुझे मदद", TEXT]
        assert [frame.text for frame in line.of(TranscriptionFrame)] == [TEXT]


async def test_a_final_text_that_never_comes_is_made_of_the_last_interim_one(
    http: aiohttp.ClientSession,
) -> None:
    async with BhashiniSimulator(texts=[TEXT], sends_final=False) as simulator:
        stt = service(http, simulator.base_url, final_timeout_seconds=0.2)
        async with on_the_line(stt) as line:
            await begin(line)
            await hear(line, sound(1_000))
            await line.until(lambda: TEXT in [f.text for f in line.of(InterimTranscriptionFrame)])
            await pause(line)
            frame = await line.first(TranscriptionFrame)
        assert (frame.text, frame.finalized) == (TEXT, True)
        assert line.errors == []
        await simulator.until(simulator.connections[0].ended.is_set)


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(drop_after_bytes=60_000),
        Behaviour(drop_after_bytes=60_000, drop_code=1011),
        Behaviour(error_after_bytes=60_000),
        Behaviour(refuse_status=503),
        Behaviour(drop_after_ms=0),
    ],
)
async def test_a_stream_that_breaks_is_reported_and_not_opened_again(
    http: aiohttp.ClientSession, behaviour: Behaviour
) -> None:
    async with (
        BhashiniSimulator(texts=[TEXT], script=[behaviour]) as simulator,
        on_the_line(service(http, simulator.base_url)) as line,
    ):
        await say(line, 2_000)
        await line.first(UnrecognizedSpeechFrame)
        assert len(line.errors) == 1
        assert len(simulator.connections) == 1, "whoever holds it decides who hears it again"
        await say(line, 2_000)
        assert (await line.first(TranscriptionFrame)).text == TEXT


@pytest.mark.parametrize(("code", "fails"), [(None, True), (1011, True), (1000, False)])
async def test_a_stream_that_ends_without_a_final_text_when_all_was_said(
    http: aiohttp.ClientSession, code: int | None, fails: bool
) -> None:
    """A proper close is an end; anything else may have cost some of the speech."""
    async with BhashiniSimulator(texts=[TEXT], final_ms=5_000) as simulator:
        async with on_the_line(service(http, simulator.base_url, final_timeout_seconds=9)) as line:
            await say(line, 1_000)
            await simulator.until(lambda: len(simulator.heard) == 1)
            await line.first(InterimTranscriptionFrame, 4)
            simulator.final_ms = 0
            simulator.connections[0].drop(code)
            await line.first(UnrecognizedSpeechFrame if fails else TranscriptionFrame)
        assert len(simulator.connections) == 1
        assert [frame.text for frame in line.of(TranscriptionFrame)] == [] if fails else [TEXT]
        assert len(line.errors) == fails


@pytest.mark.parametrize(
    ("mode", "behaviour", "code", "requests"),
    [
        ("streaming", Behaviour(refuse_status=401), "stt_auth", 1),
        ("streaming", Behaviour(refuse_status=404), "stt_refused", 1),
        ("streaming", Behaviour(refuse_status=503), "stt_busy", 1),
        ("streaming", Behaviour(drop_after_bytes=0), "stt_dropped", 1),
        ("streaming", HANGS, "stt_timeout", 1),
        ("streaming", Behaviour(accept_delay_ms=60_000), "stt_timeout", 1),
        ("ulca", Behaviour(refuse_status=401), "stt_auth", 1),
        ("ulca", Behaviour(refuse_status=404), "stt_refused", 1),
        ("ulca", Behaviour(refuse_status=500), "stt_failed", 1),
        ("ulca", Behaviour(refuse_status=429), "stt_busy", 1),
        ("ulca", Behaviour(drop_after_ms=0), "stt_unreachable", 1),
        ("ulca", Behaviour(garbage_frames=1), "stt_garbage", 1),
        ("ulca", HANGS, "stt_timeout", 1),
    ],
)
async def test_a_failure_is_reported_and_ends_the_turn(
    http: aiohttp.ClientSession, mode: str, behaviour: Behaviour, code: str, requests: int
) -> None:
    async with BhashiniSimulator(behaviour=behaviour) as simulator:
        # Short where it is waited for; elsewhere a machine that stands still must not end it.
        short = {"connect_timeout_seconds": 1, "timeout_seconds": 2, "final_timeout_seconds": 1}
        longer = {"connect_timeout_seconds": 30, "timeout_seconds": 30}
        given: dict[str, Any] = short if code == "stt_timeout" else longer
        stt = service(http, simulator.base_url, mode=mode, **given)
        async with on_the_line(stt) as line:
            await say(line, 2_400)
            await line.first(UnrecognizedSpeechFrame)
            assert len(simulator.connections) == requests
            simulator.behave(Behaviour())
            await say(line)
            await line.first(TranscriptionFrame)
        assert line.errors == [code]
        failed = line.of(ErrorFrame)[0].exception
        assert isinstance(failed, ProviderError)
        assert (failed.provider, failed.stage) == ("bhashini", "stt")
        assert stt.is_usable


async def test_a_failure_in_the_midst_of_speech_ends_the_turn_with_the_speech(
    http: aiohttp.ClientSession,
) -> None:
    async with (
        BhashiniSimulator(behaviour=Behaviour(refuse_status=401)) as simulator,
        on_the_line(service(http, simulator.base_url)) as line,
    ):
        await begin(line)
        await hear(line, sound(400))
        await line.until(lambda: line.errors)
        assert line.of(UnrecognizedSpeechFrame) == []
        await pause(line)
        await line.first(UnrecognizedSpeechFrame)


async def test_no_error_shows_the_key(http: aiohttp.ClientSession, key: str) -> None:
    """It stands in the stream's address, which aiohttp's errors repeat."""
    async with (
        BhashiniSimulator(behaviour=Behaviour(refuse_status=401)) as simulator,
        on_the_line(service(http, simulator.base_url, key=key)) as line,
    ):
        await say(line)
        await line.first(UnrecognizedSpeechFrame)
    failed = line.of(ErrorFrame)[0].exception
    assert isinstance(failed, ProviderError)
    assert dict(simulator.requests[0].query) == {"api_key": key}
    assert key not in f"{failed!r} {failed.__cause__!r}"
    assert failed.__suppress_context__


async def test_a_service_that_does_not_stream_is_told_once(http: aiohttp.ClientSession) -> None:
    service_id = "bhashini/ai4bharat/conformer-multilingual-asr"
    async with BhashiniSimulator() as simulator:
        stt = service(http, simulator.base_url, service_id=service_id)
        async with on_the_line(stt) as line:
            await say(line)
            await line.first(UnrecognizedSpeechFrame)
        assert line.errors == ["stt_refused"]
        assert len(simulator.connections) == 1
        error = line.of(ErrorFrame)[0]
        assert "INVALID_SERVICE_TASK" in error.error


@both
async def test_silence_ends_the_turn_without_a_text(http: aiohttp.ClientSession, mode: str) -> None:
    async with BhashiniSimulator(behaviour=Behaviour(empty=True)) as simulator:
        async with on_the_line(service(http, simulator.base_url, mode=mode)) as line:
            await say(line)
            frame = await line.first(UnrecognizedSpeechFrame)
        assert frame.duration_seconds == pytest.approx(0.6)
        assert line.of(TranscriptionFrame) == []
        assert line.errors == []


@both
async def test_texts_come_in_the_order_of_speech_and_only_the_last_is_final(
    http: aiohttp.ClientSession, mode: str
) -> None:
    slow = Behaviour(first_result_delay_ms=1_000)
    async with BhashiniSimulator(texts=["पहले", "फिर"], script=[slow]) as simulator:
        stt = service(http, simulator.base_url, mode=mode, final_timeout_seconds=5)
        async with on_the_line(stt) as line:
            await say(line)
            await simulator.until(lambda: len(simulator.connections) == 1)
            await say(line)
            await line.first(TranscriptionFrame, 2)
        finals = [frame.finalized for frame in line.of(TranscriptionFrame)]
        assert finals == [False, True]
        assert line.errors == []


@both
async def test_long_speech_is_read_in_pieces(http: aiohttp.ClientSession, mode: str) -> None:
    async with BhashiniSimulator() as simulator:
        stt = service(http, simulator.base_url, mode=mode, max_speech_seconds=2)
        async with on_the_line(stt) as line:
            await say(line, 5_000)
            await line.first(TranscriptionFrame, 3)
        durations = sorted(round(heard.duration_ms, -1) for heard in simulator.heard)
        assert durations == [1_000, 2_000, 2_000]
        assert [f.finalized for f in line.of(TranscriptionFrame)] == [False, False, True]


async def test_too_much_unread_speech_is_given_up_oldest_first(
    http: aiohttp.ClientSession,
) -> None:
    async with BhashiniSimulator(behaviour=HANGS) as simulator:
        stt = service(http, simulator.base_url, mode="ulca", timeout_seconds=30)
        async with on_the_line(stt, cancel=True) as line:
            for _ in range(5):
                await say(line)
            await line.until(lambda: line.errors)
        assert line.errors == ["stt_overload"]


@both
@pytest.mark.parametrize("cancel", [False, True])
async def test_the_end_of_a_call_does_not_wait_for_a_server_that_hangs(
    http: aiohttp.ClientSession, mode: str, cancel: bool
) -> None:
    async with BhashiniSimulator(script=[HANGS]) as simulator:
        stt = service(
            http, simulator.base_url, mode=mode, timeout_seconds=30, final_timeout_seconds=10
        )
        async with on_the_line(stt, cancel=cancel) as line:
            await say(line)
            await simulator.until(lambda: len(simulator.heard) == 1)
        await simulator.until(simulator.connections[0].ended.is_set)
        assert line.of(TranscriptionFrame) == []


async def test_the_last_words_before_the_end_are_still_read(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator(final_ms=100) as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await begin(line)
            await hear(line, sound(600))
            await line.send(EndFrame())
            await line.first(EndFrame)
        assert [frame.text for frame in line.of(TranscriptionFrame)] == [TEXT]


@both
async def test_a_server_that_is_away(
    http: aiohttp.ClientSession, mode: str, closed_port: int
) -> None:
    address = BhashiniSimulator(port=closed_port).base_url
    async with on_the_line(service(http, address, mode=mode)) as line:
        await say(line)
        await line.first(UnrecognizedSpeechFrame)
    assert line.errors == ["stt_unreachable"]


@pytest.mark.parametrize(
    "written",
    [
        "http://h:1",
        "ws://h:1/",
        "ws://h:1/ws/v1/asr/stream",
        "http://h:1/services/inference/pipeline/",
    ],
)
def test_addresses_as_people_write_them(written: str) -> None:
    assert stream_address(written) == "ws://h:1/ws/v1/asr/stream"
    assert pipeline_address(written, "stt") == "http://h:1/services/inference/pipeline"


@pytest.mark.parametrize("written", ["", None, "localhost:8002", "ftp://h"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"stt\.bhashini\.base_url"):
        stream_address(written)
    with pytest.raises(ConfigError, match=r"tts\.bhashini\.base_url"):
        pipeline_address(written, "tts")
