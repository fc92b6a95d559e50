"""One vendor's service at work in a chain: opened when needed, thrown away when it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from pipecat.frames.frames import (
    CancelFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline, PipelineSink, PipelineSource
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)

from bot.chains.failures import Failure, MemberFailed, failure_of
from bot.letting_go import take_out
from bot.text.whole import WholeFrames
from services.candidates import Candidate

Deliver = Callable[["Member", Frame, FrameDirection], Awaitable[None]]
Fail = Callable[["Member", Failure], Awaitable[None]]

#: How long a service may take to take note of its end, and to let go of what it holds.
CANCEL_SECONDS = 1.0
CLEANUP_SECONDS = 3.0
#: So much of the caller's audio may wait for a service that does not take it: what is kept of it
#: for the next vendor is no more either (``audio_ring.MAX_SECONDS``).
MAX_UNTAKEN_SECONDS = 10.0


@runtime_checkable
class Connects(Protocol):
    """A service that goes on connecting after it has started."""

    async def connected(self) -> None:
        """Return when it can be given work."""


class Member:
    """A service in a pipeline of its own, whose ends are in the chain's hands.

    What the service pushes, up or down, is delivered to the chain, but for its start and its
    end. The first error it reports is its end: it is told to the chain once, and nothing of
    it is delivered afterwards.

    Args:
        candidate: Who it is.
        service: A new service.
        deliver: Takes each frame.
        fail: Told when it fails after it was opened.
    """

    def __init__(
        self, candidate: Candidate, service: FrameProcessor, *, deliver: Deliver, fail: Fail
    ) -> None:
        self.candidate = candidate
        self.service: Any = service
        self._deliver, self._fail = deliver, fail
        self._pipeline = Pipeline(
            [service], source=PipelineSource(self._take), sink=PipelineSink(self._take)
        )
        self._started = asyncio.Event()
        self._cancelled = asyncio.Event()
        self._failed: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        self._getting_ready: asyncio.Task[None] | None = None
        self._open = False
        self._closed = False
        self._untaken_seconds = 0.0
        self._whole = WholeFrames()

    @property
    def open(self) -> bool:
        """Whether it can be given work."""
        return self._open and not self._closed and not self._failed.done()

    async def start(self, setup: FrameProcessorSetup, within_seconds: float) -> None:
        """Set the service up and start it.

        Raises:
            MemberFailed: It failed, or did not become ready in time.
        """
        if self._closed:
            raise MemberFailed(Failure("error", "it was closed before it was opened"))
        getting_ready = asyncio.create_task(self._get_ready(setup), name="member-start")
        self._getting_ready = getting_ready
        try:
            async with asyncio.timeout(within_seconds):
                await asyncio.wait(
                    (getting_ready, self._failed), return_when=asyncio.FIRST_COMPLETED
                )
        except TimeoutError:
            detail = f"not ready within {within_seconds:g} s"
            raise MemberFailed(self._note(Failure("connect_timeout", detail))) from None
        finally:
            if not getting_ready.done():
                getting_ready.cancel()
        if self._failed.done():
            raise MemberFailed(self._failed.result())
        if getting_ready.cancelled():
            raise MemberFailed(self._note(Failure("error", "it was closed while it opened")))
        if (error := getting_ready.exception()) is not None:
            raise MemberFailed(self._note(Failure("error", str(error)))) from error
        self._open = True

    async def send(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Give the service a frame; nothing happens once it has failed or was closed."""
        if not self._closed and not self._failed.done():
            await self._pipeline.queue_frame(frame, direction)

    async def hear(self, frame: InputAudioRawFrame) -> None:
        """Give the service audio, by the shortest way: it comes 25 times a second.

        One that does not take it has failed once :data:`MAX_UNTAKEN_SECONDS` of it wait.
        """
        if not self.open:
            return
        self._untaken_seconds += frame.num_frames / frame.sample_rate
        if self._untaken_seconds > MAX_UNTAKEN_SECONDS:
            detail = f"it has taken none of the last {MAX_UNTAKEN_SECONDS:g} s of sound"
            failure = self._note(Failure("stalled", detail))
            await self._fail(self, failure)
            return
        await self.service.queue_frame(frame, FrameDirection.DOWNSTREAM, self._taken)

    async def _taken(self, _service: FrameProcessor, frame: Frame, _: FrameDirection) -> None:
        """The service is through with a piece of audio."""
        if isinstance(frame, InputAudioRawFrame):
            self._untaken_seconds -= frame.num_frames / frame.sample_rate

    async def close(self) -> None:
        """End the service and let go of what it holds; takes no longer than its deadlines."""
        if self._closed:
            return
        self._closed = True
        opening = self._getting_ready
        if opening is not None and not opening.done():
            opening.cancel()
            await asyncio.wait([opening], timeout=CANCEL_SECONDS)
        if self._started.is_set():
            # One that has not started yet takes no frame.
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await self._pipeline.queue_frame(CancelFrame())
                    await self._cancelled.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLEANUP_SECONDS):
                await self._pipeline.cleanup()
                take_out(self.service, self._pipeline)

    async def _get_ready(self, setup: FrameProcessorSetup) -> None:
        await self._pipeline.setup(setup)
        await self._pipeline.queue_frame(StartFrame())
        await self._started.wait()
        if isinstance(self.service, Connects):
            await self.service.connected()

    async def _take(self, frame: Frame, direction: FrameDirection) -> None:
        """A frame that the service pushed."""
        if isinstance(frame, StartFrame):
            self._started.set()
        elif isinstance(frame, CancelFrame):
            self._cancelled.set()
        elif self._closed or self._failed.done():
            return
        elif isinstance(frame, ErrorFrame):
            await self._take_error(frame, direction)
        else:
            self._whole.clean(frame)
            await self._deliver(self, frame, direction)

    async def _take_error(self, frame: ErrorFrame, direction: FrameDirection) -> None:
        failure = failure_of(frame)
        if failure is None:
            await self._deliver(self, frame, direction)
            return
        self._note(failure)
        if self._open:
            await self._fail(self, failure)

    def _note(self, failure: Failure) -> Failure:
        if not self._failed.done():
            self._failed.set_result(failure)
        return failure
