"""ElevenLabs' voices through Pipecat's service, against the simulator, in a real pipeline."""

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from config.errors import ConfigError, ProviderError
from services.elevenlabs import SPECS, ElevenLabsTTSOptions
from services.elevenlabs.tts import build_tts, model_for, render
from simulators import tone
from simulators.behaviour import Behaviour
from simulators.elevenlabs import ElevenLabsSimulator
from tests.unit.services.calls import Line, context, on_the_line

TEXT = "नमस्ते, आपका स्वागत है।"


async def speak(line: Line, text: str) -> None:
    await line.send(TTSSpeakFrame(text))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_sentence_is_spoken_at_the_lines_rate_with_the_times_of_its_words(
    http: aiohttp.ClientSession, key: str, rate_hz: int
) -> None:
    options = ElevenLabsTTSOptions(stability=0.4, speed=1.1)
    async with ElevenLabsSimulator(api_key=key, speed=50) as simulator:
        here = context(http, simulator.base_url, rate_hz=rate_hz, key=key)
        async with on_the_line(build_tts(options, here), rate_hz) as line:
            await speak(line, TEXT)
            await line.first(TTSStoppedFrame)
        (spoken,) = simulator.spoken
        assert spoken.text.strip() == TEXT
        assert (spoken.model, spoken.language) == ("eleven_flash_v2_5", "hi")
        assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
        assert len(line.audio) / 2 / rate_hz == pytest.approx(spoken.duration_ms / 1000, abs=0.1)
        assert " ".join(frame.text for frame in line.of(TTSTextFrame)).split() == TEXT.split()
        opening = simulator.connections[0].messages[0]
        assert '"voice_settings": {"stability": 0.4, "speed": 1.1}' in opening
        assert simulator.violations == []
        assert line.errors == []


async def test_sentences_follow_each_other(http: aiohttp.ClientSession, key: str) -> None:
    """Cut by somebody else, and none is held back for the next."""
    async with ElevenLabsSimulator(speed=50) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_tts(ElevenLabsTTSOptions(), here)) as line:
            await line.send(TTSSpeakFrame("One."), TTSSpeakFrame("Two and three."))
            await line.first(TTSStoppedFrame, 2)
        kinds = [type(f) for f in line.frames if isinstance(f, TTSStartedFrame | TTSStoppedFrame)]
        assert kinds == [TTSStartedFrame, TTSStoppedFrame] * 2
        assert [spoken.text.strip() for spoken in simulator.spoken] == ["One.", "Two and three."]
        expected_ms = sum(spoken.duration_ms for spoken in simulator.spoken)
        assert len(line.audio) / 16 == pytest.approx(expected_ms, abs=20)
        assert simulator.violations == []
        assert line.errors == []


async def test_what_was_interrupted_is_not_heard_in_the_next_sentence(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with ElevenLabsSimulator(speed=3) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_tts(ElevenLabsTTSOptions(), here)) as line:
            await speak(line, TEXT * 3)
            await line.first(TTSAudioRawFrame, 2)
            await line.send(InterruptionFrame())
            await line.first(InterruptionFrame)
            await speak(line, "जी हाँ।")
            await line.first(TTSStartedFrame, 2)
            begun = line.frames.index(line.of(TTSStartedFrame)[1])
            await line.until(
                lambda: any(isinstance(f, TTSStoppedFrame) for f in line.frames[begun:])
            )
        heard = [f.audio for f in line.frames[begun:] if isinstance(f, TTSAudioRawFrame)]
        samples = np.frombuffer(b"".join(heard), dtype="<i2")
        second = simulator.spoken[1]
        assert tone.dominant_frequency(samples, 8_000) == pytest.approx(second.frequency_hz, abs=5)
        assert len(samples) / 8 == pytest.approx(second.duration_ms, abs=20)
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("language", "model"),
    [
        ("hi", "eleven_flash_v2_5"),
        ("ta", "eleven_flash_v2_5"),
        ("en-IN", "eleven_flash_v2_5"),
        ("mr", "eleven_v3_conversational"),
        ("or", "eleven_v4_turbo"),
    ],
)
async def test_each_language_has_its_model(
    http: aiohttp.ClientSession, language: str, model: str
) -> None:
    here = context(http, "https://h", language)
    assert model_for(ElevenLabsTTSOptions(), here) == model


async def test_every_language_that_is_registered_has_a_model(http: aiohttp.ClientSession) -> None:
    (languages,) = [spec.languages for spec in SPECS if spec.kind == "tts"]
    for language, vendor_language in (languages or {}).items():
        here = context(http, "https://h", language, vendor_language=vendor_language)
        assert model_for(ElevenLabsTTSOptions(), here)


async def test_a_model_that_lacks_the_language(http: aiohttp.ClientSession, key: str) -> None:
    options = ElevenLabsTTSOptions(model="eleven_turbo_v2_5")
    with pytest.raises(ConfigError, match="does not speak mr"):
        build_tts(options, context(http, "http://127.0.0.1:9", "mr", key=key))


async def test_a_phrase_outside_a_call(http: aiohttp.ClientSession, key: str) -> None:
    async with ElevenLabsSimulator(api_key=key) as simulator:
        here = context(http, simulator.base_url, key=key)
        pcm = await render(ElevenLabsTTSOptions(stability=0.5), here, TEXT)
        assert len(pcm) / 16 == pytest.approx(simulator.spoken[0].duration_ms, abs=1)
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("behaviour", "code", "retryable"),
    [
        (Behaviour(refuse_status=401), "tts_auth", False),
        (Behaviour(refuse_status=429), "tts_busy", True),
        (Behaviour(refuse_status=500), "tts_failed", True),
        (Behaviour(drop_after_bytes=3_000), "tts_unreachable", True),
        (Behaviour(empty=True), "tts_empty", True),
    ],
    ids=["401", "429", "500", "torn", "empty"],
)
async def test_a_phrase_that_fails(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, code: str, retryable: bool
) -> None:
    async with ElevenLabsSimulator(behaviour=behaviour) as simulator:
        here = context(http, simulator.base_url, key=key)
        with pytest.raises(ProviderError) as caught:
            await render(ElevenLabsTTSOptions(), here, TEXT)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert key not in caught.value.message
