"""Streamed recognition against the simulated session."""

import aiohttp
import msgspec
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory

from config.errors import ConfigError
from services.offline.frames import UnrecognizedSpeechFrame
from services.openai import OpenAIRealtimeSTTOptions
from services.openai.addresses import realtime_address
from services.openai.realtime import PREROLL_MS, OpenAIRealtimeSTTService, build_stt
from services.openai.session import (
    MAX_DRAFTS,
    MAX_TEXT_LETTERS,
    Heard,
    Session,
    SessionError,
    _Event,
)
from services.openai.span import Span
from simulators.behaviour import Behaviour
from simulators.openai import OpenAISimulator
from tests.unit.services.calls import context, on_the_line
from tests.unit.services.openai.speech import hear, say, sound

TEXT = "मुझे मदद चाहिए"


def service(
    http: aiohttp.ClientSession, simulator: OpenAISimulator, rate_hz: int = 8_000, **given: object
) -> OpenAIRealtimeSTTService:
    options = OpenAIRealtimeSTTOptions.model_validate(given)
    return build_stt(options, context(http, simulator.base_url, rate_hz=rate_hz, key="k"))


@pytest.mark.parametrize(
    ("rate_hz", "form", "sent_hz"),
    [(8_000, "audio/pcmu", 8_000), (16_000, "audio/pcm", 24_000)],
)
async def test_speech_is_streamed_and_its_text_comes_piece_by_piece(
    http: aiohttp.ClientSession, rate_hz: int, form: str, sent_hz: int
) -> None:
    async with OpenAISimulator(texts=[TEXT]) as simulator:
        stt = service(http, simulator, rate_hz, noise_reduction="near_field")
        async with on_the_line(stt, rate_hz) as line:
            await say(line, rate_hz=rate_hz)
            frame = await line.first(TranscriptionFrame)
        assert (frame.text, frame.finalized) == (TEXT, True)
        interims = [interim.text for interim in line.of(InterimTranscriptionFrame)]
        assert interims == ["मुझे", "मुझे मदद", TEXT]
        heard = simulator.heard[0]
        assert (heard.format, heard.rate_hz, heard.language) == (form, sent_hz, "hi")
        assert heard.duration_ms == pytest.approx(600, abs=30)
        update = msgspec.json.decode(simulator.connections[0].messages[0])
        listening = update["session"]["audio"]["input"]
        assert listening["noise_reduction"] == {"type": "near_field"}
        assert line.of(InputAudioRawFrame) == []
        assert simulator.violations == []
        assert line.errors == []


async def test_only_speech_is_sent_with_a_little_from_before_it(
    http: aiohttp.ClientSession,
) -> None:
    async with OpenAISimulator(texts=["एक", "दो"]) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await hear(line, bytes(8_000 * 2 * 3), 8_000)
            await say(line)
            await line.first(TranscriptionFrame)
            await hear(line, bytes(8_000 * 2 * 3), 8_000)
            await say(line)
            await line.first(TranscriptionFrame, 2)
        assert [frame.text for frame in line.of(TranscriptionFrame)] == ["एक", "दो"]
        spans = [frame.result for frame in line.of(TranscriptionFrame)]
        ends = [span.start + span.duration for span in spans if isinstance(span, Span)]
        assert ends == pytest.approx([3.6, 7.2])
        for heard in simulator.heard:
            assert heard.duration_ms == pytest.approx(600 + PREROLL_MS, abs=41)


async def test_what_is_said_while_connecting_is_not_lost(http: aiohttp.ClientSession) -> None:
    slow = Behaviour(accept_delay_ms=300)
    async with OpenAISimulator(texts=[TEXT], behaviour=slow) as simulator:
        stt = service(http, simulator)
        async with on_the_line(stt) as line:
            await say(line)
            assert (await line.first(TranscriptionFrame)).text == TEXT
            await stt.connected()
        assert simulator.heard[0].duration_ms == pytest.approx(600, abs=1)


async def test_a_noise_without_words_and_a_click_end_their_turns(
    http: aiohttp.ClientSession,
) -> None:
    async with OpenAISimulator() as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await say(line, level=0)
            frame = await line.first(UnrecognizedSpeechFrame)
            await say(line, duration_ms=40)
            await line.first(UnrecognizedSpeechFrame, 2)
        assert frame.duration_seconds == pytest.approx(0.6, abs=0.05)
        assert len(simulator.heard) == 1
        assert simulator.violations == []
        assert line.errors == []


