"""Text-to-speech against the simulated pipeline, in a real one."""

import json

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
    TTSStoppedFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.utils.text.base_text_aggregator import TextType

from config.errors import ProviderError
from services.bhashini import TTS_LANGUAGES, BhashiniTTSOptions, tts_service_for
from services.bhashini.tts import BhashiniTTSService, BhashiniTTSSettings, build_tts, render
from simulators import tone
from simulators.behaviour import Behaviour
from simulators.bhashini import BhashiniSimulator
from simulators.bhashini.tasks import TTS_SERVICES
from tests.unit.services.calls import Line, context, on_the_line

RATE_HZ = 8_000


def service(
    http: aiohttp.ClientSession,
    base_url: str,
    *,
    rate_hz: int = RATE_HZ,
    language: str = "hi",
    key: str = "any",
    **given: object,
) -> BhashiniTTSService:
    options = BhashiniTTSOptions.model_validate({"timeout_seconds": 30, **given})
    return build_tts(options, context(http, base_url, language, rate_hz, key=key))


async def answer(line: Line, *sentences: str) -> None:
    """What the model's side sends for one turn."""
    frames = [AggregatedTextFrame(text, TextType.SENTENCE, raw_text=text) for text in sentences]
    await line.send(LLMFullResponseStartFrame(), *frames, LLMFullResponseEndFrame())


def milliseconds(pcm: bytes, rate_hz: int = RATE_HZ) -> float:
    return len(pcm) / 2 / rate_hz * 1000


def pitch(pcm: bytes, rate_hz: int = RATE_HZ) -> float:
    return tone.dominant_frequency(np.frombuffer(pcm, dtype="<i2"), rate_hz)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_a_sentence_comes_out_at_the_rate_of_the_line(
    http: aiohttp.ClientSession, key: str, rate_hz: int
) -> None:
    async with BhashiniSimulator(api_key=key) as simulator:
        tts = service(http, simulator.base_url, rate_hz=rate_hz, key=key)
        async with on_the_line(tts, rate_hz) as line:
            await line.send(TTSSpeakFrame("आपका स्वागत है"))
            await line.first(TTSStoppedFrame)
        spoken = simulator.spoken[0]
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        assert milliseconds(line.audio, rate_hz) == pytest.approx(spoken.duration_ms, abs=2)
        assert pitch(line.audio, rate_hz) == pytest.approx(spoken.frequency_hz, abs=5)
        assert simulator.violations == []
        assert line.errors == []


async def test_the_request_says_who_speaks_and_how(http: aiohttp.ClientSession, key: str) -> None:
    async with BhashiniSimulator(api_key=key) as simulator:
        tts = service(http, simulator.base_url, language="en-IN", key=key, voice="male", speed=1.5)
        async with on_the_line(tts) as line:
            await line.send(TTSSpeakFrame("Hello"))
            await line.first(TTSStoppedFrame)
        body = json.loads(simulator.requests[0].body)
        assert simulator.requests[0].headers["Authorization"] == key
        assert body == {
            "pipelineTasks": [
                {
                    "taskType": "tts",
                    "config": {
                        "serviceId": "ai4bharat/indic-tts-coqui-misc-gpu--t4",
                        "language": {"sourceLanguage": "en"},
                        "gender": "male",
                        "samplingRate": 8_000,
                        "speed": 1.5,
                    },
                }
            ],
            "inputData": {"input": [{"source": "Hello"}]},
            "controlConfig": {"dataTracking": False},
        }


