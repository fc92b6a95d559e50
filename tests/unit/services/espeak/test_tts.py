"""Frames in, frames out, through a real Pipecat pipeline."""

from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData, TTSUsageMetricsData
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import run_test

from config.agent import AgentConfig
from config.errors import ProviderError
from services.context import ServiceContext
from services.espeak import VOICES, EspeakTTSOptions
from services.espeak.tts import EspeakTTSService, EspeakTTSSettings, build_tts, render
from tests.unit.services.espeak.speech import SENTENCES

AGENT = AgentConfig.model_validate(
    {
        "agent_id": "tester",
        "language": "hi",
        "stt": {"provider": "offline"},
        "llm": {"provider": "script"},
        "tts": {"provider": "espeak"},
    }
)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def context(
    http: aiohttp.ClientSession, language: str = "hi", rate_hz: int = 8_000
) -> ServiceContext:
    return ServiceContext(
        agent=AGENT,
        language=language,
        vendor_language=VOICES[language],
        rate_hz=rate_hz,
        base_url=None,
        api_key=None,
        http=http,
    )


async def through(
    tts: EspeakTTSService, frames: Sequence[Frame], *, metrics: bool = False
) -> tuple[Sequence[Frame], Sequence[Frame]]:
    return await run_test(
        tts,
        frames_to_send=frames,
        pipeline_params=PipelineParams(enable_metrics=metrics, enable_usage_metrics=metrics),
        start_timeout=30,
    )


def audio_of(frames: Sequence[Frame]) -> list[TTSAudioRawFrame]:
    return [frame for frame in frames if isinstance(frame, TTSAudioRawFrame)]


def kinds(frames: Sequence[Frame]) -> list[type[Frame]]:
    """Frame types in order, runs of audio as one."""
    found: list[type[Frame]] = []
    for frame in frames:
        if not (found and found[-1] is type(frame) is TTSAudioRawFrame):
            found.append(type(frame))
    return found


def kinds_at(frames: Sequence[Frame], kind: type[Frame]) -> list[int]:
    """Where the frames of that type are."""
    return [at for at, frame in enumerate(frames) if isinstance(frame, kind)]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_a_spoken_phrase_is_one_context_of_audio(
    http: aiohttp.ClientSession, rate_hz: int
) -> None:
    tts = build_tts(EspeakTTSOptions(), context(http, rate_hz=rate_hz))
    down, up = await through(tts, [TTSSpeakFrame(SENTENCES["hi"], append_to_context=False)])
    assert kinds(down) == [
        AggregatedTextFrame,
        TTSStartedFrame,
        TTSAudioRawFrame,
        TTSTextFrame,
        TTSStoppedFrame,
    ]
    assert not any(isinstance(frame, ErrorFrame) for frame in up)
    audio = audio_of(down)
    assert {(frame.sample_rate, frame.num_channels) for frame in audio} == {(rate_hz, 1)}
    assert len({frame.context_id for frame in audio}) == 1
    frame_bytes = rate_hz // 50 * 2
    assert all(len(frame.audio) % frame_bytes == 0 for frame in audio[:-1])
    assert 1.5 < sum(len(frame.audio) for frame in audio) / 2 / rate_hz < 6


async def test_an_answer_is_spoken_sentence_by_sentence_in_order(
    http: aiohttp.ClientSession,
) -> None:
    tts = build_tts(EspeakTTSOptions(), context(http))
    down, _ = await through(
        tts,
        [
            LLMFullResponseStartFrame(),
            LLMTextFrame("नमस्ते, आप कैसे हैं? "),
            LLMTextFrame("मैं ठीक हूँ।"),
            LLMFullResponseEndFrame(),
        ],
    )
    spoken = [frame.text for frame in down if isinstance(frame, TTSTextFrame)]
    assert [text.strip() for text in spoken] == ["नमस्ते, आप कैसे हैं?", "मैं ठीक हूँ।"]
    assert kinds(down)[-2:] == [TTSStoppedFrame, LLMFullResponseEndFrame]


async def test_sentences_of_one_answer_are_parted_by_a_pause(http: aiohttp.ClientSession) -> None:
    def answer(*sentences: str) -> list[Frame]:
        texts = [AggregatedTextFrame(sentence, "sentence") for sentence in sentences]
        return [LLMFullResponseStartFrame(), *texts, LLMFullResponseEndFrame()]

    tts = build_tts(EspeakTTSOptions(), context(http))
    down, _ = await through(tts, answer("नमस्ते।", "धन्यवाद।"))
    second = audio_of(down[kinds_at(down, TTSTextFrame)[0] :])[0]
    assert not any(second.audio[: 8 * 2 * 200])
    assert any(second.audio)
    first = audio_of(down)[0]
    assert any(first.audio[: 8 * 2 * 20])


