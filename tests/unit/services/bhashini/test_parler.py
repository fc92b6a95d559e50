"""Parler speech against the simulated function, in a real pipeline."""

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
)
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.text.base_text_aggregator import TextType

from config.errors import ProviderError
from services.bhashini import BhashiniParlerTTSOptions
from services.bhashini.parler import BhashiniParlerTTSService, build_tts, render
from services.connections.clients import close_shared_clients
from simulators import tone
from simulators.behaviour import Behaviour
from simulators.bhashini.nvcf import NvcfSimulator
from tests.unit.services.calls import context, on_the_line


def options(**given: object) -> BhashiniParlerTTSOptions:
    return BhashiniParlerTTSOptions.model_validate({"function_id": "f-1", **given})


def service(
    http: aiohttp.ClientSession,
    base_url: str,
    *,
    rate_hz: int = 8_000,
    language: str = "hi",
    key: str = "any",
    **given: object,
) -> BhashiniParlerTTSService:
    return build_tts(options(**given), context(http, base_url, language, rate_hz, key=key))


@pytest.fixture(autouse=True)
async def _channels_are_closed() -> object:
    yield
    await close_shared_clients()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_a_sentence_comes_out_at_the_rate_of_the_line(
    http: aiohttp.ClientSession, key: str, rate_hz: int
) -> None:
    async with NvcfSimulator(api_key=key) as simulator:
        tts = service(http, simulator.base_url, rate_hz=rate_hz, key=key)
        async with on_the_line(tts, rate_hz) as line:
            await line.send(TTSSpeakFrame("आपका स्वागत है"))
            await line.first(TTSStoppedFrame)
        spoken = simulator.spoken[0]
        samples = np.frombuffer(line.audio, dtype="<i2")
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        assert len(samples) / rate_hz * 1000 == pytest.approx(spoken.duration_ms, abs=2)
        heard_hz = tone.dominant_frequency(samples, rate_hz)
        assert heard_hz == pytest.approx(spoken.frequency_hz, abs=5)
        assert (spoken.language, spoken.description.split()[0]) == ("hi", "Divya")
        assert simulator.violations == []
        assert line.errors == []


@pytest.mark.parametrize("code", ["bhb", "bhli"])
async def test_bhili_goes_by_the_name_that_the_deployment_has_for_it(
    http: aiohttp.ClientSession, code: str
) -> None:
    async with NvcfSimulator() as simulator:
        tts = service(http, simulator.base_url, language="bhb", bhili_code=code)
        async with on_the_line(tts) as line:
            await line.send(TTSSpeakFrame("राम राम"))
            await line.first(TTSStoppedFrame)
        assert simulator.spoken[0].language == code
        assert simulator.violations == []


async def test_sentences_come_in_order_and_the_next_one_begins_early(
    http: aiohttp.ClientSession,
) -> None:
    async with NvcfSimulator() as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            texts = ["पहला वाक्य।", "दूसरा।", "तीसरा।"]
            frames = [AggregatedTextFrame(t, TextType.SENTENCE, raw_text=t) for t in texts]
            await line.send(LLMFullResponseStartFrame(), *frames, LLMFullResponseEndFrame())
            await line.first(TTSStoppedFrame)
        assert [spoken.text for spoken in simulator.spoken] == texts
        total_ms = sum(spoken.duration_ms for spoken in simulator.spoken)
        assert len(line.audio) / 16 == pytest.approx(total_ms, abs=10)


async def test_an_interruption_cancels_the_request(http: aiohttp.ClientSession) -> None:
    async with NvcfSimulator(speed=1.0) as simulator:
        async with on_the_line(service(http, simulator.base_url)) as line:
            await line.send(TTSSpeakFrame("एक बहुत लंबा वाक्य " * 20))
            await line.first(TTSAudioRawFrame)
            await line.send(InterruptionFrame())
            await simulator.until(lambda: simulator.connections[0].abandoned)
        assert simulator.spoken[0].sent_ms < simulator.spoken[0].duration_ms
        assert line.errors == []


@pytest.mark.parametrize(
    ("fault", "code", "category"),
    [
        (Behaviour(refuse_status=401), "tts_auth", ErrorCategory.SERVER),
        (Behaviour(refuse_status=429), "tts_busy", ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=503), "tts_unreachable", ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=40_000), "tts_dropped", ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=40_000), "tts_failed", ErrorCategory.SERVER),
        (Behaviour(first_result_delay_ms=60_000), "tts_timeout", ErrorCategory.CONNECTIVITY),
        (Behaviour(stall_after_bytes=40_000), "tts_timeout", ErrorCategory.CONNECTIVITY),
        (Behaviour(empty=True), "tts_no_audio", ErrorCategory.SERVER),
        (Behaviour(audio_rate_hz=4_000), "tts_format", ErrorCategory.SERVER),
    ],
)
async def test_what_goes_wrong_is_told(
    http: aiohttp.ClientSession, fault: Behaviour, code: str, category: ErrorCategory
) -> None:
    async with NvcfSimulator(behaviour=fault) as simulator:
        # Short where it is waited for; elsewhere a machine that stands still must not end it.
        limit_seconds = 1.0 if code == "tts_timeout" else 30.0
        tts = service(http, simulator.base_url, stall_timeout_seconds=limit_seconds)
        async with on_the_line(tts) as line:
            await line.send(TTSSpeakFrame("आपका स्वागत है, बताइए"))
            error = await line.first(ErrorFrame)
        assert line.errors[0] == code
        assert error.category is category
        assert isinstance(error.exception, ProviderError)


@pytest.mark.parametrize(
    "fault", [Behaviour(garbage_frames=2), Behaviour(odd_frames=True)], ids=["garbage", "odd"]
)
async def test_garbage_and_cut_samples_do_no_harm(
    http: aiohttp.ClientSession, fault: Behaviour
) -> None:
    async with NvcfSimulator(behaviour=fault) as simulator:
        pcm = await render(options(), context(http, simulator.base_url, "mr", key="k"), "नमस्कार")
        spoken = simulator.spoken[0]
        assert len(pcm) / 16 == pytest.approx(spoken.duration_ms, abs=2)
        heard_hz = tone.dominant_frequency(np.frombuffer(pcm, dtype="<i2"), 8_000)
        assert heard_hz == pytest.approx(spoken.frequency_hz, abs=5)


async def test_a_server_that_is_away(http: aiohttp.ClientSession, closed_port: int) -> None:
    address = NvcfSimulator(port=closed_port).base_url
    with pytest.raises(ProviderError) as failed:
        await render(options(), context(http, address, key="k"), "नमस्ते")
    assert (failed.value.code, failed.value.retryable) == ("tts_unreachable", True)
