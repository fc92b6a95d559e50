"""Text-to-speech against the simulated server, in a real pipeline."""

import asyncio
import json
from typing import Any

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.utils.text.base_text_aggregator import TextType

from config.errors import ConfigError, ProviderError
from services.ai4bharat import AI4BharatTTSOptions, speaker_for
from services.ai4bharat.synthesis import websocket_address
from services.ai4bharat.tts import AI4BharatTTSService, AI4BharatTTSSettings, build_tts, render
from simulators.ai4bharat import AI4BharatTTSSimulator
from simulators.behaviour import Behaviour
from tests.unit.services.calls import Line, context, on_the_line

RATE_HZ = 8_000
FAST = 200.0
#: Where a server is to be given up; everywhere else it may take its time on a busy machine.
SHORT: dict[str, Any] = {"stall_timeout_seconds": 1.0, "connect_timeout_seconds": 1.0}
#: Ten seconds of speech: more than the network holds of a sentence that nobody reads.
LONG = "यह बहुत लम्बा वाक्य है, जो देर तक चलता है और चलता रहता है, " * 3


def options(**given: object) -> AI4BharatTTSOptions:
    return AI4BharatTTSOptions.model_validate(
        {"stall_timeout_seconds": 30, "connect_timeout_seconds": 30, **given}
    )


def service(
    http: aiohttp.ClientSession,
    simulator: AI4BharatTTSSimulator,
    *,
    rate_hz: int = RATE_HZ,
    language: str = "hi",
    **given: object,
) -> AI4BharatTTSService:
    return build_tts(options(**given), context(http, simulator.base_url, language, rate_hz))


def sentence(text: str) -> AggregatedTextFrame:
    return AggregatedTextFrame(text, TextType.SENTENCE, raw_text=text)


async def answer(line: Line, *sentences: str) -> None:
    """What the model's side sends for one turn."""
    await line.send(LLMFullResponseStartFrame(), *[sentence(text) for text in sentences])
    await line.send(LLMFullResponseEndFrame())


