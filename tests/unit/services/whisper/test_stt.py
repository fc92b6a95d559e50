"""Whisper in a real pipeline: with a model that says what it is told, and with a tiny real one."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES
from numpy.typing import NDArray
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory

from config.errors import ConfigError
from services.hearing.utterance_stt import PREROLL_MS
from services.offline.frames import UnrecognizedSpeechFrame
from services.whisper import LANGUAGES, WhisperSTTOptions, models
from services.whisper.stt import WhisperSTTService, build_stt, prepare
from tests.unit.services.calls import Line, context, on_the_line
from tests.unit.services.whisper.tiny import write_model

TEXT = "मुझे मदद चाहिए"


@dataclass
class Segment:
    text: str
    no_speech_prob: float = 0.1


@dataclass
class FakeModel:
    """Says what it is told; notes how it was asked, and where."""

    segments: list[Segment] = field(default_factory=lambda: [Segment(f" {TEXT} ")])
    supported_languages: list[str] = field(default_factory=lambda: list(_LANGUAGE_CODES))
    error: Exception | None = None
    wait_for: threading.Event | None = None
    audio: list[NDArray[np.float32]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def transcribe(self, audio: NDArray[np.float32], **options: Any) -> tuple[Iterable[Any], Any]:
        self.audio.append(audio)
        self.asked.append(options)
        self.threads.add(threading.current_thread().name)
        if self.wait_for is not None:
            self.wait_for.wait(30)
        if self.error is not None:
            raise self.error
        return iter(self.segments), None


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeModel], FakeModel]:
    """Has every model be this one."""
    monkeypatch.setattr(models, "_recognisers", {})

    def opened_as(model: FakeModel) -> FakeModel:
        monkeypatch.setattr(models, "open_model", lambda _build: model)
        return model

    return opened_as


Use = Callable[[FakeModel], FakeModel]


def service(
    http: aiohttp.ClientSession, rate_hz: int = 8_000, language: str = "hi", **given: object
) -> WhisperSTTService:
    options = WhisperSTTOptions.model_validate({"timeout_seconds": 60, **given})
    place = context(http, None, language, rate_hz, vendor_language=LANGUAGES[language])
    return build_stt(options, place)


async def say(line: Line, duration_ms: int = 800, rate_hz: int = 8_000) -> None:
    times = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    pcm = (np.sin(2 * np.pi * 440 * times) * 6000).astype("<i2").tobytes()
    size = rate_hz // 25 * 2
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
    for start in range(0, len(pcm), size):
        await line.send(InputAudioRawFrame(pcm[start : start + size], rate_hz, 1))
    await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_speech_becomes_a_text_from_audio_at_the_models_rate(
    http: aiohttp.ClientSession, use: Use, rate_hz: int
) -> None:
    model = use(FakeModel())
    async with on_the_line(service(http, rate_hz, initial_prompt="जी"), rate_hz) as line:
        await say(line, 800, rate_hz)
        frame = await line.first(TranscriptionFrame)
    assert (frame.text, frame.finalized) == (TEXT, True)
    assert line.of(InputAudioRawFrame) == []
    samples = model.audio[0]
    assert len(samples) / 16_000 == pytest.approx(0.8, abs=0.01)
    peak = np.argmax(np.abs(np.fft.rfft(samples))) * 16_000 / len(samples)
    assert peak == pytest.approx(440, abs=3)
    assert PREROLL_MS == 400
    assert (model.asked[0]["language"], model.asked[0]["initial_prompt"]) == ("hi", "जी")
    assert all(name.startswith("whisper") for name in model.threads)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_token_of_the_model(language: str) -> None:
    assert LANGUAGES[language] in _LANGUAGE_CODES


async def test_what_was_no_speech_ends_the_turn_without_a_text(
    http: aiohttp.ClientSession, use: Use
) -> None:
    use(FakeModel(segments=[Segment("धन्यवाद", no_speech_prob=0.9)]))
    async with on_the_line(service(http)) as line:
        await say(line)
        await line.first(UnrecognizedSpeechFrame)
    assert line.of(TranscriptionFrame) == []
    assert line.errors == []


async def test_all_calls_share_one_model_that_is_read_when_an_agent_is_loaded(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    model = use(FakeModel())
    opened: list[str] = []

    def open_model(_build: models.Build) -> FakeModel:
        opened.append(threading.current_thread().name)
        return model

    monkeypatch.setattr(models, "open_model", open_model)
    options = WhisperSTTOptions()
    place = context(http, None, "hi")
    await asyncio.gather(*(prepare(options, place) for _ in range(3)))
    async with on_the_line(service(http)) as line:
        await say(line)
        await line.first(TranscriptionFrame)
    assert len(opened) == 1
    assert opened != [threading.main_thread().name]


@pytest.mark.parametrize("name", ["small", "no/such-model", "no such model"])
async def test_a_model_that_is_not_on_disk_is_refused_with_the_way_to_get_it(
    http: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=f"download_model.*'{name}'") as refused:
        await prepare(WhisperSTTOptions(model=name), context(http, None, "hi"))
    assert refused.value.code == "model_missing"


async def test_a_folder_without_a_tokenizer_is_refused_for_one_would_be_fetched(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="tokenizer.json"):
        await prepare(WhisperSTTOptions(model=str(tmp_path)), context(http, None, "hi"))


async def test_a_model_of_english_alone_is_refused_for_another_language(
    http: aiohttp.ClientSession, use: Use
) -> None:
    use(FakeModel(supported_languages=["en"]))
    with pytest.raises(ConfigError, match="knows only en"):
        await prepare(WhisperSTTOptions(model="small.en"), context(http, None, "hi"))


@pytest.mark.parametrize(
    ("error", "code", "category"),
    [
        (RuntimeError("broken"), "stt_failed", ErrorCategory.SERVER),
        (None, "stt_timeout", ErrorCategory.CONNECTIVITY),
    ],
)
async def test_what_goes_wrong_is_told_and_the_turn_ends(
    http: aiohttp.ClientSession,
    use: Use,
    error: Exception | None,
    code: str,
    category: ErrorCategory,
) -> None:
    let_go = threading.Event()
    use(FakeModel(error=error, wait_for=None if error else let_go))
    async with on_the_line(service(http, timeout_seconds=30 if error else 0.5)) as line:
        await say(line)
        await line.first(UnrecognizedSpeechFrame)
        let_go.set()
    assert line.errors == [code]
    assert line.of(ErrorFrame)[0].category is category


async def test_a_model_that_is_gone_in_mid_call_is_told(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with on_the_line(service(http, model=str(tmp_path))) as line:
        await say(line)
        await line.first(UnrecognizedSpeechFrame)
    assert line.errors == ["stt_no_model"]


async def test_too_many_at_once_are_refused(http: aiohttp.ClientSession, use: Use) -> None:
    let_go = threading.Event()
    model = use(FakeModel(wait_for=let_go))
    async with on_the_line(service(http)) as line:
        recogniser = await models.loaded(_build(), "hi")
        reading = models.Reading(
            language="hi",
            beam_size=1,
            initial_prompt=None,
            hotwords=None,
            no_speech_threshold=0.6,
        )
        most = 1 + models.WAITING_PER_WORKER
        waiting = [
            asyncio.create_task(recogniser.read(b"", 8_000, reading, 30)) for _ in range(most)
        ]
        await asyncio.sleep(0)
        await say(line)
        await line.first(UnrecognizedSpeechFrame)
        let_go.set()
        assert await asyncio.gather(*waiting) == [TEXT] * most
    assert line.errors == ["stt_busy"]
    assert len(model.asked) == most


async def test_a_real_model_is_loaded_and_asked(
    http: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_recognisers", {})
    folder = await asyncio.to_thread(write_model, tmp_path)
    options = WhisperSTTOptions(model=str(folder))
    await prepare(options, context(http, None, "en-IN"))
    with pytest.raises(ConfigError, match="knows only en"):
        await prepare(options, context(http, None, "ta"))
    async with on_the_line(service(http, 8_000, "en-IN", model=str(folder))) as line:
        await say(line)
        await line.until(lambda: line.of(TranscriptionFrame) or line.of(UnrecognizedSpeechFrame))
    assert line.errors == []


def _build() -> models.Build:
    return models.Build(name="small", device="auto", compute_type="int8", parallel=1, cpu_threads=1)
