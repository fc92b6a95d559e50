"""What the chains of all stages share: members that come and go, and what is told of it."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

from loguru import logger
from pipecat.frames.frames import CancelFrame, EndFrame, Frame, StartFrame
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)

from bot.chains.failures import Failure, MemberFailed
from bot.chains.lineup import Lineup
from bot.chains.member import Member
from bot.reporter import CallReporter
from config.errors import VoiceServerError
from config.providers import ProviderKind
from services.breakers import BreakerBoard
from services.candidates import Candidate

#: How long a stage whose every key was refused waits for the backend to give another.
RENEWAL_SECONDS = 0.5
#: How long the end of a call waits for its vendors to let go.
CLOSE_SECONDS = 2.0

OnExhausted = Callable[[ProviderKind], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendors:
    """Who may serve a stage, and how to get a service of theirs.

    Attributes:
        kind: The stage.
        candidates: For a language (our code), best first.
        build: A new Pipecat service of a candidate; raises ``VoiceServerError``.
        breakers: The process's.
        rejected: Told of a candidate whose key its vendor has refused.
    """

    kind: ProviderKind
    candidates: Callable[[str], tuple[Candidate, ...]]
    build: Callable[[Candidate], FrameProcessor]
    breakers: BreakerBoard
    rejected: Callable[[Candidate], None] = lambda candidate: None


class Chain(FrameProcessor):
    """One stage of a call. Runs inline: its members have the queues and tasks.

    A subclass gives members work and takes what they deliver. Everything runs on one event
    loop; whatever a method reads before an ``await`` may have changed after it.

    Args:
        vendors: Who may serve.
        language: Our code of the language to begin with.
        reporter: Told of every failure.
        on_exhausted: Awaited when a piece of work is given up because nobody is left for it.
    """

    #: Of a chain that has ended.
    _KEPT: ClassVar[frozenset[str]] = frozenset(
        {"kind", "_ended", "_members", "_spares", "_jobs", "_closing"}
    )

    def __init__(
        self,
        vendors: Vendors,
        *,
        language: str,
        reporter: CallReporter,
        on_exhausted: OnExhausted,
    ) -> None:
        super().__init__(name=f"{vendors.kind.title()}Chain", enable_direct_mode=True)
        self.kind = vendors.kind
        self.language = language
        self.reporter = reporter
        self._vendors = vendors
        self._on_exhausted = on_exhausted
        self._lineups: dict[str, Lineup] = {}
        self._members: set[Member] = set()
        #: Opened for another language, in which nothing has been spoken yet.
        self._spares: dict[str, Member] = {}
        self._jobs: set[asyncio.Task[Any]] = set()
        self._closing: set[asyncio.Task[Any]] = set()
        self._ended = False
        self._provider = self.lineup.preferred.provider

    @property
    def lineup(self) -> Lineup:
        """Who may serve in the present language."""
        return self._lineup_for(self.language)

    def _lineup_for(self, language: str) -> Lineup:
        found = self._lineups.get(language)
        if found is None:
            candidates = self._vendors.candidates(language)
            if self._lineups:
                found = next(iter(self._lineups.values())).for_others(candidates)
            else:
                clock = asyncio.get_running_loop().time
                found = Lineup(candidates, self._vendors.breakers, clock)
            self._lineups[language] = found
        return found

    async def renewed(self) -> bool:
        """Whether somebody whose key was refused has another; waits a moment for that."""
        if not self.lineup.hopeless:
            return False
        await asyncio.sleep(RENEWAL_SECONDS)
        fresh = self.lineup.for_others(self._vendors.candidates(self.language))
        if fresh.hopeless:
            return False
        self._lineups[self.language] = fresh
        return True

    @property
    @abstractmethod
    def in_use(self) -> Member | None:
        """The member that serves now."""

    async def make_ready(self, language: str, within_seconds: float) -> bool:
        """Have somebody there who serves ``language``, beside who serves now.

        Who serves now is kept where another language makes no difference to them.

        Args:
            language: Our code.
            within_seconds: How long each vendor may take to connect.

        Returns:
            Whether somebody is there.
        """
        lineup, tried = self._lineup_for(language), set[Candidate]()
        spare = self._spares.get(language)
        if spare is not None and spare.open:
            return True
        while not self._ended and (candidate := lineup.pick(tried)) is not None:
            current = self.in_use
            if current is not None and current.open and current.candidate == candidate:
                return True
            try:
                self._spares[language] = await self.open_member(candidate, within_seconds)
            except MemberFailed:
                tried.add(candidate)
            else:
                return True
        return False

    def forget_spares(self) -> None:
        """Let go what was opened for a change of the language that does not come."""
        for member in self._spares.values():
            self.retire(member)
        self._spares.clear()

    def take_spare(self, language: str) -> Member | None:
        """Who was opened for ``language``, if still there; the others are let go."""
        spare = self._spares.pop(language, None)
        self.forget_spares()
        return spare if spare is not None and spare.open else None

    @property
    def provider(self) -> str:
        """Name of who serves now, for the record."""
        return self._provider

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Begin and end with the pipeline; all else is the subclass's."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            await self.begin()
        elif isinstance(frame, (EndFrame, CancelFrame)):
            await self._end()
            await self.push_frame(frame, direction)
        else:
            await self.handle(frame, direction)

    async def begin(self) -> None:
        """The pipeline has started."""

    @abstractmethod
    async def handle(self, frame: Frame, direction: FrameDirection) -> None:
        """Any frame but the pipeline's first and last."""

    @abstractmethod
    async def delivered(self, member: Member, frame: Frame, direction: FrameDirection) -> None:
        """Something that a member's service pushed."""

    @abstractmethod
    async def failed(self, member: Member, failure: Failure) -> None:
        """A member that was open has failed; it has been counted and told."""

    async def open_member(self, candidate: Candidate, within_seconds: float) -> Member:
        """A new member, ready for work.

        Raises:
            MemberFailed: It could not be opened; this has been counted and told. Or the call
                has ended meanwhile, which is nobody's fault.
        """
        self._refuse_if_ended()
        self.lineup.begin(candidate)
        try:
            service = self._vendors.build(candidate)
        except Exception as error:
            # A vendor's client may raise anything, and a call must not end with it.
            if isinstance(error, VoiceServerError):
                text = error.message
            else:
                text = f"{type(error).__name__}: {error}"
            failure = Failure("config", text)
            self.note(candidate, failure)
            raise MemberFailed(failure) from error
        member = Member(candidate, service, deliver=self._deliver, fail=self._fail)
        self._members.add(member)
        try:
            await member.start(self.member_setup(), within_seconds)
        except MemberFailed as error:
            self.retire(member)
            self._refuse_if_ended()
            self.note(candidate, error.failure)
            raise
        except asyncio.CancelledError:
            self.retire(member)
            raise
        self._refuse_if_ended()
        return member

    def _refuse_if_ended(self) -> None:
        if self._ended:
            raise MemberFailed(Failure("error", "the call is over"))

    def member_setup(self) -> FrameProcessorSetup:
        """What a member is set up with: the pipeline's own."""
        return self.processor_setup

    def retire(self, member: Member) -> None:
        """Let a member go; it ends by itself, in its own time."""
        if member in self._members:
            self._members.discard(member)
            self._close(member)

    def note(self, candidate: Candidate, failure: Failure) -> None:
        """Count and tell one failure of one vendor."""
        self.lineup.failed(candidate, failure)
        if failure.kind == "auth":
            self._vendors.rejected(candidate)
        self.reporter.degraded(self.kind, failure.kind, failure.detail, candidate.provider)

    def serves(self, candidate: Candidate) -> None:
        """From now on this one serves; told where it is not who served before."""
        if candidate.provider != self._provider:
            logger.info(f"{self.kind}: {candidate.provider} takes over from {self._provider}")
        self._provider = candidate.provider

    async def exhausted(self) -> None:
        """Nobody is left for a piece of work."""
        self.reporter.degraded(self.kind, "exhausted", "nobody is left to serve", None)
        await self._on_exhausted(self.kind)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside the frames; ended with the call."""
        task = asyncio.create_task(work, name=f"{self.kind}-chain")
        self._jobs.add(task)
        task.add_done_callback(self._job_done)
        return task

    async def cleanup(self) -> None:
        """Let everything go."""
        await self._end()
        await super().cleanup()  # type: ignore[no-untyped-call]

    def let_go(self) -> None:
        """Drop all but what those who come late still ask for; see :mod:`bot.letting_go`.

        A vendor that takes its time to end, and whoever waits for another language.
        """
        kept = {name: value for name, value in vars(self).items() if name in self._KEPT}
        vars(self).clear()
        vars(self).update(kept, _ended=True)

    async def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        for job in list(self._jobs):
            job.cancel()
        for member in list(self._members):
            self.retire(member)
        if self._closing:
            await asyncio.wait(list(self._closing), timeout=CLOSE_SECONDS)

    def _close(self, member: Member) -> None:
        closing = asyncio.create_task(member.close(), name=f"{self.kind}-member-close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _deliver(self, member: Member, frame: Frame, direction: FrameDirection) -> None:
        if not self._ended:
            await self.delivered(member, frame, direction)

    async def _fail(self, member: Member, failure: Failure) -> None:
        if self._ended or member not in self._members:
            return
        self.note(member.candidate, failure)
        self.retire(member)
        await self.failed(member, failure)

    def _job_done(self, job: "asyncio.Task[Any]") -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None:
            logger.opt(exception=error).error(f"a job of the {self.kind} chain failed: {error}")
