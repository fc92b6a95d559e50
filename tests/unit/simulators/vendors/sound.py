"""Audio for the tests."""

import numpy as np

from simulators import tone

RATE_HZ = 8000


def speech(duration_ms: float, *, rate_hz: int = RATE_HZ, encoding: str = "pcm_s16le") -> bytes:
    """Loud audio."""
    return tone.tone(300, duration_ms, encoding, rate_hz)


def silence(duration_ms: float, *, rate_hz: int = RATE_HZ, encoding: str = "pcm_s16le") -> bytes:
    """Quiet audio."""
    return tone.encode(np.zeros(int(duration_ms * rate_hz / 1000)), encoding)


def packets(audio: bytes, size: int = RATE_HZ // 50 * 2) -> list[bytes]:
    """Audio in packets; 20 ms at 8 kHz unless told otherwise."""
    return [audio[start : start + size] for start in range(0, len(audio), size)]
