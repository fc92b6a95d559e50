"""Speech-to-text against the simulated server, in a real pipeline."""

import asyncio
from collections.abc import Sequence
from functools import partial

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from config.errors import ConfigError, ProviderError
from services.ai4bharat import AI4BharatSTTOptions
from services.ai4bharat.stt import AI4BharatSTTService, build_stt
from services.ai4bharat.transcription import Transcriber, server_address
from services.hearing.utterance_stt import PREROLL_MS
from services.offline.frames import UnrecognizedSpeechFrame
from simulators.ai4bharat import AI4BharatSTTSimulator
from simulators.behaviour import Behaviour
from tests.unit.services.calls import Line, context, on_the_line

RATE_HZ = 8_000
CHUNK_MS = 40
START = VADUserStartedSpeakingFrame(start_secs=0.2)
HANGS = Behaviour(stall_after_ms=0)


def sound(duration_ms: int, rate_hz: int = RATE_HZ, level: int = 6000) -> bytes:
    times = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    return (np.sin(2 * np.pi * 440 * times) * level).astype("<i2").tobytes()


async def hear(line: Line, pcm: bytes, rate_hz: int = RATE_HZ) -> None:
    size = rate_hz * CHUNK_MS // 1000 * 2
    for start in range(0, len(pcm), size):
        await line.send(InputAudioRawFrame(pcm[start : start + size], rate_hz, 1))


async def say(line: Line, duration_ms: int = 600, rate_hz: int = RATE_HZ) -> None:
    """One stretch of speech with its voice activity."""
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
    await hear(line, sound(duration_ms, rate_hz), rate_hz)
    await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


def more_than(things: Sequence[object], count: int) -> bool:
    return len(things) > count


def service(
    http: aiohttp.ClientSession,
    simulator: AI4BharatSTTSimulator,
    *,
    rate_hz: int = RATE_HZ,
    language: str = "hi",
    timeout_seconds: float = 30.0,
    max_speech_seconds: float = 30.0,
) -> AI4BharatSTTService:
    options = AI4BharatSTTOptions(
        timeout_seconds=timeout_seconds, max_speech_seconds=max_speech_seconds
    )
    return build_stt(options, context(http, simulator.base_url, language, rate_hz))


async def test_speech_becomes_a_finalized_text_and_audio_stops_here(
    http: aiohttp.ClientSession,
) -> None:
    async with AI4BharatSTTSimulator(texts={"ta": "வணக்கம்"}) as simulator:
        async with on_the_line(service(http, simulator, language="ta")) as line:
            await say(line)
            frame = await line.first(TranscriptionFrame)
        assert (frame.text, frame.finalized) == ("வணக்கம்", True)
        assert line.of(InputAudioRawFrame) == []
        assert simulator.violations == []
        assert simulator.segments[0].duration_ms == pytest.approx(600, abs=2)
        assert line.errors == []


async def test_what_was_said_just_before_speech_was_noticed_is_sent_too(
    http: aiohttp.ClientSession,
) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await hear(line, sound(3_000))
            await say(line, 400)
            await line.first(TranscriptionFrame)
        assert simulator.segments[0].duration_ms == pytest.approx(PREROLL_MS + 400, abs=2)


