"""Who answers the conversation, and the call's own frames on their way through them."""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from pipecat.frames.frames import Frame, InterruptionFrame
from pipecat.processors.frame_processor import FrameDirection

from bot.chains.failures import MemberFailed
from bot.chains.member import Member
from bot.chains.succession import Opens
from services.candidates import Candidate

#: Building a client takes milliseconds; models connect with each request.
OPEN_SECONDS: Final = 2.0
#: Frames given to the member whose passage through it is remembered.
REMEMBERED_FRAMES: Final = 64


@runtime_checkable
class SpeaksLanguages(Protocol):
    """A model of this process that has its texts in several languages."""

    def change_language(self, language: str) -> None:
        """Answer in ``language``, a code of ours, from now on."""


class Seat:
    """One model at a time, which sees what passes the chain.

    What it is shown comes out of it again, between its own words; so does the caller's
    interruption, and what it says before that is void.

    Args:
        chain: Opens members and lets them go.
        language: Our code of the language to begin with.
        on_seated: Told who answers from now on, before they are shown anything.

    Attributes:
        member: Who answers; None while nobody is there.
    """

    def __init__(
        self, chain: Opens, language: str, *, on_seated: Callable[[Candidate], None]
    ) -> None:
        self._chain = chain
        self._language = language
        self._on_seated = on_seated
        self.member: Member | None = None
        self._given: deque[int] = deque(maxlen=REMEMBERED_FRAMES)
        #: The interruption on its way through the member; what comes before it is void.
        self._cut_id: int | None = None
        self._early: deque[tuple[Frame, FrameDirection]] = deque(maxlen=REMEMBERED_FRAMES)

    async def show(self, frame: Frame, direction: FrameDirection) -> None:
        """Let the member see a frame; where nobody is there yet, whoever comes."""
        if isinstance(frame, InterruptionFrame):
            self._cut_id = frame.id if self.member is not None else None
        if self.member is None:
            self._early.append((frame, direction))
        else:
            await self._give(self.member, frame, direction)

    async def interrupt(self) -> None:
        """What the member still says of its answer is void."""
        if self.member is not None:
            await self.show(InterruptionFrame(), FrameDirection.DOWNSTREAM)

    def says(self, member: Member, frame: Frame) -> bool:
        """Whether what came out of ``member`` is its own, and counts."""
        if frame.id == self._cut_id:
            self._cut_id = None
        if frame.id in self._given:
            self._given.remove(frame.id)
            return False
        return member is self.member and self._cut_id is None

    async def fill(self) -> None:
        """Have somebody there before the first question."""
        tried: set[Candidate] = set()
        while self.member is None and (candidate := self._chain.lineup.pick(tried)) is not None:
            try:
                await self.member_of(candidate, lambda: self.member is None)
            except MemberFailed:
                tried.add(candidate)

    async def member_of(self, candidate: Candidate, wanted: Callable[[], bool]) -> Member | None:
        """The member that is there if it is this one's, else a new one in its place.

        Args:
            candidate: Who it is to be.
            wanted: Whether what it is for still waits for it.

        Returns:
            None where it is not wanted any more.

        Raises:
            MemberFailed: It could not be opened.
        """
        present = self.member
        if present is not None and present.open and present.candidate == candidate:
            return present if wanted() else None
        member = await self._chain.open_member(candidate, OPEN_SECONDS)
        if not wanted():
            self._chain.retire(member)
            return None
        await self.install(member)
        return member

    async def install(self, member: Member) -> None:
        """From now on this one answers; it is shown what came while nobody was there."""
        previous, self.member = self.member, member
        self._cut_id = None
        if previous is not None:
            self._chain.retire(previous)
        self._on_seated(member.candidate)
        self.change_language(self._language)
        early = list(self._early)
        self._early.clear()
        for frame, direction in early:
            if self.member is not None:
                await self._give(self.member, frame, direction)

    def change_language(self, language: str) -> None:
        """The next answer is in ``language``, a code of ours."""
        self._language = language
        if self.member is not None and isinstance(self.member.service, SpeaksLanguages):
            self.member.service.change_language(language)

    def leave(self) -> None:
        """The member has failed."""
        self.member = None

    async def _give(self, member: Member, frame: Frame, direction: FrameDirection) -> None:
        self._given.append(frame.id)
        await member.send(frame, direction)