@pytest.mark.parametrize("text", ["🙂", "...", "<break/>"])
async def test_a_text_with_nothing_to_say_is_no_failure(
    http: aiohttp.ClientSession, text: str
) -> None:
    tts = build_tts(EspeakTTSOptions(), context(http))
    down, up = await through(tts, [TTSSpeakFrame(text) for _ in range(4)] + [TTSSpeakFrame("नमस्ते")])
    assert not any(isinstance(frame, ErrorFrame) for frame in up)
    silent = audio_of(down)[:4]
    assert [len(frame.audio) for frame in silent] == [320] * 4
    assert tts.is_usable


async def test_time_to_first_audio_and_usage_are_reported(http: aiohttp.ClientSession) -> None:
    tts = build_tts(EspeakTTSOptions(), context(http))
    down, _ = await through(tts, [TTSSpeakFrame("नमस्ते")], metrics=True)
    data = [item for frame in down if isinstance(frame, MetricsFrame) for item in frame.data]
    spoken = [item for item in data if isinstance(item, TTFBMetricsData) and item.value > 0]
    assert len(spoken) == 1
    assert [item.value for item in data if isinstance(item, TTSUsageMetricsData)] == [6]


async def test_settings_change_during_a_call(http: aiohttp.ClientSession) -> None:
    tts = build_tts(EspeakTTSOptions(rate_wpm=80), context(http))
    slow, _ = await through(tts, [TTSSpeakFrame(SENTENCES["hi"])])
    tts = build_tts(EspeakTTSOptions(rate_wpm=80), context(http))
    fast, _ = await through(
        tts,
        [
            TTSUpdateSettingsFrame(delta=EspeakTTSSettings(rate_wpm=300)),
            TTSSpeakFrame(SENTENCES["hi"]),
        ],
    )
    lengths = [sum(len(frame.audio) for frame in audio_of(down)) for down in (slow, fast)]
    assert lengths[0] > 2 * lengths[1]


async def test_a_change_of_language_changes_the_voice(http: aiohttp.ClientSession) -> None:
    tts = build_tts(EspeakTTSOptions(), context(http, "en-IN"))
    await through(tts, [TTSUpdateSettingsFrame(delta=EspeakTTSSettings(language="ta-IN"))])
    assert tts._settings.language == "ta"


async def test_a_missing_voice_is_an_error_that_rules_the_service_out(
    http: aiohttp.ClientSession,
) -> None:
    tts = build_tts(EspeakTTSOptions.model_construct(voice="nowhere"), context(http))
    tts._stop_frame_timeout_s = 3600  # the turn must end by itself, not by this
    down, up = await through(tts, [TTSSpeakFrame("नमस्ते")])
    assert audio_of(down) == []
    assert kinds(down)[-1] is TTSStoppedFrame
    errors = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert isinstance(errors[0].exception, ProviderError)
    assert errors[0].exception.code == "voice_unknown"
    assert not tts.is_usable


async def test_an_interruption_drops_what_was_to_be_said_and_speech_goes_on_after(
    http: aiohttp.ClientSession,
) -> None:
    tts = build_tts(EspeakTTSOptions(), context(http))
    down, up = await through(
        tts,
        [
            LLMFullResponseStartFrame(),
            LLMTextFrame("यह पहला वाक्य है। "),
            InterruptionFrame(),
            TTSSpeakFrame("धन्यवाद"),
        ],
    )
    after = down[kinds_at(down, TTSStartedFrame)[-1] :]
    assert [frame.text for frame in after if isinstance(frame, TTSTextFrame)] == ["धन्यवाद"]
    assert audio_of(after)
    assert not any(isinstance(frame, ErrorFrame) for frame in up)


async def test_render_gives_the_phrase_as_pcm(http: aiohttp.ClientSession) -> None:
    pcm = await render(EspeakTTSOptions(), context(http), SENTENCES["hi"])
    assert 1.5 < len(pcm) / 2 / 8_000 < 6
    faster = await render(EspeakTTSOptions(rate_wpm=250), context(http), SENTENCES["hi"])
    assert len(faster) < 0.8 * len(pcm)


async def test_render_reports_a_missing_voice(http: aiohttp.ClientSession) -> None:
    with pytest.raises(ProviderError):
        await render(EspeakTTSOptions.model_construct(voice="nowhere"), context(http), "नमस्ते")