async def test_a_text_before_further_speech_is_not_final(http: aiohttp.ClientSession) -> None:
    async with OpenAISimulator(texts=["एक", "दो"]) as simulator:
        simulator.behave(Behaviour(accept_delay_ms=200), on=0)
        async with on_the_line(service(http, simulator)) as line:
            await say(line)
            await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
            await line.first(TranscriptionFrame)
            await say(line)
            await line.first(TranscriptionFrame, 2)
        frames = line.of(TranscriptionFrame)
        assert [(f.text, f.finalized) for f in frames] == [("एक", False), ("दो", True)]


async def test_the_last_words_of_a_call_are_still_read(http: aiohttp.ClientSession) -> None:
    async with OpenAISimulator(texts=[TEXT]) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
            await hear(line, sound(600, 8_000), 8_000)
        assert [frame.text for frame in line.of(TranscriptionFrame)] == [TEXT]


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=403), ErrorCategory.AUTHORIZATION),
        (Behaviour(refuse_status=429), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Behaviour(accept_delay_ms=60_000), ErrorCategory.CONNECTIVITY),
        (Behaviour(stall_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(half_open_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_ms=0), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_ms=50, drop_code=1011), ErrorCategory.CONNECTIVITY),
    ],
)
async def test_a_session_that_cannot_be_had_is_told_of_without_a_word_said(
    http: aiohttp.ClientSession, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with OpenAISimulator(behaviour=behaviour) as simulator:
        # Short where it is waited for; elsewhere a machine that stands still must not end it.
        refuses = behaviour.refuse_status is not None or behaviour.drop_after_ms is not None
        stt = service(http, simulator, connect_timeout_seconds=30 if refuses else 1)
        async with on_the_line(stt) as line:
            error = await line.first(ErrorFrame)
        assert [frame.category for frame in line.of(ErrorFrame)] == [category]
        assert error.exception is not None
        assert len(simulator.connections) == 1


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(stall_after_bytes=1_600), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=1_600), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=1_600), ErrorCategory.SERVER),
    ],
)
async def test_a_session_that_breaks_in_mid_speech_is_told_of(
    http: aiohttp.ClientSession, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with OpenAISimulator(behaviour=behaviour) as simulator:
        stalls = behaviour.stall_after_bytes is not None
        stt = service(http, simulator, final_timeout_seconds=0.3 if stalls else 30)
        async with on_the_line(stt) as line:
            await say(line)
            await line.first(ErrorFrame)
        assert [frame.category for frame in line.of(ErrorFrame)] == [category]
        assert line.of(TranscriptionFrame) == []


async def test_nobody_listens(http: aiohttp.ClientSession, closed_port: int) -> None:
    async with on_the_line(service(http, OpenAISimulator(port=closed_port))) as line:
        error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.CONNECTIVITY


async def test_meaningless_messages_are_passed_over(http: aiohttp.ClientSession) -> None:
    async with OpenAISimulator(texts=[TEXT], behaviour=Behaviour(garbage_frames=6)) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await say(line)
            assert (await line.first(TranscriptionFrame)).text == TEXT
        assert line.errors == []


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime?intent=transcription"),
        ("wss://h/v1/realtime", "wss://h/v1/realtime?intent=transcription"),
        ("http://h:8000", "ws://h:8000/v1/realtime?intent=transcription"),
    ],
)
def test_addresses_as_people_write_them(written: str, address: str) -> None:
    assert realtime_address(written) == address


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="openai_realtime"):
        realtime_address("api.openai.com")


@pytest.mark.parametrize("items", ["always another", "always the same"])
async def test_texts_without_end_break_the_session(http: aiohttp.ClientSession, items: str) -> None:
    async with OpenAISimulator() as simulator:
        texts: list[Heard] = []

        async def take(heard: Heard) -> None:
            texts.append(heard)

        here = context(http, simulator.base_url, key="k")
        session = Session(OpenAIRealtimeSTTOptions(), here, take)
        kind = "conversation.item.input_audio_transcription.delta"
        with pytest.raises(SessionError, match="without end"):
            for number in range(100_000):
                item = f"item-{number}" if items == "always another" else "item"
                await session._draft(_Event(kind, item, "word " * 20))
        assert sum(map(len, session._drafts.values())) <= MAX_TEXT_LETTERS + 100
        assert len(session._drafts) <= MAX_DRAFTS + 1
