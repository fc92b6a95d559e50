"""Utterances read by OpenAI and by Groq, in one request each."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory

from services.connections.clients import close_shared_clients
from services.groq import GroqSTTOptions
from services.groq.stt import build_stt as build_groq
from services.offline.frames import UnrecognizedSpeechFrame
from services.openai import OpenAISTTOptions
from services.openai.options import WHISPER_LANGUAGES
from services.openai.span import Span
from services.openai.stt import MAX_OUTSTANDING, MAX_SPEECH_SECONDS, build_stt
from simulators.behaviour import Behaviour
from simulators.openai import GroqSimulator, OpenAISimulator
from tests.unit.services.calls import context, on_the_line
from tests.unit.services.openai.speech import hear, say

VENDORS: dict[str, Any] = {
    "openai": (OpenAISimulator, build_stt, OpenAISTTOptions),
    "groq": (GroqSimulator, build_groq, GroqSTTOptions),
}
every = pytest.mark.parametrize("vendor", VENDORS)


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await close_shared_clients()


@every
@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_speech_becomes_a_finalized_text_and_audio_stops_here(
    http: aiohttp.ClientSession, key: str, vendor: str, rate_hz: int
) -> None:
    make, build, options = VENDORS[vendor]
    async with make(texts=["வணக்கம்", "நன்றி"], api_key=key) as simulator:
        given = options(prompt="சென்னை", temperature=0.2)
        stt = build(given, context(http, simulator.base_url, "ta", rate_hz, key=key))
        async with on_the_line(stt, rate_hz) as line:
            await say(line, rate_hz=rate_hz)
            await line.first(TranscriptionFrame)
            await say(line, rate_hz=rate_hz)
            await line.first(TranscriptionFrame, 2)
        frames = line.of(TranscriptionFrame)
        assert [(f.text, f.finalized) for f in frames] == [("வணக்கம்", True), ("நன்றி", True)]
        assert line.of(InputAudioRawFrame) == []
        heard = simulator.heard[0]
        assert (heard.language, heard.rate_hz, heard.prompt) == ("ta", rate_hz, "சென்னை")
        assert heard.model == given.model
        # With half a second of silence behind it.
        assert heard.duration_ms == pytest.approx(1100, abs=50)
        assert simulator.violations == []
        assert line.errors == []


@every
@pytest.mark.parametrize("code", sorted(WHISPER_LANGUAGES))
async def test_every_language_is_one_that_the_model_knows(
    http: aiohttp.ClientSession, vendor: str, code: str
) -> None:
    make, build, options = VENDORS[vendor]
    async with make(texts=["x"]) as simulator:
        language = WHISPER_LANGUAGES[code]
        call = context(http, simulator.base_url, code, vendor_language=language, key="k")
        async with on_the_line(build(options(), call)) as line:
            await say(line)
            await line.first(TranscriptionFrame)
        assert simulator.heard[0].language == language
        assert simulator.violations == []


@every
async def test_a_noise_without_words_ends_its_turn(
    http: aiohttp.ClientSession, vendor: str
) -> None:
    make, build, options = VENDORS[vendor]
    async with make() as simulator:
        stt = build(options(), context(http, simulator.base_url, key="k"))
        async with on_the_line(stt) as line:
            await say(line, level=0)
            frame = await line.first(UnrecognizedSpeechFrame)
        assert frame.duration_seconds == pytest.approx(1.1, abs=0.05)
        assert line.errors == []


@every
@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=429, retry_after_seconds=2), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Behaviour(stall_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(half_open_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(garbage_frames=1), ErrorCategory.SERVER),
    ],
)
async def test_failures_are_told_once_and_the_turn_ends(
    http: aiohttp.ClientSession, vendor: str, behaviour: Behaviour, category: ErrorCategory
) -> None:
    make, build, options = VENDORS[vendor]
    async with make(behaviour=behaviour) as simulator:
        # Short where it is waited for; elsewhere a machine that stands still must not end it.
        hangs = behaviour.stall_after_ms is not None or behaviour.half_open_after_ms is not None
        given = options(timeout_seconds=1 if hangs else 30)
        async with on_the_line(build(given, context(http, simulator.base_url, key="k"))) as line:
            await say(line)
            await line.first(UnrecognizedSpeechFrame)
        assert [frame.category for frame in line.of(ErrorFrame)] == [category]
        failed = line.of(ErrorFrame)[0].exception
        assert failed is not None
        if behaviour.retry_after_seconds:
            assert failed.response.headers["retry-after"] == "2"  # type: ignore[attr-defined]
        assert len(simulator.connections) == 1


@every
async def test_a_call_that_ends_wants_no_more(http: aiohttp.ClientSession, vendor: str) -> None:
    make, build, options = VENDORS[vendor]
    async with make(behaviour=Behaviour(stall_after_ms=0)) as simulator:
        stt = build(options(), context(http, simulator.base_url, key="k"))
        async with on_the_line(stt, cancel=True) as line:
            await say(line)
            await simulator.until(lambda: bool(simulator.heard))
        async with asyncio.timeout(30):
            await simulator.connections[0].ended.wait()
        assert simulator.connections[0].abandoned


@every
async def test_a_text_behind_which_the_caller_goes_on_says_which_audio_it_is_about(
    http: aiohttp.ClientSession, vendor: str
) -> None:
    make, build, options = VENDORS[vendor]
    slow = Behaviour(first_result_delay_ms=200)
    async with make(texts=["एक", "दो"], script=[slow]) as simulator:
        stt = build(options(), context(http, simulator.base_url, key="k"))
        async with on_the_line(stt) as line:
            await hear(line, bytes(16_000), 8_000)
            await say(line)
            await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
            await line.first(TranscriptionFrame)
            await say(line)
            await line.first(TranscriptionFrame, 2)
        frames = line.of(TranscriptionFrame)
        assert [(f.text, f.finalized) for f in frames] == [("एक", False), ("दो", True)]
        assert [f.result for f in frames] == [Span(1.0, 0.6), Span(1.6, 0.6)]


@every
async def test_speech_without_a_pause_is_read_in_pieces(
    http: aiohttp.ClientSession, vendor: str
) -> None:
    make, build, options = VENDORS[vendor]
    async with make(texts=["one", "two", "three"]) as simulator:
        async with on_the_line(
            build(options(), context(http, simulator.base_url, key="k"))
        ) as line:
            await say(line, round(2.5 * MAX_SPEECH_SECONDS * 1000))
            await line.first(TranscriptionFrame, 3)
        frames = line.of(TranscriptionFrame)
        assert [frame.text for frame in frames] == ["one", "two", "three"]
        assert [frame.finalized for frame in frames] == [False, False, True]
        lengths = [round(heard.duration_ms / 1000) for heard in simulator.heard]
        assert max(lengths) <= MAX_SPEECH_SECONDS + 1
        assert line.errors == []


@every
async def test_utterances_do_not_wait_without_end(http: aiohttp.ClientSession, vendor: str) -> None:
    make, build, options = VENDORS[vendor]
    async with make(behaviour=Behaviour(stall_after_ms=0)) as simulator:
        stt = build(options(timeout_seconds=30), context(http, simulator.base_url, key="k"))
        async with on_the_line(stt, cancel=True) as line:
            for _ in range(MAX_OUTSTANDING + 3):
                await say(line)
            error = await line.first(ErrorFrame)
        assert error.category is ErrorCategory.CONNECTIVITY
        assert "too slowly" in error.error
