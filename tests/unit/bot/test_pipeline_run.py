"""A pipeline ends in time, whatever its processors do."""

import asyncio
from typing import Literal

import pytest
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    StartFrame,
    TextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)

from bot.pipeline_run import Patience, PipelineRun
from tests.virtual_time import virtual_time

Trouble = Literal[
    "none", "swallows_end", "swallows_all", "blocks_end", "blocks", "never_set_up", "fails_set_up"
]
PATIENCE = Patience(setup_seconds=10, end_seconds=3, cancel_seconds=2)


class Troublesome(FrameProcessor):
    """Does one thing wrong."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self.trouble = trouble
        self.seen: list[str] = []

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """As told."""
        await super().setup(setup)
        if self.trouble == "never_set_up":
            await asyncio.Event().wait()
        if self.trouble == "fails_set_up":
            raise OSError("no vendor")

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """As told."""
        await super().process_frame(frame, direction)
        self.seen.append(type(frame).__name__)
        if self.trouble == "swallows_end" and isinstance(frame, EndFrame):
            return
        if self.trouble == "swallows_all" and isinstance(frame, (EndFrame, CancelFrame)):
            return
        if self.trouble == "blocks_end" and isinstance(frame, EndFrame):
            await asyncio.Event().wait()
        if self.trouble == "blocks" and not isinstance(frame, StartFrame):
            await asyncio.Event().wait()
        await self.push_frame(frame, direction)


def make(trouble: Trouble = "none") -> tuple[PipelineRun, Troublesome]:
    """A pipeline of one."""
    processor = Troublesome(trouble)
    run = PipelineRun(Pipeline([processor]), rate_in_hz=8000, rate_out_hz=8000, patience=PATIENCE)
    return run, processor


async def started(run: PipelineRun) -> None:
    """Start it and wait until it runs."""
    run.start()
    async with asyncio.timeout(5):
        await run.started.wait()


async def seconds_to_stop(run: PipelineRun) -> float:
    """How long stopping takes."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await run.stop()
    return loop.time() - began


@virtual_time
async def test_a_well_behaved_pipeline_ends_at_once() -> None:
    run, processor = make()
    assert not run.running
    await started(run)
    assert run.running
    await run.queue(TextFrame("hello"))
    assert await seconds_to_stop(run) < 0.1
    assert processor.seen[0] == "StartFrame" and processor.seen[-1] == "EndFrame"
    assert "TextFrame" in processor.seen
    assert not run.running
    await run.finished()
    await run.stop()


@virtual_time
@pytest.mark.parametrize(
    "trouble", ["swallows_end", "swallows_all", "blocks_end", "blocks", "never_set_up"]
)
async def test_trouble_ends_within_the_deadlines(trouble: Trouble) -> None:
    run, _ = make(trouble)
    run.start()
    await asyncio.sleep(0.5)
    if trouble == "blocks":
        await run.queue(TextFrame("hello"))
    assert await seconds_to_stop(run) <= 3 + 2 * 2 + 5 + 0.1
    async with asyncio.timeout(0.1):
        await run.finished()


@virtual_time
@pytest.mark.parametrize("trouble", ["none", "never_set_up", "fails_set_up"])
async def test_stopped_in_the_instant_it_starts(trouble: Trouble) -> None:
    run, _ = make(trouble)
    run.start()
    assert await seconds_to_stop(run) <= 2.1
    async with asyncio.timeout(0.1):
        await run.finished()


@virtual_time
async def test_stopping_one_that_never_started_does_nothing() -> None:
    run, _ = make()
    await run.stop()
    await run.finished()


@virtual_time
async def test_a_vendor_that_never_connects_ends_the_pipeline_by_itself() -> None:
    run, _ = make("never_set_up")
    run.start()
    async with asyncio.timeout(PATIENCE.setup_seconds + 20):
        await run.finished()
    assert not run.started.is_set()


@virtual_time
async def test_start_interruption_and_errors_are_told() -> None:
    told: list[str] = []

    async def on_started() -> None:
        told.append("started")

    async def on_error(frame: ErrorFrame) -> None:
        told.append(frame.error)

    processor = Troublesome("none")
    run = PipelineRun(
        Pipeline([processor]),
        rate_in_hz=8000,
        rate_out_hz=8000,
        on_started=on_started,
        on_error=on_error,
    )
    await started(run)
    assert not run.interrupted.is_set()
    await run.queue(InterruptionFrame())
    async with asyncio.timeout(5):
        await run.interrupted.wait()
    await processor.push_error("it hurts")
    await asyncio.sleep(0.1)
    await run.stop()
    assert told == ["started", "it hurts"]


@virtual_time
async def test_a_pipeline_is_waited_for_until_it_has_started_or_never_will() -> None:
    run, _ = make()
    await run.settled(5)  # Not begun: nothing to wait for.
    loop = asyncio.get_running_loop()
    began = loop.time()
    run.start()
    await run.settled(5)
    assert run.started.is_set() and loop.time() == began
    await run.stop()
    await run.settled(5)
    assert loop.time() - began < 5


@virtual_time
async def test_a_pipeline_that_does_not_start_is_not_waited_for_long() -> None:
    run, _ = make("never_set_up")
    loop = asyncio.get_running_loop()
    began = loop.time()
    run.start()
    await run.settled(0.2)
    assert not run.started.is_set() and loop.time() - began == pytest.approx(0.2)
    await run.stop()
