"""Whatever goes wrong with ElevenLabs is told at once and with its cause."""

from collections.abc import Callable

import aiohttp
import pytest
from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.errors import ErrorCategory

from bot.chains.failures import failure_of
from services.connections import sockets
from services.context import ServiceContext
from services.elevenlabs import ElevenLabsSTTOptions, ElevenLabsTTSOptions
from services.elevenlabs.stt import build_stt
from services.elevenlabs.tts import build_tts
from simulators.behaviour import Behaviour
from simulators.elevenlabs import ElevenLabsSimulator
from tests.unit.services.calls import context, on_the_line
from tests.unit.services.elevenlabs.test_stt import pieces, sound
from tests.unit.services.elevenlabs.test_tts import speak

BUILDERS: dict[str, Callable[[ServiceContext], FrameProcessor]] = {
    "stt": lambda here: build_stt(ElevenLabsSTTOptions(), here),
    "tts": lambda here: build_tts(ElevenLabsTTSOptions(), here),
}
VENDOR_CODES = {"stt": "hin", "tts": "hi"}
both = pytest.mark.parametrize("kind", BUILDERS)


def build(http: aiohttp.ClientSession, url: str, kind: str, key: str) -> FrameProcessor:
    return BUILDERS[kind](context(http, url, vendor_language=VENDOR_CODES[kind], key=key))


@both
@pytest.mark.parametrize(
    ("status", "category"),
    [
        (400, ErrorCategory.INVALID_REQUEST),
        (401, ErrorCategory.AUTHENTICATION),
        (429, ErrorCategory.RATE_LIMIT),
        (503, ErrorCategory.SERVER),
    ],
)
async def test_a_refused_handshake(
    http: aiohttp.ClientSession, key: str, kind: str, status: int, category: ErrorCategory
) -> None:
    refusing = Behaviour(refuse_status=status, retry_after_seconds=7)
    async with ElevenLabsSimulator(behaviour=refusing) as simulator:
        async with on_the_line(build(http, simulator.base_url, kind, key)) as line:
            error = await line.first(ErrorFrame)
        assert len(simulator.connections) == 1
    assert error.category is category
    failure = failure_of(error)
    assert failure is not None
    assert failure.retry_after_seconds == 7
    assert key not in error.error


@both
async def test_nobody_listens_there(
    http: aiohttp.ClientSession, key: str, kind: str, closed_port: int
) -> None:
    gone = ElevenLabsSimulator(port=closed_port).base_url
    async with on_the_line(build(http, gone, kind, key)) as line:
        error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.CONNECTIVITY


@both
async def test_a_handshake_that_hangs(
    http: aiohttp.ClientSession, key: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "CONNECT_SECONDS", 0.1)
    hanging = Behaviour(accept_delay_ms=60_000)
    async with (
        ElevenLabsSimulator(behaviour=hanging) as simulator,
        on_the_line(build(http, simulator.base_url, kind, key)) as line,
    ):
        error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.CONNECTIVITY


@both
@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(drop_after_bytes=3_000), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=3_000, drop_code=1011), ErrorCategory.SERVER),
        (Behaviour(drop_after_bytes=3_000, drop_code=1000), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=1_500), ErrorCategory.SERVER),
        (Behaviour(garbage_frames=1), ErrorCategory.SERVER),
    ],
    ids=["torn", "1011", "1000", "error", "garbage"],
)
async def test_the_connection_ends_in_mid_call(
    http: aiohttp.ClientSession, key: str, kind: str, behaviour: Behaviour, category: ErrorCategory
) -> None:
    async with ElevenLabsSimulator(behaviour=behaviour) as simulator:
        service = build(http, simulator.base_url, kind, key)
        async with on_the_line(service, cancel=True) as line:
            if kind == "stt":
                await line.send(*pieces(sound(400)))
            else:
                await speak(line, "नमस्ते, आपका स्वागत है।")
            error = await line.first(ErrorFrame)
            assert len(simulator.connections) == 1
    assert error.category is category
