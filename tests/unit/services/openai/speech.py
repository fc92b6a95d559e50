"""A caller for the tests of recognisers."""

import numpy as np
from pipecat.frames.frames import (
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from tests.unit.services.calls import Line

CHUNK_MS = 20


def sound(duration_ms: int, rate_hz: int, level: int = 6000) -> bytes:
    times = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    return (np.sin(2 * np.pi * 440 * times) * level).astype("<i2").tobytes()


async def hear(line: Line, pcm: bytes, rate_hz: int) -> None:
    size = rate_hz * CHUNK_MS // 1000 * 2
    for start in range(0, len(pcm), size):
        await line.send(InputAudioRawFrame(pcm[start : start + size], rate_hz, 1))


async def say(line: Line, duration_ms: int = 600, rate_hz: int = 8_000, level: int = 6000) -> None:
    """One stretch of speech with its voice activity."""
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
    await hear(line, sound(duration_ms, rate_hz, level), rate_hz)
    await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))
