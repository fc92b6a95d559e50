"""ElevenLabs' ears through Pipecat's service, against the simulator, in a real pipeline."""

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from services.elevenlabs import ElevenLabsSTTOptions
from services.elevenlabs.stt import build_stt
from services.hearing import unheard
from services.offline.frames import UnrecognizedSpeechFrame
from simulators.behaviour import Behaviour
from simulators.elevenlabs import ElevenLabsSimulator
from tests.unit.services.calls import Line, context, on_the_line

RATE_HZ = 8_000


def sound(duration_ms: int, level: int = 8_000, rate_hz: int = RATE_HZ) -> bytes:
    times = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    return (np.sin(2 * np.pi * 440 * times) * level).astype("<i2").tobytes()


def pieces(pcm: bytes, rate_hz: int = RATE_HZ) -> list[Frame]:
    size = rate_hz // 25 * 2
    return [
        InputAudioRawFrame(pcm[start : start + size], rate_hz, 1)
        for start in range(0, len(pcm), size)
    ]


async def say(line: Line, pcm: bytes, rate_hz: int = RATE_HZ) -> None:
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2), *pieces(pcm, rate_hz))
    await line.send(*pieces(sound(200, 0, rate_hz), rate_hz))
    await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_pause_commits_what_was_said(
    http: aiohttp.ClientSession, key: str, rate_hz: int
) -> None:
    options = ElevenLabsSTTOptions(keyterms=("Taaza Mart",), filter_background_audio=True)
    async with ElevenLabsSimulator(utterances=["मुझे मदद चाहिए", "हाँ"], api_key=key) as simulator:
        here = context(http, simulator.base_url, rate_hz=rate_hz, vendor_language="hin", key=key)
        stt = build_stt(options, here)
        async with on_the_line(stt, rate_hz) as line:
            await stt.connected()
            await say(line, sound(900, rate_hz=rate_hz), rate_hz)
            frame = await line.first(TranscriptionFrame)
            await say(line, sound(400, rate_hz=rate_hz), rate_hz)
            await line.first(TranscriptionFrame, 2)
        assert (frame.text, frame.finalized) == ("मुझे मदद चाहिए", True)
        assert [f.text for f in line.of(TranscriptionFrame)] == ["मुझे मदद चाहिए", "हाँ"]
        assert line.of(InterimTranscriptionFrame) != []
        assert line.of(InputAudioRawFrame) == []
        assert line.of(UnrecognizedSpeechFrame) == []
        assert sorted(simulator.connections[0].received.query) == [
            ("audio_format", f"pcm_{rate_hz}"),
            ("commit_strategy", "manual"),
            ("filter_background_audio", "true"),
            ("keyterms", "Taaza Mart"),
            ("language_code", "hin"),
            ("model_id", "scribe_v2_realtime"),
        ]
        assert simulator.violations == []
        assert line.errors == []


async def test_times_of_words(http: aiohttp.ClientSession, key: str) -> None:
    """The text comes once, although ElevenLabs sends it twice."""
    options = ElevenLabsSTTOptions(word_timestamps=True)
    async with ElevenLabsSimulator(utterances=["दो रोटी"]) as simulator:
        here = context(http, simulator.base_url, vendor_language="hin", key=key)
        async with on_the_line(build_stt(options, here)) as line:
            await say(line, sound(600))
            frame = await line.first(TranscriptionFrame)
            await say(line, sound(600))
            await line.first(TranscriptionFrame, 2)
        assert len(line.of(TranscriptionFrame)) == 2
    assert frame.language == "hin"
    assert isinstance(frame.result, dict)
    assert [word["text"] for word in frame.result["words"]] == ["दो", "रोटी"]


async def test_speech_without_words_is_told(http: aiohttp.ClientSession, key: str) -> None:
    async with ElevenLabsSimulator(utterances=["", "हाँ"]) as simulator:
        here = context(http, simulator.base_url, vendor_language="hin", key=key)
        async with on_the_line(build_stt(ElevenLabsSTTOptions(), here)) as line:
            await say(line, sound(600))
            await line.first(UnrecognizedSpeechFrame)
            await say(line, sound(600))
            assert (await line.first(TranscriptionFrame)).text == "हाँ"
        assert len(line.of(UnrecognizedSpeechFrame)) == 1
        assert line.errors == []


async def test_a_noise_too_short_to_be_committed(http: aiohttp.ClientSession, key: str) -> None:
    async with ElevenLabsSimulator() as simulator:
        here = context(http, simulator.base_url, vendor_language="hin", key=key)
        async with on_the_line(build_stt(ElevenLabsSTTOptions(), here)) as line:
            await line.send(VADUserStartedSpeakingFrame(start_secs=0.2), *pieces(sound(80)))
            await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))
            await line.first(UnrecognizedSpeechFrame)
        assert line.errors == []


async def test_a_commit_that_is_not_answered(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unheard, "ANSWER_SECONDS", 0.05)
    async with ElevenLabsSimulator(behaviour=Behaviour(stall_after_bytes=1_000)) as simulator:
        here = context(http, simulator.base_url, vendor_language="hin", key=key)
        stt = build_stt(ElevenLabsSTTOptions(), here)
        async with on_the_line(stt, cancel=True) as line:
            await say(line, sound(600))
            await line.first(UnrecognizedSpeechFrame)


def test_the_model_of_a_voicera_file() -> None:
    options = ElevenLabsSTTOptions.model_validate({"model": "scribe_v2"})
    assert options.model == "scribe_v2_realtime"
