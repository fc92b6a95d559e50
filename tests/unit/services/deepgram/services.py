"""The services of Deepgram, ready for a line, and sound to give them."""

from collections.abc import Callable

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessor

from services.context import ServiceContext
from services.deepgram import DeepgramFluxSTTOptions, DeepgramSTTOptions, DeepgramTTSOptions
from services.deepgram.flux import build_stt as build_flux
from services.deepgram.stt import build_stt
from services.deepgram.tts import build_tts
from tests.unit.services.calls import Line

RATE_HZ = 8_000
BUILDERS: dict[str, Callable[[ServiceContext], FrameProcessor]] = {
    "nova": lambda here: build_stt(DeepgramSTTOptions(), here),
    "flux": lambda here: build_flux(DeepgramFluxSTTOptions(), here),
    "aura": lambda here: build_tts(DeepgramTTSOptions(voice="aura-2-thalia-en"), here),
    "meena": lambda here: build_tts(DeepgramTTSOptions(), here),
}


def sound(duration_ms: int, level: int = 8_000) -> bytes:
    """A tone, or silence."""
    times = np.arange(RATE_HZ * duration_ms // 1000) / RATE_HZ
    return (np.sin(2 * np.pi * 440 * times) * level).astype("<i2").tobytes()


def pieces(pcm: bytes) -> list[Frame]:
    """As the line hands it over."""
    return [
        InputAudioRawFrame(pcm[start : start + 640], RATE_HZ, 1)
        for start in range(0, len(pcm), 640)
    ]


async def say(line: Line, pcm: bytes) -> None:
    """Speech and the pause after it, noticed by voice activity."""
    await line.send(VADUserStartedSpeakingFrame(start_secs=0.2), *pieces(pcm))
    await line.send(*pieces(sound(200, 0)), VADUserStoppedSpeakingFrame(stop_secs=0.2))


async def work(line: Line, name: str) -> None:
    """Give a service something to do."""
    if name in ("nova", "flux"):
        await line.send(*pieces(sound(400)))
    else:
        await line.send(TTSSpeakFrame("Good morning to you all."))
