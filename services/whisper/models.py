"""Whisper's models: read from disk once per process, and run off the event loop.

Nothing is ever downloaded here: that would take minutes, in the midst of a call.
"""

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
from faster_whisper import WhisperModel, download_model
from numpy.typing import NDArray

from config.errors import ConfigError
from services.failures import Failures
from services.workers import Workers, WorkersBusyError

FAILURES = Failures("whisper", "Whisper")
RATE_HZ = 16_000
#: Utterances that wait for each that is read; more are refused, for they would come too late.
WAITING_PER_WORKER = 8
#: A model's folder has these; without the last, faster-whisper would fetch one from the internet.
_NEEDED = ("model.bin", "tokenizer.json")


class Model(Protocol):
    """What is used of ``faster_whisper.WhisperModel``."""

    @property
    def supported_languages(self) -> list[str]:
        """Its languages' tokens."""

    def transcribe(self, audio: NDArray[np.float32], **options: Any) -> tuple[Iterable[Any], Any]:
        """Segments, made while they are read, and facts of the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Which model, and how it runs.

    Attributes:
        name: Size, name at Hugging Face, or folder.
        device: ``auto``, ``cpu`` or ``cuda``.
        compute_type: CTranslate2's word.
        parallel: Utterances at once.
        cpu_threads: For each.
    """

    name: str
    device: str
    compute_type: str
    parallel: int
    cpu_threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How speech is to be read.

    Attributes:
        language: The model's token.
        beam_size: 1 for the likeliest word each time.
        initial_prompt: A text in the style that is wanted.
        hotwords: Words to expect.
        no_speech_threshold: Likelihood of silence above which a segment is dropped.
    """

    language: str
    beam_size: int
    initial_prompt: str | None
    hotwords: str | None
    no_speech_threshold: float


class Recogniser:
    """A model and the threads that run it.

    Args:
        model: The model.
        parallel: Utterances at once.
    """

    def __init__(self, model: Model, parallel: int) -> None:
        self.model = model
        self._most = parallel * (1 + WAITING_PER_WORKER)
        self._workers = Workers("whisper", count=parallel, most=self._most)

    async def read(self, pcm: bytes, rate_hz: int, reading: Reading, timeout_seconds: float) -> str:
        """What was said; empty if nothing was understood.

        Args:
            pcm: 16-bit little-endian mono samples.
            rate_hz: Their rate.
            reading: How to read it.
            timeout_seconds: Limit, waiting included; the thread goes on to the end of a segment.

        Raises:
            ProviderError: The model failed or took too long, or too many wait.
        """
        given_up = threading.Event()
        try:
            return await self._workers.run(
                lambda: self._transcribe(pcm, rate_hz, reading, given_up), timeout_seconds
            )
        except TimeoutError:
            limit = f"no text in {timeout_seconds:g} s"
            raise FAILURES.failure("stt", "timeout", limit) from None
        except WorkersBusyError:
            message = f"{self._most} utterances are waiting already"
            raise FAILURES.failure("stt", "busy", message) from None
        except Exception as error:  # whatever the model and its runtime raise
            message = f"the model failed: {type(error).__name__}"
            raise FAILURES.failure("stt", "failed", message) from error
        finally:
            given_up.set()

    def _transcribe(
        self, pcm: bytes, rate_hz: int, reading: Reading, given_up: threading.Event
    ) -> str:
        segments, _ = self.model.transcribe(
            _samples(pcm, rate_hz),
            language=reading.language,
            beam_size=reading.beam_size,
            initial_prompt=reading.initial_prompt,
            hotwords=reading.hotwords,
            # One try: its default is six, each with more guessing than the last.
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        texts = []
        for segment in segments:
            if given_up.is_set():
                break
            if segment.no_speech_prob < reading.no_speech_threshold:
                texts.append(segment.text.strip())
        return " ".join(filter(None, texts))


_recognisers: dict[Build, Recogniser] = {}
_loading = threading.Lock()


async def loaded(build: Build, language: str) -> Recogniser:
    """The recogniser of a model, which is read when first asked for.

    Raises:
        ConfigError: It is not on disk, is none, or lacks the language.
    """
    recogniser = _recognisers.get(build)
    if recogniser is None:
        recogniser = await asyncio.to_thread(_load, build)
    if language not in recogniser.model.supported_languages:
        raise ConfigError(
            f"stt.whisper: the model {build.name} knows only "
            f"{', '.join(recogniser.model.supported_languages)}; take one without .en",
            code="model_unusable",
        )
    return recogniser


def _load(build: Build) -> Recogniser:
    with _loading:
        if build not in _recognisers:
            _recognisers[build] = Recogniser(open_model(build), build.parallel)
        return _recognisers[build]


def open_model(build: Build) -> Model:
    """Read a model from disk.

    Raises:
        ConfigError: It is not there, or none.
    """
    folder = _folder(build.name)
    try:
        model: Model = WhisperModel(
            str(folder),
            device=build.device,
            compute_type=build.compute_type,
            cpu_threads=build.cpu_threads,
            num_workers=build.parallel,
            local_files_only=True,
        )
    except Exception as error:  # CTranslate2 raises RuntimeError, ValueError and others
        raise ConfigError(
            f"stt.whisper cannot use the model {build.name}: {error}", code="model_unusable"
        ) from error
    return model


def _folder(name: str) -> Path:
    try:
        folder = Path(name)
        if not folder.is_dir():
            folder = Path(download_model(name, local_files_only=True))
    except Exception as error:  # Hugging Face's client has a class for each way to lack a file
        raise _missing(name) from error
    if not all((folder / file).is_file() for file in _NEEDED):
        raise _missing(name)
    return folder


def _missing(name: str) -> ConfigError:
    return ConfigError(
        f"stt.whisper has no model {name} on disk ({' and '.join(_NEEDED)}); fetch it with: "
        f"python -c \"from faster_whisper import download_model; download_model('{name}')\"",
        code="model_missing",
    )


def _samples(pcm: bytes, rate_hz: int) -> NDArray[np.float32]:
    samples = np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2").astype(np.float32) / 32768.0
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ, quality="HQ")
    return samples
