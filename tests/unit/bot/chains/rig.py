"""A chain in a real pipeline, between vendors that do as a test tells them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMThoughtTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory

from bot.chains.chain import Chain, Vendors
from bot.events import CallEvent, Degraded
from bot.pipeline_run import PipelineRun
from bot.reporter import CallReporter
from config.providers import ProviderKind
from services.breakers import BreakerBoard
from services.candidates import Candidate
from services.plain_llm import PlainAdapter, settled

F = TypeVar("F", bound=Frame)
RATE_HZ = 8000
#: How long a letter of the scripted voices sounds: as fast as the chains assume.
LETTER_MS = 1000 / 13


@dataclass(frozen=True)
class Do:
    """What a vendor does with one request.

    Attributes:
        fail: Report an error of this category.
        after: How many words come first; None is all of them.
        stall: Then say nothing more, without an end.
        ends: A voice says at once that it has spoken all, whatever came.
        wait_seconds: Before anything.
        pace: Seconds of real time for a second of audio.
        retry_after: Of a ``Retry-After`` header.
        text: A model's answer.
        took: What a model says that it took.
        babble: After its words a voice goes on for so many seconds of sound.
        rambles: After its words a model goes on with so many pieces like this one.
        ramble: Such a piece.
        thinks: Whether those are thoughts.
    """

    fail: ErrorCategory | None = None
    after: int | None = None
    stall: bool = False
    ends: bool = False
    wait_seconds: float = 0.0
    pace: float = 0.0
    retry_after: str | None = None
    text: str = "One two three. Four five six."
    took: LLMTokenUsage | None = None
    babble: int = 0
    rambles: int = 0
    ramble: str = "more "
    thinks: bool = False


class _Response:
    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers


class VendorError(Exception):
    """As HTTP clients raise it."""

    def __init__(self, retry_after: str | None) -> None:
        super().__init__("refused")
        self.response = _Response({"retry-after": retry_after} if retry_after else {})


@dataclass
class Vendor:
    """One vendor: what it does with each request, over all its connections; the last for ever.

    Attributes:
        opens: How its connections open: seconds to wait; 1e6 is never.
        word_times: Whether it tells when each word is spoken.
        ahead: Whether it tells that of a whole sentence before its audio.
        asked: What it was asked, in order.
        built: Its services so far.
        gave: Pieces that it gave without having been asked for them.
    """

    name: str
    does: Sequence[Do] = (Do(),)
    opens: float = 0.0
    word_times: bool = False
    ahead: bool = False
    asked: list[Any] = field(default_factory=list)
    built: list[Any] = field(default_factory=list)
    gave: int = 0

    def next(self, request: Any) -> Do:
        self.asked.append(request)
        return self.does[min(len(self.asked), len(self.does)) - 1]


class Voice(TTSService):
    """Speaks as its vendor does."""

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(
            sample_rate=RATE_HZ,
            push_start_frame=True,
            push_stop_frames=True,
            push_text_frames=not vendor.word_times,
            settings=TTSSettings(model=None, voice=None, language=None),
        )
        self.vendor = vendor

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        await super().setup(setup)
        await asyncio.sleep(self.vendor.opens)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        do = self.vendor.next(text)
        await asyncio.sleep(do.wait_seconds)
        spoken_seconds = 0.0
        if self.vendor.ahead:
            for word in text.split():
                await self.add_word_timestamps([(word, spoken_seconds)], context_id)
                spoken_seconds += len(word) * LETTER_MS / 1000
        for word in text.split()[: do.after]:
            if self.vendor.word_times and not self.vendor.ahead:
                await self.add_word_timestamps([(word, spoken_seconds)], context_id)
            seconds = len(word) * LETTER_MS / 1000
            spoken_seconds += seconds
            await asyncio.sleep(seconds * do.pace)
            audio = (self.vendor.name[0].encode() * 2) * round(seconds * RATE_HZ)
            yield TTSAudioRawFrame(audio, RATE_HZ, 1, context_id=context_id)
        for _ in range(do.babble * 10):
            await asyncio.sleep(0)
            audio = (self.vendor.name[0].encode() * 2) * (RATE_HZ // 10)
            self.vendor.gave += 1
            yield TTSAudioRawFrame(audio, RATE_HZ, 1, context_id=context_id)
        await asyncio.sleep(0.01)
        if do.fail is not None:
            error = VendorError(do.retry_after)
            await self.push_error("it failed", exception=error, category=do.fail)
        if do.ends:
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)
        if do.stall or do.fail is not None:
            await asyncio.sleep(1e6)


class Model(LLMService[PlainAdapter]):
    """Answers as its vendor does."""

    adapter_class = PlainAdapter

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(settings=settled("rig"))
        self.vendor = vendor

    def can_generate_metrics(self) -> bool:
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        await super().setup(setup)
        await asyncio.sleep(self.vendor.opens)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame.context)
        else:
            await self.push_frame(frame, direction)

    async def _answer(self, context: LLMContext) -> None:
        do = self.vendor.next(list(context.messages))
        await self.push_frame(LLMFullResponseStartFrame())
        await asyncio.sleep(do.wait_seconds)
        try:
            for word in do.text.split()[: do.after]:
                await self._push_llm_text(f"{word} ")
            for _ in range(do.rambles):
                await asyncio.sleep(0)
                self.vendor.gave += 1
                if do.thinks:
                    await self.push_frame(LLMThoughtTextFrame(do.ramble))
                else:
                    await self._push_llm_text(do.ramble)
            if do.stall:
                await asyncio.sleep(1e6)
        finally:
            # As Pipecat's services do: told of an answer that is cut short, too.
            if do.took is not None:
                await self.start_llm_usage_metrics(do.took)
        if do.fail is not None:
            error = VendorError(do.retry_after)
            await self.push_error("it failed", exception=error, category=do.fail)
        await self.push_frame(LLMFullResponseEndFrame())


class Collector(FrameProcessor):
    """Keeps what goes by, with its time."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.frames: list[tuple[float, Frame, FrameDirection]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append((asyncio.get_running_loop().time(), frame, direction))
        await self.push_frame(frame, direction)


