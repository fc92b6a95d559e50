"""Real speech for simulated callers, and sounds to disturb it.

Every array here is 16-bit mono PCM, ``numpy.int16``, one dimension.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import espeakng_loader
import numpy as np
import soxr
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

_SCRIPT = Path(__file__).parent / "caller" / "espeak_script.py"
_CACHE_VERSION = 2
_UNKNOWN_VOICE_STATUS = 3
#: Samples below this are silence at the edge of a sentence (about -38 dBFS).
SPEECH_EDGE_LEVEL = 400
_PEAK_LEVEL = 20_000
_LANGUAGE_ALIASES = {"en": "en-us", "en-in": "en-us", "en-gb": "en-gb"}


class SpeechError(RuntimeError):
    """espeak-ng lacks the voice asked for, or failed."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks.

    Attributes:
        language: BCP-47 code (``hi-IN``) or an espeak-ng voice name (``en-us``).
        variant: espeak-ng voice variant (``f1`` to ``f5``, ``m1`` to ``m8``, …), or empty.
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 to 99.
    """

    language: str = "en-us"
    variant: str = "f2"
    rate_wpm: int = 160
    pitch: int = 50

    @property
    def espeak_name(self) -> str:
        """The name by which espeak-ng knows this voice, such as ``en-us+f2``."""
        language = self.language.lower()
        name = _LANGUAGE_ALIASES.get(language)
        if name is None:
            name = language if language == "en-us" else language.partition("-")[0]
        return f"{name}+{self.variant}" if self.variant else name


class Speech:
    """Speaks sentences with espeak-ng, each in a short-lived subprocess, cached on disk.

    Args:
        cache_dir: Where rendered sentences are kept; by default a folder in the system's
            temporary directory.
        timeout_seconds: How long one sentence may take to render.
    """

    def __init__(self, cache_dir: Path | None = None, *, timeout_seconds: float = 30.0) -> None:
        if cache_dir is None:
            cache_dir = Path(tempfile.gettempdir()) / f"simulated-speech-{os.getuid()}"
        self._cache_dir = cache_dir
        self._timeout_seconds = timeout_seconds

    def pcm(self, text: str, *, voice: Voice | None = None, rate_hz: int = 8000) -> Pcm:
        """Speak ``text``; blocks for about 0.1 s where the sentence isn't cached.

        Returns:
            The sentence at ``rate_hz``, silence trimmed from both ends, peak at -4 dBFS.

        Raises:
            SpeechError: No such voice, nothing speakable in ``text``, or espeak-ng failed.
        """
        voice = voice or Voice()
        path = self._cache_dir / f"{self._key(text, voice, rate_hz)}.npy"
        if path.exists():
            cached: Pcm = np.load(path, allow_pickle=False)
            return cached
        native_hz, native = self._synthesise(text, voice)
        pcm = resample(level(trim_silence(native)), native_hz, rate_hz)
        self._store(path, pcm)
        return pcm

    async def say(self, text: str, *, voice: Voice | None = None, rate_hz: int = 8000) -> Pcm:
        """As :meth:`pcm`, off the event loop."""
        return await asyncio.to_thread(self.pcm, text, voice=voice, rate_hz=rate_hz)

    @staticmethod
    def _key(text: str, voice: Voice, rate_hz: int) -> str:
        parts = [_CACHE_VERSION, text, voice.espeak_name, voice.rate_wpm, voice.pitch, rate_hz]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]

    def _synthesise(self, text: str, voice: Voice) -> tuple[int, Pcm]:
        _require_variant(voice.variant)
        request = {
            "text": text,
            "voice": voice.espeak_name,
            "rate_wpm": voice.rate_wpm,
            "pitch": voice.pitch,
        }
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(_SCRIPT)],
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=self._timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SpeechError(f"espeak-ng took over {self._timeout_seconds:g} s") from error
        if done.returncode != 0:
            raise SpeechError(done.stderr.decode(errors="replace").strip()[-500:])
        native_hz = int.from_bytes(done.stdout[:4], "little")
        return native_hz, np.frombuffer(done.stdout, dtype="=i2", offset=4)

    def _store(self, path: Path, pcm: Pcm) -> None:
        self._cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._cache_dir, delete=False) as file:
            np.save(file, pcm, allow_pickle=False)
        try:
            Path(file.name).replace(path)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                Path(file.name).unlink()
            raise


@lru_cache(maxsize=64)
def _require_variant(variant: str) -> None:
    """Check that a voice variant exists; espeak-ng itself ignores an unknown one."""
    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    if variant and not (variants / variant).is_file():
        raise SpeechError(f"espeak-ng has no voice variant {variant!r}")


def trim_silence(pcm: Pcm, edge_level: int = SPEECH_EDGE_LEVEL) -> Pcm:
    """Cut what is below ``edge_level`` from both ends.

    Raises:
        SpeechError: Nothing in ``pcm`` reaches the level.
    """
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) >= edge_level)
    if loud.size == 0:
        raise SpeechError("there is nothing audible in this sentence")
    return pcm[loud[0] : loud[-1] + 1]


def level(pcm: Pcm, peak_level: int = _PEAK_LEVEL) -> Pcm:
    """Scale to the given peak."""
    peak = max(1, int(np.abs(pcm.astype(np.int32)).max()))
    return np.asarray(np.rint(pcm.astype(np.float64) * (peak_level / peak)), dtype=np.int16)


def resample(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """Convert between sample rates, the whole array at once (no lag, nothing lost)."""
    if from_hz == to_hz or pcm.size == 0:
        return pcm
    return np.asarray(soxr.resample(pcm, from_hz, to_hz, quality="HQ"), dtype=np.int16)


def noise(duration_ms: float, *, rate_hz: int, level_dbfs: float = -50.0, seed: int = 1) -> Pcm:
    """Reproducible white noise of the given RMS level."""
    random = np.random.default_rng(seed)
    amplitude = 32768 * 10 ** (level_dbfs / 20)
    samples = random.normal(0.0, amplitude, round(duration_ms * rate_hz / 1000))
    return np.asarray(np.clip(np.rint(samples), -32768, 32767), dtype=np.int16)


def mix_noise(pcm: Pcm, *, snr_db: float, rate_hz: int, seed: int = 1) -> Pcm:
    """Add white noise ``snr_db`` below the RMS of ``pcm``."""
    rms = float(np.sqrt(np.mean(np.square(pcm.astype(np.float64))))) or 1.0
    level_dbfs = 20 * float(np.log10(rms / 32768)) - snr_db
    hiss = noise(
        pcm.size * 1000 / rate_hz, rate_hz=rate_hz, level_dbfs=level_dbfs, seed=seed
    ).astype(np.int32)
    return np.asarray(np.clip(pcm + hiss, -32768, 32767), dtype=np.int16)


def tone(frequency_hz: float, duration_ms: float, *, rate_hz: int, peak_level: int = 12_000) -> Pcm:
    """A sine, for tests that need audio whose every sample is known."""
    time = np.arange(round(duration_ms * rate_hz / 1000)) / rate_hz
    wave = peak_level * np.sin(2 * np.pi * frequency_hz * time)
    return np.asarray(np.rint(wave), dtype=np.int16)
