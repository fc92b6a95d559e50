"""Piper's voices: read from disk once per process, and spoken with off the event loop."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from config.errors import ConfigError
from services.failures import Failures
from services.float_audio import FromSynthesiser
from services.workers import Workers, WorkersBusyError

FAILURES = Failures("piper", "Piper")
#: Sentences that are made at the same time; each takes one core.
WORKERS = 2
#: Sentences that wait or are being made; more are refused, for their turn would come too late.
MAX_WAITING = 32

_voices: dict[Path, PiperVoice] = {}
_loading = threading.Lock()
_workers = Workers("piper", count=WORKERS, most=MAX_WAITING)


def file_of(voice: str, folder: str) -> Path:
    """The file that an agent's ``voice`` means.

    >>> file_of("hi_IN-pratham-medium", "voices").as_posix()
    'voices/hi_IN-pratham-medium.onnx'
    """
    if voice.endswith(".onnx"):
        return Path(voice)
    return Path(folder) / f"{voice}.onnx"


async def loaded(file: Path) -> PiperVoice:
    """The voice in ``file``, read when first asked for.

    Raises:
        ConfigError: It is not there, or none; nothing is ever downloaded.
    """
    voice = _voices.get(file)
    return voice if voice is not None else await asyncio.to_thread(_load, file)


async def speak(
    voice: PiperVoice, text: str, manner: SynthesisConfig, rate_hz: int, timeout_seconds: float
) -> AsyncGenerator[bytes, None]:
    """Speak ``text``, sentence by sentence; closing the iterator stops behind the present one.

    Args:
        manner: Speaker and speed.
        rate_hz: Rate of the audio to give.
        timeout_seconds: Limit for each sentence, waiting for a thread included.

    Yields:
        16-bit little-endian mono samples.

    Raises:
        ProviderError: The voice failed, took too long, or too many wait for a thread.
    """
    converter = FromSynthesiser(voice.config.sample_rate, rate_hz)
    chunks: Iterator[Any] = iter(voice.synthesize(text, syn_config=manner))
    while (samples := await _next(chunks, timeout_seconds)) is not None:
        if pcm := converter.take(samples):
            yield pcm
    if pcm := converter.rest():
        yield pcm


async def _next(chunks: Iterator[Any], timeout_seconds: float) -> bytes | None:
    """Float samples of the next sentence; None behind the last."""
    try:
        return await _workers.run(lambda: _made(chunks), timeout_seconds)
    except TimeoutError:
        limit = f"no audio in {timeout_seconds:g} s"
        raise FAILURES.failure("tts", "timeout", limit) from None
    except WorkersBusyError:
        message = f"{MAX_WAITING} sentences are being made already"
        raise FAILURES.failure("tts", "busy", message) from None
    except Exception as error:  # whatever the model, its runtime or the phonemizer raises
        message = f"the voice could not speak: {type(error).__name__}"
        raise FAILURES.failure("tts", "failed", message) from error


def _made(chunks: Iterator[Any]) -> bytes | None:
    chunk = next(chunks, None)
    return None if chunk is None else np.asarray(chunk.audio_float_array, "<f4").tobytes()


def _load(file: Path) -> PiperVoice:
    with _loading:
        if file not in _voices:
            _voices[file] = _read(file)
        return _voices[file]


def _read(file: Path) -> PiperVoice:
    description = Path(f"{file}.json")
    for needed in (file, description):
        if not needed.is_file():
            raise ConfigError(
                f"tts.piper has no {needed}; fetch the voice with: python -m "
                f"piper.download_voices {file.stem} --download-dir {file.parent}",
                code="voice_missing",
            )
    options = onnxruntime.SessionOptions()
    # Its own default has every core spin while one call speaks.
    options.intra_op_num_threads = 1
    try:
        config = PiperConfig.from_dict(json.loads(description.read_text(encoding="utf-8")))
        session = onnxruntime.InferenceSession(
            str(file), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has a class for each of its codes
        raise ConfigError(
            f"tts.piper cannot use {file}: {type(error).__name__}", code="voice_unusable"
        ) from error
    return PiperVoice(session=session, config=config)