def tones(pcm: bytes, rate_hz: int = RATE_HZ) -> list[int]:
    """The pitches heard one after the other, in windows of 100 ms, to the nearest 60 Hz."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
    size = rate_hz // 10
    heard: list[int] = []
    for start in range(0, len(samples) - size + 1, size):
        peak = np.argmax(np.abs(np.fft.rfft(samples[start : start + size]))) * 10
        nearest = round((peak - 300) / 60) * 60 + 300
        if not heard or heard[-1] != nearest:
            heard.append(int(nearest))
    return heard


def milliseconds(pcm: bytes, rate_hz: int = RATE_HZ) -> float:
    return len(pcm) / 2 / rate_hz * 1000


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_a_sentence_comes_out_at_the_rate_of_the_line(
    http: aiohttp.ClientSession, rate_hz: int
) -> None:
    async with AI4BharatTTSSimulator(speed=FAST) as simulator:
        async with on_the_line(service(http, simulator, rate_hz=rate_hz), rate_hz) as line:
            await line.send(TTSSpeakFrame("आपका स्वागत है"))
            await line.first(TTSStoppedFrame)
        spoken = simulator.spoken[0]
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        assert milliseconds(line.audio, rate_hz) == pytest.approx(spoken.duration_ms, abs=2)
        assert tones(line.audio, rate_hz)[0] == spoken.frequency_hz
        assert simulator.violations == []
        assert line.errors == []


async def test_the_request_says_who_speaks_and_how(http: aiohttp.ClientSession) -> None:
    async with AI4BharatTTSSimulator(speed=FAST) as simulator:
        tts = service(http, simulator, language="en-IN", voice="Mary", description="Fast.")
        async with on_the_line(tts) as line:
            await line.send(TTSSpeakFrame("Hello"))
            await line.first(TTSStoppedFrame)
        assert json.loads(simulator.connections[0].messages[0]) == {
            "prompt": "Hello",
            "description": "Mary. Fast.",
            "language": "en",
        }


async def test_voice_and_language_can_change_during_a_call(http: aiohttp.ClientSession) -> None:
    async with AI4BharatTTSSimulator(speed=FAST) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            delta = AI4BharatTTSSettings(voice="Jaya", language="ta-IN", description="Slow")
            await line.send(TTSUpdateSettingsFrame(delta=delta), TTSSpeakFrame("வணக்கம்"))
            await line.first(TTSStoppedFrame)
        spoken = simulator.spoken[0]
        assert (spoken.language, spoken.description) == ("ta", "Jaya. Slow")


@pytest.mark.parametrize(
    ("voice", "language", "speaker"),
    [
        (None, "hi", "Divya"),
        (None, "ta", "Jaya"),
        ("male", "kn", "Suresh"),
        ("Female", "te", "Lalitha"),
        (" ", "ur", "Divya"),
        ("Rani", "mr", "Rani"),
    ],
)
def test_who_speaks(voice: str | None, language: str, speaker: str) -> None:
    assert speaker_for(voice, language) == speaker


async def test_sentences_of_a_turn_come_in_order_in_one_utterance(
    http: aiohttp.ClientSession,
) -> None:
    async with AI4BharatTTSSimulator(speed=20) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await answer(line, "पहला वाक्य है।", "दूसरा वाक्य है।", "तीसरा वाक्य है।")
            await line.first(TTSStoppedFrame)
        assert [s.prompt for s in simulator.spoken] == [f.text for f in line.of(TTSTextFrame)]
        assert tones(line.audio) == [s.frequency_hz for s in simulator.spoken]
        assert len(line.of(TTSStartedFrame)) == len(line.of(TTSStoppedFrame)) == 1
        assert len(simulator.connections) == 3
        assert line.errors == []


async def test_the_next_sentence_is_begun_while_the_present_one_is_spoken(
    http: aiohttp.ClientSession,
) -> None:
    sentences = ("पहला वाक्य यह रहा।", "दूसरा।", "तीसरा।")
    async with AI4BharatTTSSimulator(speed=1) as simulator:
        async with on_the_line(service(http, simulator), cancel=True) as line:
            await answer(line, *sentences)
            await simulator.until(lambda: len(simulator.spoken) == 2)
            assert not simulator.connections[0].ended.is_set()
            await simulator.until(simulator.connections[0].ended.is_set)
            await simulator.until(lambda: len(simulator.spoken) == 3)
        assert tuple(spoken.prompt for spoken in simulator.spoken) == sentences


async def test_a_sentence_that_could_not_be_begun_early_is_begun_in_its_turn(
    http: aiohttp.ClientSession,
) -> None:
    busy = [Behaviour(), Behaviour(refuse_status=503)]
    async with AI4BharatTTSSimulator(speed=20, script=busy) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await answer(line, "पहला।", "दूसरा।")
            await line.first(TTSStoppedFrame)
        assert [s.prompt for s in simulator.spoken] == ["पहला।", "दूसरा।"]
        assert line.errors == []


async def test_barge_in_closes_every_socket_at_once(http: aiohttp.ClientSession) -> None:
    asyncio.get_running_loop().set_debug(True)  # aiohttp then warns of what is left to the GC
    async with AI4BharatTTSSimulator(speed=1) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await answer(line, LONG, LONG, "और एक और।")
            await simulator.until(lambda: len(simulator.spoken) == 2)
            await line.send(InterruptionFrame())
            await line.first(InterruptionFrame)
            await simulator.until(lambda: all(c.ended.is_set() for c in simulator.connections))
            first = simulator.spoken[0]
            assert first.sent_ms < first.duration_ms
            heard = len(line.audio)
            await line.send(TTSSpeakFrame("जी कहिए"))
            await line.first(TTSTextFrame)
        assert [s.prompt for s in simulator.spoken][2:] == ["जी कहिए"]
        assert milliseconds(line.audio[heard:]) == pytest.approx(
            simulator.spoken[2].duration_ms, abs=2
        )
        assert line.errors == []


async def test_barge_in_does_not_wait_for_a_server_that_says_no_goodbye(
    http: aiohttp.ClientSession,
) -> None:
    deaf = Behaviour(half_open_after_ms=50)
    async with AI4BharatTTSSimulator(speed=1, script=[Behaviour(), deaf]) as simulator:
        tts = service(http, simulator)
        async with on_the_line(tts) as line:
            await answer(line, LONG, LONG)
            await simulator.until(lambda: len(simulator.spoken) == 2)
            await simulator.until(lambda: simulator.connections[1].silent)
            await line.send(InterruptionFrame())
            async with asyncio.timeout(5):  # aiohttp would wait for 10 s
                await line.first(InterruptionFrame)


async def test_samples_may_be_cut_anywhere(http: aiohttp.ClientSession) -> None:
    async with AI4BharatTTSSimulator(speed=FAST, behaviour=Behaviour(odd_frames=True)) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await line.send(TTSSpeakFrame("आपका बहुत स्वागत है"))
            await line.first(TTSStoppedFrame)
        spoken = simulator.spoken[0]
        assert milliseconds(line.audio) == pytest.approx(spoken.duration_ms, abs=2)
        assert set(tones(line.audio)) == {spoken.frequency_hz}
        assert line.errors == []


async def test_garbage_before_the_audio_is_left_out(http: aiohttp.ClientSession) -> None:
    garbage = Behaviour(garbage_frames=12)
    async with AI4BharatTTSSimulator(speed=FAST, behaviour=garbage) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await line.send(TTSSpeakFrame("आपका स्वागत है"))
            await line.first(TTSStoppedFrame)
        assert milliseconds(line.audio) == pytest.approx(simulator.spoken[0].duration_ms, abs=2)
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "code", "sounds"),
    [
        (Behaviour(error_after_bytes=0), "tts_failed", False),
        (Behaviour(error_after_bytes=40_000), "tts_failed", True),
        (Behaviour(drop_after_bytes=40_000), "tts_dropped", True),
        (Behaviour(drop_after_bytes=40_000, drop_code=1011), "tts_dropped", True),
        (Behaviour(stall_after_bytes=40_000), "tts_timeout", True),
        (Behaviour(stall_after_ms=0), "tts_timeout", False),
        (Behaviour(empty=True), "tts_no_audio", False),
        (Behaviour(refuse_status=503), "tts_busy", False),
        (Behaviour(refuse_status=404), "tts_refused", False),
        (Behaviour(accept_delay_ms=60_000), "tts_timeout", False),
    ],
)
async def test_a_failure_is_reported_the_utterance_ends_and_the_next_is_spoken(
    http: aiohttp.ClientSession, behaviour: Behaviour, code: str, sounds: bool
) -> None:
    async with AI4BharatTTSSimulator(speed=FAST, script=[behaviour]) as simulator:
        tts = service(http, simulator, **(SHORT if code == "tts_timeout" else {}))
        async with on_the_line(tts) as line:
            await answer(line, "यह एक वाक्य है जो टूट जाता है।")
            await line.first(TTSStoppedFrame)
            assert bool(line.audio) == sounds
            await answer(line, "यह ठीक है।")
            await line.first(TTSStoppedFrame, 2)
        failed = line.of(ErrorFrame)[0].exception
        assert isinstance(failed, ProviderError)
        assert (failed.code, failed.stage, failed.provider) == (code, "tts", "ai4bharat")
        assert tones(line.audio)[-1] == simulator.spoken[-1].frequency_hz
        assert tts.is_usable


async def test_a_server_that_is_away_for_some_turns_is_not_written_off(
    http: aiohttp.ClientSession,
) -> None:
    """Pipecat gives a service no more work after three silent turns; a call would go mute."""
    async with AI4BharatTTSSimulator(speed=FAST, behaviour=Behaviour(empty=True)) as simulator:
        tts = service(http, simulator)
        async with on_the_line(tts) as line:
            for turn in range(1, 5):
                await answer(line, "नमस्ते।")
                await line.first(TTSStoppedFrame, turn)
            simulator.behave(Behaviour())
            await answer(line, "नमस्ते।")
            await line.first(TTSAudioRawFrame)


async def test_a_failed_utterance_ends_at_once_and_not_by_a_timeout(
    http: aiohttp.ClientSession,
) -> None:
    behaviour = Behaviour(error_after_bytes=0)
    async with AI4BharatTTSSimulator(behaviour=behaviour) as simulator:
        # Pipecat's own timeout is the sum of the service's two and one second: over a minute.
        tts = service(http, simulator)
        async with on_the_line(tts) as line:
            await answer(line, "नमस्ते।")
            await line.first(TTSStoppedFrame)
            await line.first(LLMFullResponseEndFrame)


async def test_one_sentence_that_fails_does_not_silence_the_others(
    http: aiohttp.ClientSession,
) -> None:
    script = [Behaviour(), Behaviour(error_after_bytes=0)]
    async with AI4BharatTTSSimulator(speed=20, script=script) as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await answer(line, "पहला वाक्य।", "दूसरा वाक्य।", "तीसरा वाक्य।")
            await line.first(TTSStoppedFrame)
        first, third = simulator.spoken[0], simulator.spoken[2]
        assert tones(line.audio) == [first.frequency_hz, third.frequency_hz]
        assert line.errors == ["tts_failed"]


async def test_text_without_words_is_not_sent_and_no_failure(http: aiohttp.ClientSession) -> None:
    async with AI4BharatTTSSimulator() as simulator:
        async with on_the_line(service(http, simulator)) as line:
            await answer(line, "… 🙂")
            await line.first(TTSStoppedFrame)
        assert simulator.connections == []
        assert set(line.audio) == {0}
        assert line.errors == []


async def test_a_phrase_outside_a_call(http: aiohttp.ClientSession) -> None:
    async with AI4BharatTTSSimulator(speed=FAST) as simulator:
        pcm = await render(options(), context(http, simulator.base_url), "आपका स्वागत है")
        assert milliseconds(pcm) == pytest.approx(simulator.spoken[0].duration_ms, abs=2)
        assert simulator.spoken[0].description.startswith("Divya. ")


async def test_a_phrase_that_fails_outside_a_call(http: aiohttp.ClientSession) -> None:
    async with AI4BharatTTSSimulator(behaviour=Behaviour(drop_after_bytes=40_000)) as simulator:
        with pytest.raises(ProviderError, match="before it was done") as failed:
            await render(options(), context(http, simulator.base_url), "आपका स्वागत है")
        assert failed.value.retryable


async def test_a_server_that_is_away(http: aiohttp.ClientSession, closed_port: int) -> None:
    address = AI4BharatTTSSimulator(port=closed_port).base_url
    with pytest.raises(ProviderError) as failed:
        await render(options(), context(http, address), "नमस्ते")
    assert failed.value.code == "tts_unreachable"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("http://h:1", "ws://h:1/"),
        ("https://h/indic/tts", "wss://h/indic/"),
        ("http://h:1/tts/stream/", "ws://h:1/"),
        ("ws://h:1/tts", "ws://h:1/"),
    ],
)
def test_addresses_as_people_write_them(written: str, address: str) -> None:
    assert websocket_address(written) == address


@pytest.mark.parametrize("written", ["", None, "localhost:8002", "ftp://h"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        websocket_address(written)
