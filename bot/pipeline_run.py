"""Runs one Pipecat pipeline from start to end, and ends it whatever its processors do.

An ``EndFrame`` has no deadline: a processor that blocks it makes cancelling the worker, the
runner and the task hang alike (seen with Pipecat 1.14). What always helps is a ``CancelFrame``
put into the pipeline itself; :meth:`PipelineRun.stop` goes through these steps in turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger
from pipecat.clocks.base_clock import BaseClock
from pipecat.frames.frames import CancelFrame, EndFrame, ErrorFrame, Frame, InterruptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.workers.runner import WorkerRunner

from bot.letting_go import take_apart

OnStarted = Callable[[], Awaitable[None]]
OnError = Callable[[ErrorFrame], Awaitable[None]]


#: For a pipeline whose end was forced: Pipecat gives each processor 3 s to let go.
LAST_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a pipeline may take.

    Attributes:
        setup_seconds: For its vendors to connect.
        end_seconds: To end by itself.
        cancel_seconds: To end once cancelled, and again once that was forced.
    """

    setup_seconds: float = 30.0
    end_seconds: float = 3.0
    cancel_seconds: float = 2.0


class _LoopClock(BaseClock):
    """The loop's time, by which everything else in a call goes, in nanoseconds.

    uvloop reads it once a turn: the instant from which Pipecat counts a sentence's words, and the
    one at which a chain takes that sentence's first audio, are the same, whatever holds the turn
    up in between.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began = 0.0

    def get_time(self) -> int:
        """Since the start; 0 before it, and never again."""
        if self._loop is None:
            return 0
        return 1 + round((self._loop.time() - self._began) * 1e9)

    def start(self) -> None:
        """Begin to count."""
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()


class _End(FrameProcessor):
    """The first or the last processor of a pipeline; passes every frame on.

    The first tells when the pipeline has begun to set its processors up: a worker that is
    cancelled before that sets up all the same, and cannot be cancelled again. From the last a
    frame reaches the worker past all processors that block.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.begun = asyncio.Event()

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Take note."""
        self.begun.set()
        await super().setup(setup)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass it on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class PipelineRun:
    """One pipeline and the worker that drives it; usable once.

    Args:
        pipeline: The processors, in order.
        rate_in_hz: Audio that comes in.
        rate_out_hz: Audio that goes out.
        on_started: Awaited when every processor has started.
        on_error: Awaited with every error a processor reports.
        patience: Deadlines.

    Attributes:
        started: Set when every processor has started.
        interrupted: Set whenever an interruption has reached the end.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        rate_in_hz: int,
        rate_out_hz: int,
        on_started: OnStarted | None = None,
        on_error: OnError | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._first, self._last = _End(), _End()
        self._pipeline = Pipeline([self._first, pipeline, self._last])
        self._patience = patience or Patience()
        self._task: asyncio.Task[None] | None = None
        self.started = asyncio.Event()
        self.interrupted = asyncio.Event()
        self._on_started = on_started
        self._on_error = on_error
        self._worker = PipelineWorker(
            self._pipeline,
            params=PipelineParams(
                audio_in_sample_rate=rate_in_hz,
                audio_out_sample_rate=rate_out_hz,
                enable_metrics=False,
            ),
            enable_rtvi=False,
            enable_turn_tracking=False,
            clock=_LoopClock(),
            idle_timeout_secs=None,
            check_dangling_tasks=False,
            setup_timeout_secs=self._patience.setup_seconds,
            cancel_timeout_secs=self._patience.cancel_seconds,
        )
        self._runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        self._worker.set_reached_downstream_filter((InterruptionFrame,))
        self._worker.add_event_handler("on_pipeline_started", self._note_started)
        self._worker.add_event_handler("on_pipeline_error", self._pass_error)
        self._worker.add_event_handler("on_frame_reached_downstream", self._note_reached)

    @property
    def running(self) -> bool:
        """Whether every processor has started and none has ended."""
        return self.started.is_set() and self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin to run, in a task of its own."""
        self._task = asyncio.create_task(self._run(), name="pipeline-run")

    async def settled(self, within_seconds: float) -> None:
        """Wait until every processor has started, or none will, but no longer than that."""
        if self._task is None:
            return
        started = asyncio.create_task(self.started.wait(), name="pipeline-started")
        await asyncio.wait(
            (started, self._task), timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        started.cancel()

    async def queue(self, frame: Frame) -> None:
        """Send a frame down the pipeline, once it has started."""
        await self._worker.queue_frame(frame)

    async def finished(self) -> None:
        """Wait until the pipeline has ended, for whatever reason."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """End the pipeline: gracefully, else by cancelling, else by force."""
        task = self._task
        if task is None or task.done():
            return
        patience = self._patience
        if self.started.is_set():
            await self._worker.queue_frame(EndFrame())
            if await _ended(task, patience.end_seconds):
                return
            logger.warning("pipeline did not end by itself; cancelling it")
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience.cancel_seconds):
                    await self._first.begun.wait()
        await self._worker.cancel()
        if await _ended(task, patience.cancel_seconds):
            return
        logger.error("pipeline did not cancel; putting a CancelFrame into it")
        await self._pipeline.queue_frame(CancelFrame())
        if await _ended(task, patience.cancel_seconds):
            return
        logger.error("a processor holds up its pipeline's end; going past it")
        await self._last.push_frame(CancelFrame())
        if not await _ended(task, LAST_SECONDS):
            task.cancel()
            logger.critical("a pipeline could not be ended; its task is left behind")

    def let_go(self) -> None:
        """Take the pipeline apart once it has ended; nothing may be asked of it any more."""
        if self._task is not None and self._task.done():
            take_apart(self._worker.pipeline)
            vars(self._worker).clear()
            vars(self._runner).clear()

    async def _note_started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self.started.set()
        if self._on_started is not None:
            await self._on_started()

    async def _note_reached(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self.interrupted.set()

    async def _pass_error(self, _worker: PipelineWorker, frame: ErrorFrame) -> None:
        if self._on_error is not None:
            await self._on_error(frame)

    async def _run(self) -> None:
        await self._runner.add_workers(self._worker)
        await self._runner.run()


async def _ended(task: asyncio.Task[None], within_seconds: float) -> bool:
    """Whether the task ended in time; what it failed with is logged, once."""
    done, _ = await asyncio.wait([task], timeout=within_seconds)
    if done and not task.cancelled() and (error := task.exception()) is not None:
        logger.error(f"a pipeline failed: {type(error).__name__}: {error}")
    return bool(done)
