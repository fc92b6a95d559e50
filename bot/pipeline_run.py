"""Runs one Pipecat pipeline from start to end, and ends it whatever its processors do.

An ``EndFrame`` has no deadline: a processor that blocks it makes cancelling the worker, the
runner and the task hang alike (seen with Pipecat 1.14). What always helps is a ``CancelFrame``
put into the pipeline itself; :meth:`PipelineRun.stop` goes through these steps in turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from loguru import logger
from pipecat.frames.frames import CancelFrame, EndFrame, ErrorFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.workers.runner import WorkerRunner

#: How long a pipeline may take to end by itself, then to be cancelled, then to be dropped.
END_SECONDS = 3.0
CANCEL_SECONDS = 2.0

OnError = Callable[[ErrorFrame], Awaitable[None]]


class PipelineRun:
    """One pipeline and the worker that drives it; usable once.

    Args:
        pipeline: The processors, in order.
        rate_in_hz: Audio that comes in.
        rate_out_hz: Audio that goes out.
        on_error: Awaited with every error a processor reports.
        setup_timeout_seconds: How long vendors may take to connect.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        rate_in_hz: int,
        rate_out_hz: int,
        on_error: OnError | None = None,
        setup_timeout_seconds: float = 30.0,
    ) -> None:
        self._pipeline = pipeline
        self._task: asyncio.Task[None] | None = None
        self.started = asyncio.Event()
        self._worker = PipelineWorker(
            pipeline,
            params=PipelineParams(
                audio_in_sample_rate=rate_in_hz,
                audio_out_sample_rate=rate_out_hz,
                enable_metrics=False,
            ),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            check_dangling_tasks=False,
            setup_timeout_secs=setup_timeout_seconds,
        )

        self._on_error = on_error
        self._worker.add_event_handler("on_pipeline_started", self._note_started)
        self._worker.add_event_handler("on_pipeline_error", self._pass_error)

    def start(self) -> None:
        """Begin to run, in a task of its own."""
        self._task = asyncio.create_task(self._run(), name="pipeline-run")

    async def queue(self, frame: Frame) -> None:
        """Send a frame down the pipeline."""
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
        if self.started.is_set():
            await self._worker.queue_frame(EndFrame())
            if await _ended(task, END_SECONDS):
                return
            logger.warning("pipeline did not end by itself; cancelling it")
        await self._worker.cancel()
        if await _ended(task, CANCEL_SECONDS):
            return
        logger.error("pipeline did not cancel; putting a CancelFrame into it")
        await self._pipeline.queue_frame(CancelFrame())
        if not await _ended(task, CANCEL_SECONDS):
            task.cancel()
            if not await _ended(task, CANCEL_SECONDS):
                logger.critical("a pipeline could not be ended; its task is left behind")

    async def _note_started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self.started.set()

    async def _pass_error(self, _worker: PipelineWorker, frame: ErrorFrame) -> None:
        if self._on_error is not None:
            await self._on_error(frame)

    async def _run(self) -> None:
        runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        await runner.add_workers(self._worker)
        await runner.run()


async def _ended(task: asyncio.Task[None], within_seconds: float) -> bool:
    done, _ = await asyncio.wait([task], timeout=within_seconds)
    with suppress(asyncio.CancelledError):
        for finished in done:
            finished.exception()
    return bool(done)
