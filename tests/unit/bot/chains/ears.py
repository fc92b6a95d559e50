"""Recognisers that do as a test tells them, a chain of them, and a caller who is counted."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601

from bot.chains.chain import Vendors
from bot.chains.frames import HearingBehindFrame, HearingCaughtUpFrame
from bot.chains.stt import SttChain
from bot.events import CallEvent, Degraded
from bot.pipeline_run import PipelineRun
from bot.reporter import CallReporter
from config.agent_stages import SttDeadlines
from config.providers import ProviderKind
from services.breakers import BreakerBoard
from services.candidates import Candidate
from services.offline.frames import UnrecognizedSpeechFrame

RATE_HZ = 8000
#: Audio comes in pieces of 40 ms; each holds its own number.
PIECE_SAMPLES = 320
PIECE_SECONDS = PIECE_SAMPLES / RATE_HZ
USUAL_SECONDS = 0.35
START_SECONDS, STOP_SECONDS = 0.16, 0.2


class TooMany(Exception):
    """A refusal that says when to come again."""

    def __init__(self, retry_after: str) -> None:
        super().__init__("429")
        self.response = SimpleNamespace(headers={"retry-after": retry_after})


@dataclass(frozen=True)
class Opening:
    """How one connection is taken.

    Attributes:
        seconds: How long it takes.
        refused: Why it fails then.
        error: Goes with that.
    """

    seconds: float = 0.01
    refused: ErrorCategory | None = None
    error: Exception | None = None


HANGS = Opening(seconds=1e5)
GONE = Opening(0.0, ErrorCategory.CONNECTIVITY)


class Ear(STTService):
    """A recogniser that hears what it is given, and says what a test has it say."""

    def __init__(self, provider: str, opening: Opening) -> None:
        super().__init__(
            audio_passthrough=False,
            sample_rate=RATE_HZ,
            ttfs_p99_latency=USUAL_SECONDS,
            settings=STTSettings(model=None, language=None),
        )
        self.provider = provider
        self.began_at = asyncio.get_running_loop().time()
        self.pieces: list[int] = []
        self.heard: list[int | str] = []
        self._opening = opening

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Connect."""
        await super().setup(setup)
        await asyncio.sleep(self._opening.seconds)
        if self._opening.refused is not None:
            await self.fails(self._opening.refused, self._opening.error)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note what comes."""
        if isinstance(frame, InputAudioRawFrame):
            numbers = np.unique(np.frombuffer(frame.audio, np.int16))
            self.heard += [int(number) for number in numbers]
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self.heard.append("start")
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self.heard.append("stop")
        await super().process_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Nothing comes of itself."""
        yield None

    @property
    def numbers(self) -> list[int]:
        """The pieces of audio that it heard."""
        return [item for item in self.heard if isinstance(item, int)]

    async def says(
        self, text: str, *, finalized: bool = True, until_seconds: float | None = None
    ) -> None:
        """A final text; ``until_seconds`` of what it was given are in it."""
        result = None
        if until_seconds is not None:
            result = SimpleNamespace(start=0.0, duration=until_seconds)
        frame = TranscriptionFrame(text, "caller", time_now_iso8601(), result=result)
        frame.finalized = finalized
        await self.push_frame(frame)

    async def guesses(self, text: str) -> None:
        """An interim text."""
        await self.push_frame(InterimTranscriptionFrame(text, "caller", time_now_iso8601()))

    async def shrugs(self, *, answered: bool = True) -> None:
        """It understood nothing, or its service takes it that it did not."""
        await self.push_frame(UnrecognizedSpeechFrame(answered=answered))

    async def fails(
        self,
        category: ErrorCategory = ErrorCategory.CONNECTIVITY,
        error: Exception | None = None,
    ) -> None:
        """It is of no more use."""
        await self.push_error("it is gone", exception=error, category=category)


class Behind(FrameProcessor):
    """What stands behind the chain."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep it."""
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)


