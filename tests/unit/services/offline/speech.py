"""Speech for the tests: espeak over a telephone line."""

import numpy as np
import soxr

from services.espeak.library import NATIVE_RATE_HZ, synthesize


def spoken(text: str, voice: str, *, rate_hz: int = 8_000) -> bytes:
    """``text`` as 16-bit PCM with a third of a second of silence on both sides."""
    chunks: list[bytes] = []

    def keep(chunk: bytes) -> bool:
        chunks.append(chunk)
        return True

    synthesize(text, voice, 150, 50, keep)
    speech = np.frombuffer(b"".join(chunks), "<i2").astype(np.float32) * 0.6
    narrow = soxr.resample(soxr.resample(speech, NATIVE_RATE_HZ, 8_000, "HQ"), 8_000, rate_hz, "HQ")
    silence = np.zeros(rate_hz // 3)
    pcm: bytes = np.concatenate([silence, narrow, silence]).astype("<i2").tobytes()
    return pcm


def silence(seconds: float, *, rate_hz: int = 8_000) -> bytes:
    """Digital silence."""
    return bytes(int(seconds * rate_hz) * 2)


def noise(seconds: float, *, level: float = 800.0) -> bytes:
    """White noise at 8 kHz."""
    samples = np.random.default_rng(7).normal(0, level, int(seconds * 8_000))
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm
