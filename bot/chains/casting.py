"""Who speaks: the member in use, the search for the next, and the way back to a better one."""

import asyncio
from collections.abc import Awaitable, Callable

from bot.chains.failures import Failure, MemberFailed
from bot.chains.member import Member
from bot.chains.succession import Opens
from services.candidates import Candidate

#: A vendor that has just spoken and hung up gets this long to be there again.
REOPEN_SECONDS = 1.0
#: Failures after which the same vendor, connected anew, may well go on.
_MENDABLE = frozenset({"dropped", "error"})
#: The same where nobody else is left.
_MENDABLE_ALONE = frozenset({"server", "flood"})


class Casting:
    """One voice at a time, and whoever follows.

    Args:
        chain: Opens members and lets them go.
        connect_seconds: How long a vendor may take to be ready.
        on_seated: Told who speaks from now on.
        feed: Gives the member what it is to speak.
        quiet: Whether no answer is being spoken.
        on_nobody: Awaited when nobody is left; may :meth:`search` again.

    Attributes:
        member: Who is in use; None while somebody is sought, or needed no more.
    """

    def __init__(
        self,
        chain: Opens,
        connect_seconds: float,
        *,
        on_seated: Callable[[Candidate], None],
        feed: Callable[[], Awaitable[None]],
        quiet: Callable[[], bool],
        on_nobody: Callable[[], Awaitable[None]],
    ) -> None:
        self._chain = chain
        self._connect_seconds = connect_seconds
        self._on_seated = on_seated
        self._feed = feed
        self._quiet = quiet
        self._on_nobody = on_nobody
        self.member: Member | None = None
        #: A better one that waits for the end of the answer.
        self._better: Member | None = None
        self._opening: asyncio.Task[None] | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._tried: set[Candidate] = set()
        self._reopened = False

    def need(self, again: Candidate | None = None) -> None:
        """Somebody is to speak; the same ``again`` first where that may help."""
        if self._opening is None or self._opening.done():
            self._opening = self._chain.spawn(self.search(again))

    async def search(self, again: Candidate | None = None) -> None:
        """Find somebody who speaks."""
        if self._better is not None and self._better.open:
            await self._take_over(self._better)
            return
        if again is not None:
            try:
                await self._take_over(await self._chain.open_member(again, REOPEN_SECONDS))
                return
            except MemberFailed:
                self._tried.add(again)
        while (candidate := self._chain.lineup.pick(self._tried)) is not None:
            try:
                member = await self._chain.open_member(candidate, self._connect_seconds)
            except MemberFailed:
                self._tried.add(candidate)
            else:
                await self._take_over(member)
                return
        self._tried.clear()
        await self._on_nobody()

    def proven(self) -> None:
        """The one in use has spoken a sentence whole."""
        if self.member is not None:
            self._chain.lineup.succeeded(self.member.candidate)
        self._tried.clear()
        self._reopened = False

    def lost(self, member: Member) -> bool:
        """A member has failed.

        Returns:
            Whether it was in use: then :meth:`replace` is to follow.
        """
        if member is self._better:
            self._better = None
        if member is not self.member:
            return False
        self.member = None
        return True

    def replace(
        self, same: Candidate, failure: Failure, *, idle: bool, had_spoken: bool, wanted: bool
    ) -> None:
        """Have somebody in the place of one that failed: the same again, or the next.

        Args:
            same: Who failed.
            failure: How.
            idle: Whether it had nothing to speak.
            had_spoken: Whether it had spoken some of what it was given.
            wanted: Whether anything is to be spoken now.
        """
        alone = not self.has_other(same)
        mendable = (failure.kind in _MENDABLE and (idle or had_spoken or alone)) or (
            alone and (failure.kind in _MENDABLE_ALONE or _was_busy_a_moment(failure))
        )
        if mendable and not self._reopened:
            self._reopened = not idle
            self.need(again=same)
        else:
            self._tried.add(same)
            if wanted:
                self.need()

    def has_other(self, candidate: Candidate) -> bool:
        """Whether somebody else is left to be tried."""
        return self._chain.lineup.has_other({*self._tried, candidate})

    def recover(self) -> None:
        """A new answer: somebody better may be fit again. It is opened beside the present one."""
        recovering = self._recovering is not None and not self._recovering.done()
        if self.member is None or self._better is not None or recovering:
            return
        better = self._chain.lineup.better_than(self.member.candidate)
        if better is not None:
            self._recovering = self._chain.spawn(self._return_to(better))

    async def change_over(self) -> None:
        """The better vendor takes over, but not in the middle of an answer."""
        better = self._better
        if better is not None and self._quiet():
            self._better = None
            await self._take_over(better)

    def change_language(self, spare: Member | None) -> None:
        """The language is another one: ``spare`` speaks, or whoever has it.

        Who is in use is kept where it speaks the new language as well.
        """
        self._tried.clear()
        self._reopened = False
        for job in (self._opening, self._recovering):
            if job is not None and job is not asyncio.current_task():
                job.cancel()
        self._opening = self._recovering = None
        old = self.member
        for unwanted in (self._better, old if spare or not self._still_fit(old) else None):
            if unwanted is not None:
                self._chain.retire(unwanted)
        self._better = None
        if spare is not None:
            self.member = spare
            self._on_seated(spare.candidate)
        elif not self._still_fit(old):
            self.member = None

    async def _take_over(self, member: Member) -> None:
        if self.member is not None and self.member is not member:
            self._chain.retire(self.member)
        if self._better is not None and self._better is not member:
            self._chain.retire(self._better)
        self.member = member
        self._better = None
        self._opening = None
        self._on_seated(member.candidate)
        await self._feed()

    async def _return_to(self, candidate: Candidate) -> None:
        try:
            self._better = await self._chain.open_member(candidate, self._connect_seconds)
        except MemberFailed:
            return
        await self.change_over()

    def _still_fit(self, member: Member | None) -> bool:
        return member is not None and member.candidate in self._chain.lineup


def _was_busy_a_moment(failure: Failure) -> bool:
    """Whether it was overloaded, and did not ask to be left alone for long."""
    return failure.kind == "rate_limit" and failure.retry_after_seconds <= REOPEN_SECONDS