@dataclass
class Scene:
    """A chain at work."""

    chain: SttChain
    behind: Behind
    run: PipelineRun
    breakers: BreakerBoard
    ears: list[Ear]
    plans: dict[str, deque[Opening]]
    events: list[CallEvent] = field(default_factory=list)
    given_up_at: list[float] = field(default_factory=list)
    pieces: int = 0

    @property
    def ear(self) -> Ear:
        """The recogniser that was made last."""
        return self.ears[-1]

    @property
    def providers(self) -> list[str]:
        """Whose recognisers were made, in order."""
        return [ear.provider for ear in self.ears]

    def openings_since(self, at: float) -> list[tuple[str, float]]:
        """Who was opened since, and how much later."""
        return [
            (ear.provider, round(ear.began_at - at, 2)) for ear in self.ears if ear.began_at >= at
        ]

    async def begin(self, *, ready: bool = True) -> None:
        """The pipeline starts, and a vendor is opened."""
        self.run.start()
        await self.run.started.wait()
        if ready:
            await asyncio.sleep(0.1)

    async def hears(self, seconds: float) -> None:
        """Audio comes, in real time."""
        for _ in range(round(seconds / PIECE_SECONDS)):
            self.pieces += 1
            pcm = np.full(PIECE_SAMPLES, self.pieces, np.int16).tobytes()
            await self.chain.queue_frame(InputAudioRawFrame(pcm, RATE_HZ, 1))
            await asyncio.sleep(PIECE_SECONDS)

    async def starts(self) -> None:
        """The caller begins to speak, and is noticed."""
        await self.hears(START_SECONDS)
        await self.chain.queue_frame(VADUserStartedSpeakingFrame(start_secs=START_SECONDS))

    async def stops(self) -> None:
        """The caller stops, and is noticed."""
        await self.hears(STOP_SECONDS)
        await self.chain.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=STOP_SECONDS))

    async def speaks(self, seconds: float) -> None:
        """The caller says something."""
        await self.starts()
        await self.hears(seconds - START_SECONDS)
        await self.stops()

    @property
    def told(self) -> list[str]:
        """What turn-taking was told, in order: texts, and words for the rest."""
        words = {
            VADUserStartedSpeakingFrame: "start",
            VADUserStoppedSpeakingFrame: "stop",
            UnrecognizedSpeechFrame: "?",
            HearingBehindFrame: "behind",
            HearingCaughtUpFrame: "caught up",
        }
        found = []
        for frame in self.behind.frames:
            if isinstance(frame, TranscriptionFrame):
                found.append(f"'{frame.text}'")
            elif type(frame) in words:
                found.append(words[type(frame)])
        return found

    @property
    def texts(self) -> list[str]:
        """The final texts."""
        return [f.text for f in self.behind.frames if isinstance(f, TranscriptionFrame)]

    @property
    def degraded(self) -> list[tuple[str, str | None]]:
        """What was reported as failed: kind and provider."""
        return [(e.kind, e.provider) for e in self.events if isinstance(e, Degraded)]


@asynccontextmanager
async def scene(
    *providers: str,
    plans: Mapping[str, Sequence[Opening]] | None = None,
    ready: bool = True,
    start: bool = True,
) -> AsyncIterator[Scene]:
    """A chain of ``providers``; those without a plan are well.

    Args:
        ready: Whether the first has been opened.
        start: Whether the pipeline runs at all.
    """
    loop = asyncio.get_running_loop()
    reporter = CallReporter("en-IN")
    events: list[CallEvent] = []
    reporter.begin(events.append, loop.time())
    ears: list[Ear] = []
    openings = {name: deque(plan) for name, plan in (plans or {}).items()}
    breakers = BreakerBoard(clock=loop.time)

    def build(candidate: Candidate) -> Ear:
        plan = openings.get(candidate.provider)
        ear = Ear(candidate.provider, plan.popleft() if plan else Opening())
        ears.append(ear)
        return ear

    candidates = tuple(
        Candidate(kind="stt", provider=name, language="en-IN", account="a")
        for name in providers or ("one", "two")
    )
    given_up_at: list[float] = []

    async def on_exhausted(_kind: ProviderKind) -> None:
        given_up_at.append(loop.time())

    chain = SttChain(
        Vendors(kind="stt", candidates=lambda _: candidates, build=build, breakers=breakers),
        language="en-IN",
        reporter=reporter,
        on_exhausted=on_exhausted,
        deadlines=SttDeadlines(),
        rate_hz=RATE_HZ,
    )
    behind = Behind()
    run = PipelineRun(Pipeline([chain, behind]), rate_in_hz=RATE_HZ, rate_out_hz=RATE_HZ)
    call = Scene(chain, behind, run, breakers, ears, openings, events, given_up_at)
    try:
        if start:
            await call.begin(ready=ready)
        yield call
    finally:
        await run.stop()
