"""Runs one service in a real pipeline, frame by frame."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner
from pydantic import SecretStr

from config.agent import AgentConfig
from services.context import ServiceContext

#: How long a frame is waited for.
WAIT_SECONDS = 30.0
#: How long a call may take to end, whatever a vendor does.
END_SECONDS = 10.0
F = TypeVar("F", bound=Frame)

AGENT = AgentConfig.model_validate(
    {
        "agent_id": "tester",
        "language": "hi",
        "stt": {"provider": "ai4bharat"},
        "llm": {"provider": "script"},
        "tts": {"provider": "ai4bharat"},
    }
)


def context(
    http: aiohttp.ClientSession,
    base_url: str | None,
    language: str = "hi",
    rate_hz: int = 8_000,
    *,
    vendor_language: str | None = None,
    key: str | None = None,
) -> ServiceContext:
    """What a factory hands to ``build`` and ``render``."""
    return ServiceContext(
        agent=AGENT,
        language=language,
        vendor_language=vendor_language or language.removesuffix("-IN"),
        rate_hz=rate_hz,
        base_url=base_url,
        api_key=SecretStr(key) if key is not None else None,
        http=http,
    )


class _End(FrameProcessor):
    """Keeps what leaves the service on one side."""

    def __init__(self, line: "Line", side: FrameDirection) -> None:
        super().__init__(enable_direct_mode=True)
        self._line = line
        self._side = side

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is self._side and not isinstance(frame, StartFrame):
            self._line.note(frame)
        await self.push_frame(frame, direction)


class Line:
    """A running pipeline of one service.

    Attributes:
        frames: Everything the service pushed, up or down, in order.
    """

    def __init__(self, service: FrameProcessor, rate_hz: int) -> None:
        self.frames: list[Frame] = []
        self._changed = asyncio.Event()
        self.started = asyncio.Event()
        pipeline = Pipeline(
            [_End(self, FrameDirection.UPSTREAM), service, _End(self, FrameDirection.DOWNSTREAM)]
        )
        self.worker = PipelineWorker(
            pipeline,
            params=PipelineParams(audio_in_sample_rate=rate_hz, audio_out_sample_rate=rate_hz),
            enable_rtvi=False,
            cancel_on_idle_timeout=False,
        )
        self.worker.add_event_handler("on_pipeline_started", self._note_started)

    async def _note_started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self.started.set()

    def note(self, frame: Frame) -> None:
        """Keep a frame."""
        self.frames.append(frame)
        self._changed.set()

    async def send(self, *frames: Frame) -> None:
        """Put frames into the pipeline."""
        for frame in frames:
            await self.worker.queue_frame(frame)

    def of(self, kind: type[F]) -> list[F]:
        """The frames of one type so far."""
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until ``condition`` holds after some frame."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def first(self, kind: type[F], count: int = 1) -> F:
        """Wait for the ``count``-th frame of a type."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    @property
    def audio(self) -> bytes:
        """All audio so far."""
        return b"".join(frame.audio for frame in self.of(TTSAudioRawFrame))

    @property
    def errors(self) -> list[str]:
        """Codes of the errors so far."""
        return [getattr(e.exception, "code", e.error) for e in self.of(ErrorFrame)]


@asynccontextmanager
async def on_the_line(
    service: FrameProcessor, rate_hz: int = 8_000, *, cancel: bool = False
) -> AsyncIterator[Line]:
    """Run ``service`` until the block ends; then end it, or cancel it."""
    line = Line(service, rate_hz)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(line.worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await line.started.wait()
        yield line
    finally:
        await line.send(CancelFrame() if cancel else EndFrame())
        done, _ = await asyncio.wait([running], timeout=END_SECONDS)
        running.cancel()
        assert done, "the pipeline did not end"