async def test_speech_at_16_khz_goes_out_as_it_came(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        async with on_the_line(service(http, simulator, rate_hz=16_000), 16_000) as line:
            await say(line, 400, 16_000)
            await line.first(TranscriptionFrame)
        assert simulator.segments[0].audio == sound(400, 16_000)


async def test_long_speech_is_resampled_off_the_loop_and_cut_into_pieces(
    http: aiohttp.ClientSession,
) -> None:
    async with AI4BharatSTTSimulator(texts=["एक", "दो", "तीन"]) as simulator:
        async with on_the_line(service(http, simulator, max_speech_seconds=6)) as line:
            await say(line, 14_000)
            await line.first(TranscriptionFrame, 3)
        texts = [(f.text, f.finalized) for f in line.of(TranscriptionFrame)]
        assert sorted(round(s.duration_ms) for s in simulator.segments) == [2000, 6000, 6000]
        assert [finalized for _, finalized in texts] == [False, False, True]


async def test_silence_ends_the_turn_without_a_text(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator(behaviour=Behaviour(empty=True)) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await say(line)
            frame = await line.first(UnrecognizedSpeechFrame)
        assert frame.duration_seconds == pytest.approx(0.6)
        assert line.of(TranscriptionFrame) == []
        assert line.errors == []


async def test_less_than_a_tenth_of_a_second_is_not_sent(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await say(line, 80)
            await line.first(UnrecognizedSpeechFrame)
        assert simulator.segments == []


@pytest.mark.parametrize(
    ("behaviour", "code", "requests"),
    [
        (Behaviour(refuse_status=503), "stt_busy", 1),
        (Behaviour(refuse_status=500), "stt_failed", 1),
        (Behaviour(refuse_status=404), "stt_refused", 1),
        (Behaviour(garbage_frames=1), "stt_garbage", 1),
        (Behaviour(drop_after_ms=0), "stt_unreachable", 1),
    ],
)
async def test_a_failure_is_reported_and_ends_the_turn(
    http: aiohttp.ClientSession, behaviour: Behaviour, code: str, requests: int
) -> None:
    async with AI4BharatSTTSimulator(behaviour=behaviour) as simulator:
        stt = service(http, simulator)
        async with on_the_line(stt) as line:
            await say(line)
            await line.first(UnrecognizedSpeechFrame)
            simulator.behave(Behaviour())
            await say(line)
            await line.first(TranscriptionFrame)
        assert line.errors == [code]
        assert len(simulator.connections) == requests + 1
        assert stt.is_usable


async def test_a_server_that_hangs_is_given_up_and_does_not_keep_the_next_words(
    http: aiohttp.ClientSession,
) -> None:
    async with AI4BharatSTTSimulator(texts=["दो"], script=[HANGS]) as simulator:
        async with on_the_line(service(http, simulator, timeout_seconds=2)) as line:
            await say(line)
            await simulator.until(lambda: len(simulator.connections) == 1)
            await say(line)
            frame = await line.first(TranscriptionFrame)
        assert frame.text == "दो"
        assert line.errors == ["stt_timeout"]
        assert [type(f) for f in line.frames if isinstance(f, UnrecognizedSpeechFrame)] == []


async def test_texts_come_in_the_order_of_speech_and_only_the_last_is_final(
    http: aiohttp.ClientSession,
) -> None:
    slow = Behaviour(first_result_delay_ms=1_000)
    async with AI4BharatSTTSimulator(texts=["पहले", "फिर"], script=[slow]) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await say(line)
            await simulator.until(lambda: len(simulator.segments) == 1)
            await say(line)
            await line.first(TranscriptionFrame, 2)
        texts = [(f.text, f.finalized) for f in line.of(TranscriptionFrame)]
        assert texts == [("पहले", False), ("फिर", True)]


async def test_a_text_that_comes_while_the_caller_goes_on_is_not_final(
    http: aiohttp.ClientSession,
) -> None:
    """Marked final, it would end the turn at the next pause, before the rest is read."""
    slow = Behaviour(first_result_delay_ms=200)
    async with AI4BharatSTTSimulator(script=[slow, Behaviour(empty=True)]) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await say(line)
            await line.send(START)
            frame = await line.first(TranscriptionFrame)
            assert not frame.finalized
            await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        assert line.of(UnrecognizedSpeechFrame) == []


async def test_too_much_unread_speech_is_given_up_oldest_first(
    http: aiohttp.ClientSession,
) -> None:
    async with AI4BharatSTTSimulator(texts=["अंत"], script=[HANGS] * 4) as simulator:
        async with on_the_line(service(http, simulator, timeout_seconds=3)) as line:
            for _ in range(5):
                arrived = len(simulator.connections)
                await say(line)
                await simulator.until(partial(more_than, simulator.connections, arrived))
            frame = await line.first(TranscriptionFrame)
        assert frame.text == "अंत"
        assert line.errors[0] == "stt_overload"
        assert line.errors[1:] == ["stt_timeout"] * 3


@pytest.mark.parametrize("cancel", [False, True])
async def test_the_end_of_a_call_does_not_wait_for_a_server_that_hangs(
    http: aiohttp.ClientSession, cancel: bool
) -> None:
    async with AI4BharatSTTSimulator(script=[HANGS]) as simulator:
        async with on_the_line(service(http, simulator, timeout_seconds=30), cancel=cancel) as line:
            await say(line)
            await simulator.until(lambda: len(simulator.segments) == 1)
        await simulator.until(lambda: simulator.connections[0].ended.is_set())
        assert simulator.connections[0].abandoned


async def test_the_last_words_before_the_end_are_still_read(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator(latency_ms=100) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await say(line)
            await line.send(EndFrame())
            await line.first(EndFrame)
        assert [f.text for f in line.of(TranscriptionFrame)] == ["नमस्ते"]


async def test_bhili_has_a_door_of_its_own(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator(texts={"bhb": "राम राम"}, has_bhili=True) as simulator:
        async with on_the_line(service(http, simulator, language="bhb")) as line:
            await say(line)
            frame = await line.first(TranscriptionFrame)
        assert frame.text == "राम राम"
        assert simulator.requests[0].path == "/transcribe/bhili"


async def test_a_server_without_the_bhili_model_is_told_apart_from_a_busy_one(
    http: aiohttp.ClientSession,
) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        async with on_the_line(service(http, simulator, language="bhb")) as line:
            await say(line)
            await line.first(UnrecognizedSpeechFrame)
        assert line.errors == ["stt_no_model"]
        assert "BHILI_NEMO_PATH" in line.of(ErrorFrame)[0].error
        assert len(simulator.requests) == 1


async def test_a_busy_bhili_model_is_reported_as_busy(http: aiohttp.ClientSession) -> None:
    busy = Behaviour(refuse_status=503)
    async with AI4BharatSTTSimulator(
        texts={"bhb": "राम राम"}, has_bhili=True, script=[busy]
    ) as simulator:
        async with on_the_line(service(http, simulator, language="bhb")) as line:
            await say(line)
            await line.first(UnrecognizedSpeechFrame)
        assert len(simulator.requests) == 1
        assert line.errors == ["stt_busy"]


async def test_a_redirect_is_not_followed(http: aiohttp.ClientSession) -> None:
    """The operator says where a caller's voice goes, and nobody else."""
    async with AI4BharatSTTSimulator() as elsewhere:

        async def redirect(_request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"{elsewhere.base_url}/transcribe")

        app = web.Application()
        app.router.add_post("/transcribe", redirect)
        async with TestServer(app) as server:
            address = f"http://{server.host}:{server.port}"
            transcriber = Transcriber(http=http, base_url=address, timeout_seconds=30)
            with pytest.raises(ProviderError, match="307") as failed:
                await transcriber.transcribe(sound(200), rate_hz=RATE_HZ, language="hi")
        assert (failed.value.stage, failed.value.retryable) == ("stt", False)
        assert elsewhere.requests == []


async def test_a_server_that_is_away(http: aiohttp.ClientSession, closed_port: int) -> None:
    address = AI4BharatSTTSimulator(port=closed_port).base_url
    transcriber = Transcriber(http=http, base_url=address, timeout_seconds=30)
    with pytest.raises(ProviderError) as failed:
        await transcriber.transcribe(sound(200), rate_hz=RATE_HZ, language="hi")
    assert (failed.value.code, failed.value.retryable) == ("stt_unreachable", True)


@pytest.mark.parametrize(
    "written", ["http://h:1/", "http://h:1/transcribe", "http://h:1/transcribe/bhili/"]
)
def test_addresses_as_people_write_them(written: str) -> None:
    assert server_address(written) == "http://h:1"


@pytest.mark.parametrize("written", ["", None, "localhost:8001", "ws://h:1"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        server_address(written)


async def test_no_task_or_connection_is_left(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        before = asyncio.all_tasks()
        async with on_the_line(service(http, simulator)) as line:
            await say(line)
            await line.first(TranscriptionFrame)
        left = {task for task in asyncio.all_tasks() - before if not task.done()}
        assert [task.get_name() for task in left if "segment" in task.get_name()] == []
