"""Piper with a voice that hums, in a real pipeline."""

import threading
from pathlib import Path

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
from pipecat.utils.text.base_text_aggregator import TextType
from piper import PiperVoice

from config.agent_file import read_agent
from config.errors import ConfigError
from config.settings import load_settings
from services.piper import VOICES, PiperTTSOptions, voices
from services.piper.tts import PiperTTSService, build_tts, prepare, render
from services.registry import catalog
from services.workers import Workers
from simulators import tone
from tests.unit.services.calls import context, on_the_line
from tests.unit.services.piper.voice import FREQUENCY_HZ, write_voice

EXAMPLE = Path(__file__).parents[4] / "docs/examples/piper_agent.json"
TEXT = "नमस्ते, आपका स्वागत है।"


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return write_voice(tmp_path)


def service(
    http: aiohttp.ClientSession, voice: Path, rate_hz: int = 8_000, **given: object
) -> PiperTTSService:
    options = PiperTTSOptions.model_validate({"voice": str(voice), "timeout_seconds": 30, **given})
    return build_tts(options, context(http, None, "hi", rate_hz))


def pitch(pcm: bytes, rate_hz: int) -> float:
    return tone.dominant_frequency(np.frombuffer(pcm, dtype="<i2"), rate_hz)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050])
async def test_a_sentence_comes_out_at_the_rate_of_the_line(
    http: aiohttp.ClientSession, voice: Path, rate_hz: int
) -> None:
    async with on_the_line(service(http, voice, rate_hz), rate_hz) as line:
        await line.send(TTSSpeakFrame(TEXT))
        await line.first(TTSStoppedFrame)
    assert {frame.sample_rate for frame in line.of(TTSAudioRawFrame)} == {rate_hz}
    assert pitch(line.audio, rate_hz) == pytest.approx(FREQUENCY_HZ, abs=5)
    assert 0.5 < len(line.audio) / 2 / rate_hz < 10
    assert line.errors == []


async def test_every_sentence_of_a_turn_is_spoken_in_one_utterance(
    http: aiohttp.ClientSession, voice: Path
) -> None:
    alone = []
    for text in ("पहला वाक्य।", "दूसरा।"):
        options = PiperTTSOptions(voice=str(voice))
        alone.append(len(await render(options, context(http, None), text)))
    async with on_the_line(service(http, voice)) as line:
        frames = [
            AggregatedTextFrame(text, TextType.SENTENCE, raw_text=text)
            for text in ("पहला वाक्य।", "दूसरा।")
        ]
        await line.send(LLMFullResponseStartFrame(), *frames, LLMFullResponseEndFrame())
        await line.first(TTSStoppedFrame)
    assert len(line.audio) == pytest.approx(sum(alone), abs=4)
    assert len(line.of(TTSStoppedFrame)) == 1


async def test_a_voice_is_read_once_for_all_calls_and_never_on_the_loop(
    http: aiohttp.ClientSession, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[str] = []
    real = voices._read

    def read(file: Path) -> PiperVoice:
        readers.append(threading.current_thread().name)
        return real(file)

    monkeypatch.setattr(voices, "_read", read)
    options = PiperTTSOptions(voice=str(voice))
    await prepare(options, context(http, None))
    for _ in range(2):
        await render(options, context(http, None), TEXT)
    assert len(readers) == 1
    assert readers != [threading.main_thread().name]


async def test_a_voice_that_is_not_there_is_refused_at_load_with_the_way_to_get_it(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    options = PiperTTSOptions(voices_folder=str(tmp_path))
    place = context(http, None, vendor_language=VOICES["hi"])
    with pytest.raises(ConfigError, match="download_voices hi_IN-pratham-medium") as refused:
        await prepare(options, place)
    assert refused.value.code == "voice_missing"


@pytest.fixture
def no_voice(voice: Path) -> Path:
    voice.write_bytes(b"not a model")
    return voice


async def test_a_file_that_is_no_voice_is_refused(
    http: aiohttp.ClientSession, no_voice: Path
) -> None:
    with pytest.raises(ConfigError, match="cannot use"):
        await prepare(PiperTTSOptions(voice=str(no_voice)), context(http, None))


async def test_a_voice_that_is_gone_in_mid_call_is_told(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with on_the_line(service(http, tmp_path / "gone.onnx")) as line:
        await line.send(TTSSpeakFrame(TEXT))
        await line.first(ErrorFrame)
    assert line.errors[0] == "voice_missing"


class _Held:
    """A voice that waits to be let go."""

    def __init__(self, real: PiperVoice, error: Exception | None = None) -> None:
        self.config = real.config
        self.let_go = threading.Event()
        self.error = error

    def synthesize(self, text: str, syn_config: object = None) -> object:
        self.let_go.wait(30)
        if self.error is not None:
            raise self.error
        yield from ()


@pytest.mark.parametrize(
    ("error", "code"), [(None, "tts_timeout"), (RuntimeError("broken"), "tts_failed")]
)
async def test_what_goes_wrong_is_told(
    http: aiohttp.ClientSession,
    voice: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    code: str,
) -> None:
    held = _Held(await voices.loaded(voice), error)
    if error is not None:
        held.let_go.set()
    monkeypatch.setitem(voices._voices, voice, held)
    async with on_the_line(service(http, voice, timeout_seconds=30 if error else 0.5)) as line:
        await line.send(TTSSpeakFrame(TEXT))
        await line.first(ErrorFrame)
        held.let_go.set()
    assert line.errors[0] == code


async def test_too_many_at_once_are_refused(
    http: aiohttp.ClientSession, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "_workers", Workers("none", count=1, most=0))
    async with on_the_line(service(http, voice)) as line:
        await line.send(TTSSpeakFrame(TEXT))
        await line.first(ErrorFrame)
    assert line.errors[0] == "tts_busy"


async def test_an_interruption_leaves_the_next_sentence_whole(
    http: aiohttp.ClientSession, voice: Path
) -> None:
    async with on_the_line(service(http, voice)) as line:
        await line.send(TTSSpeakFrame(TEXT * 20))
        await line.first(TTSAudioRawFrame)
        await line.send(InterruptionFrame())
        await line.first(InterruptionFrame)
        count = len(line.of(TTSStoppedFrame))
        await line.send(TTSSpeakFrame(TEXT))
        await line.until(lambda: len(line.of(TTSStoppedFrame)) > count)
    assert line.errors == []


def test_the_example_is_good() -> None:
    agent = read_agent(EXAMPLE, catalog, load_settings(None, {}), check_installation=False)
    assert agent.tts.chain == ("piper", "espeak")