async def test_voice_and_language_can_change_during_a_call(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator() as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            delta = BhashiniTTSSettings(voice="male", language="ta-IN")
            await line.send(TTSUpdateSettingsFrame(delta=delta), TTSSpeakFrame("வணக்கம்"))
            await line.first(TTSStoppedFrame)
        spoken = simulator.spoken[0]
        assert (spoken.language, spoken.gender) == ("ta", "male")
        assert "dravidian" in spoken.service_id


@pytest.mark.parametrize("language", TTS_LANGUAGES.values())
def test_every_language_has_a_service_that_speaks_it(language: str) -> None:
    assert language in TTS_SERVICES[tts_service_for(language)]


async def test_sentences_of_a_turn_come_in_order_in_one_utterance(
    http: aiohttp.ClientSession,
) -> None:
    async with BhashiniSimulator() as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await answer(line, "पहला वाक्य।", "दूसरा।", "तीसरा।")
            await line.first(TTSStoppedFrame)
        assert [spoken.text for spoken in simulator.spoken] == ["पहला वाक्य।", "दूसरा।", "तीसरा।"]
        total_ms = sum(spoken.duration_ms for spoken in simulator.spoken)
        assert milliseconds(line.audio) == pytest.approx(total_ms, abs=2)
        assert len(line.of(TTSStoppedFrame)) == 1


@pytest.mark.parametrize("from_hz", [8_000, 22_050, 44_100])
async def test_audio_of_another_rate_than_asked_for_is_resampled(
    http: aiohttp.ClientSession, from_hz: int
) -> None:
    async with BhashiniSimulator(behaviour=Behaviour(audio_rate_hz=from_hz)) as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await line.send(TTSSpeakFrame("आपका स्वागत है"))
            await line.first(TTSStoppedFrame)
        spoken = simulator.spoken[0]
        assert milliseconds(line.audio) == pytest.approx(spoken.duration_ms, abs=2)
        assert pitch(line.audio) == pytest.approx(spoken.frequency_hz, abs=5)


async def test_half_a_sample_too_few_is_no_failure(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator(behaviour=Behaviour(odd_frames=True)) as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await line.send(TTSSpeakFrame("आपका स्वागत है"))
            await line.first(TTSStoppedFrame)
        assert len(line.audio) % 2 == 0
        assert milliseconds(line.audio) == pytest.approx(simulator.spoken[0].duration_ms, abs=2)
        assert line.errors == []


async def test_an_interruption_ends_the_request(http: aiohttp.ClientSession) -> None:
    slow = Behaviour(first_result_delay_ms=60_000)
    async with BhashiniSimulator(script=[slow]) as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await answer(line, "पहला वाक्य।", "दूसरा।")
            await simulator.until(lambda: len(simulator.spoken) == 1)
            await line.send(InterruptionFrame())
            await simulator.until(simulator.connections[0].ended.is_set)
            assert simulator.connections[0].abandoned
            await line.send(TTSSpeakFrame("जी कहिए"))
            await line.first(TTSAudioRawFrame)
        assert [spoken.text for spoken in simulator.spoken] == ["पहला वाक्य।", "जी कहिए"]
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "code", "requests"),
    [
        (Behaviour(refuse_status=401), "tts_auth", 1),
        (Behaviour(refuse_status=404), "tts_refused", 1),
        (Behaviour(refuse_status=429), "tts_busy", 1),
        (Behaviour(refuse_status=500), "tts_failed", 1),
        (Behaviour(drop_after_ms=0), "tts_unreachable", 1),
        (Behaviour(garbage_frames=1), "tts_garbage", 1),
        (Behaviour(empty=True), "tts_no_audio", 1),
        (Behaviour(stall_after_ms=0), "tts_timeout", 1),
    ],
)
async def test_a_failure_is_reported_the_utterance_ends_and_the_next_is_spoken(
    http: aiohttp.ClientSession, behaviour: Behaviour, code: str, requests: int
) -> None:
    async with BhashiniSimulator(behaviour=behaviour) as simulator:
        limit_seconds = 2 if code == "tts_timeout" else 30
        tts = service(http, simulator.base_url, timeout_seconds=limit_seconds)
        async with on_the_line(tts) as line:
            await answer(line, "यह वाक्य टूट जाता है।")
            await line.first(TTSStoppedFrame)
            assert len(simulator.connections) == requests
            simulator.behave(Behaviour())
            await answer(line, "यह ठीक है।")
            await line.first(TTSStoppedFrame, 2)
        failed = line.of(ErrorFrame)[0].exception
        assert isinstance(failed, ProviderError)
        assert (failed.code, failed.stage, failed.provider) == (code, "tts", "bhashini")
        assert milliseconds(line.audio) == pytest.approx(simulator.spoken[-1].duration_ms, abs=2)
        assert tts.is_usable


async def test_text_without_words_is_not_sent_and_no_failure(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator() as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await answer(line, "… 🙂")
            await line.first(TTSStoppedFrame)
        assert simulator.connections == []
        assert set(line.audio) == {0}


async def test_a_phrase_outside_a_call(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator() as simulator:
        ready = context(http, simulator.base_url, key="any")
        pcm = await render(BhashiniTTSOptions(), ready, "आपका स्वागत है")
        assert milliseconds(pcm) == pytest.approx(simulator.spoken[0].duration_ms, abs=2)
        simulator.behave(Behaviour(refuse_status=401))
        with pytest.raises(ProviderError) as failed:
            await render(BhashiniTTSOptions(), ready, "नमस्ते")
        assert (failed.value.code, failed.value.retryable) == ("tts_auth", False)