@dataclass
class Rig:
    """A chain that runs.

    Attributes:
        dropped: The queues that were full, once for each thing that did not fit in.
        given_up: Loop times at which nobody was left.
    """

    chain: Chain
    run: PipelineRun
    before: Collector
    after: Collector
    events: list[CallEvent]
    dropped: list[str]
    given_up: list[float]
    breakers: BreakerBoard

    def of(self, kind: type[F]) -> list[F]:
        """What came out, of one kind."""
        return [
            frame
            for _, frame, direction in self.after.frames
            if isinstance(frame, kind) and direction is FrameDirection.DOWNSTREAM
        ]

    def times(self, kind: type[Frame]) -> list[float]:
        """When it came out."""
        return [at for at, frame, _ in self.after.frames if isinstance(frame, kind)]

    @property
    def degraded(self) -> list[tuple[str | None, str]]:
        """Provider and kind of every failure told."""
        return [(e.provider, e.kind) for e in self.events if isinstance(e, Degraded)]

    async def send(self, *frames: Frame) -> None:
        """Put frames into the pipeline."""
        for frame in frames:
            await self.run.queue(frame)
        await asyncio.sleep(0)


Make = Callable[[Vendors, CallReporter, Callable[[ProviderKind], Any]], Chain]


@asynccontextmanager
async def rig(kind: ProviderKind, vendors: Sequence[Vendor], make: Make) -> AsyncIterator[Rig]:
    """A chain of ``vendors`` in a pipeline, ended with the block."""
    loop = asyncio.get_running_loop()
    by_name = {vendor.name: vendor for vendor in vendors}
    services: dict[str, type[FrameProcessor]] = {"tts": Voice, "llm": Model}

    def build(candidate: Candidate) -> FrameProcessor:
        vendor = by_name[candidate.provider]
        service: Any = services[kind]
        vendor.built.append(service(vendor))
        return vendor.built[-1]  # type: ignore[no-any-return]

    candidates = tuple(
        Candidate(kind=kind, provider=vendor.name, language="hi", account="a") for vendor in vendors
    )
    events: list[CallEvent] = []
    given_up: list[float] = []
    dropped: list[str] = []
    reporter = CallReporter("hi", on_dropped=dropped.append)
    reporter.begin(events.append, loop.time())

    async def give_up(_kind: ProviderKind) -> None:
        given_up.append(loop.time())

    breakers = BreakerBoard(clock=loop.time)
    parts = Vendors(kind=kind, candidates=lambda _: candidates, build=build, breakers=breakers)
    chain = make(parts, reporter, give_up)
    before, after = Collector(), Collector()
    run = PipelineRun(Pipeline([before, chain, after]), rate_in_hz=RATE_HZ, rate_out_hz=RATE_HZ)
    run.start()
    await run.started.wait()
    try:
        yield Rig(chain, run, before, after, events, dropped, given_up, breakers)
    finally:
        await run.stop()
