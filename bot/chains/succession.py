"""Who hears the caller: the member in use, the search for the next, the way back to the best."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from bot.chains.failures import Failure, MemberFailed
from bot.chains.lineup import Lineup
from bot.chains.member import Member
from bot.chains.reopening import Reopening
from services.candidates import Candidate

#: A vendor that was there for less has not been found again yet.
STEADY_SECONDS: Final = 5.0


class Opens(Protocol):
    """A chain, as far as it is needed here."""

    @property
    def lineup(self) -> Lineup:
        """Who may serve."""

    async def open_member(self, candidate: Candidate, within_seconds: float) -> Member:
        """A new member, ready for work."""

    def retire(self, member: Member) -> None:
        """Let a member go."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do something beside the frames."""


class Succession:
    """One member at a time, and whoever follows.

    Args:
        chain: Opens members and lets them go.
        connect_seconds: How long a vendor may take to be ready.
        take_over: Has a member hear what has no text yet and puts it in :attr:`member`; False
            if it failed over that.
        quiet: Whether all that the caller has said was heard.
        on_nobody: Awaited when nobody is left.

    Attributes:
        member: Who is in use; None while somebody is sought.
    """

    def __init__(
        self,
        chain: Opens,
        connect_seconds: float,
        *,
        take_over: Callable[[Member], Awaitable[bool]],
        quiet: Callable[[], bool],
        on_nobody: Callable[[], Awaitable[None]],
    ) -> None:
        self._chain = chain
        self._connect_seconds = connect_seconds
        self._take_over = take_over
        self._quiet = quiet
        self._on_nobody = on_nobody
        self.member: Member | None = None
        self._since = 0.0
        self._standby: Member | None = None
        self._search: asyncio.Task[None] | None = None
        self._return: asyncio.Task[None] | None = None
        self._plan: Reopening | None = None

    def begin(self) -> None:
        """Open the first one."""
        self._seek(self._new_plan())

    def seat(self, member: Member) -> None:
        """From now on this one is in use."""
        self.member = member
        self._since = asyncio.get_running_loop().time()

    def proven(self) -> None:
        """The one in use has been heard of: what was sought is found."""
        self._plan = None

    def lost(self, failure: Failure, *, owing: bool) -> None:
        """The one in use is of no more use.

        Args:
            owing: Whether it leaves speech without a text. As long as that is so, or vendors
                fail as soon as they are there, it is one and the same search, with one end.
        """
        lost, self.member = self.member, None
        if lost is None:
            return
        served_seconds = asyncio.get_running_loop().time() - self._since
        if self._plan is None or (served_seconds >= STEADY_SECONDS and not owing):
            self._plan = self._new_plan()
        self._plan.failed(lost.candidate, failure)
        self._seek(self._plan)

    def forget(self, member: Member) -> None:
        """One that only stood by has failed."""
        if member is self._standby:
            self._standby = None

    def change_language(self, standby: Member | None) -> None:
        """The language is another one: ``standby`` takes over, or whoever has it.

        Who is in use is kept where it hears the new language as well.
        """
        if self._return is not None:
            self._return.cancel()
        unwanted, self._standby = self._standby, standby
        if unwanted is not None:
            self._chain.retire(unwanted)
        self._return = self._plan = None
        if self.member is None:
            self._seek(self._new_plan())
        elif standby is not None:
            self._return = self._chain.spawn(self._swap())
        elif self.member.candidate not in self._chain.lineup:
            old, self.member = self.member, None
            self._chain.retire(old)
            self._seek(self._new_plan())

    def pause(self) -> None:
        """The caller has said all, and it was heard: a good moment to go back to a better one.

        If it is not there yet it is opened, and takes over in the next pause.
        """
        if self.member is None or self._return is not None:
            return
        if self._standby is not None:
            self._return = self._chain.spawn(self._swap())
        elif (better := self._chain.lineup.better_than(self.member.candidate)) is not None:
            self._return = self._chain.spawn(self._go_back_to(better))

    def _new_plan(self) -> Reopening:
        loop = asyncio.get_running_loop()
        return Reopening(self._chain.lineup, loop.time, self._connect_seconds)

    def _seek(self, plan: Reopening) -> None:
        for task in (self._search, self._return):
            if task is not None:
                task.cancel()
        self._search = self._chain.spawn(self._find(plan))

    async def _find(self, plan: Reopening) -> None:
        standby, self._standby = self._standby, None
        if standby is not None and await self._entrust(standby):
            return
        while (attempt := plan.next()) is not None:
            await asyncio.sleep(attempt.wait_seconds)
            try:
                member = await self._chain.open_member(attempt.candidate, attempt.within_seconds)
            except MemberFailed as error:
                plan.failed(attempt.candidate, error.failure)
                continue
            if await self._entrust(member):
                return
            plan.failed(attempt.candidate, Failure("dropped", "it failed while it caught up"))
        await self._on_nobody()

    async def _go_back_to(self, better: Candidate) -> None:
        try:
            self._standby = await self._chain.open_member(better, self._connect_seconds)
        except MemberFailed:
            return
        finally:
            self._return = None
        if self._quiet():
            await self._swap()

    async def _swap(self) -> None:
        standby, current = self._standby, self.member
        self._standby = self._return = None
        if standby is not None and current is not None and await self._entrust(standby):
            self._chain.retire(current)

    async def _entrust(self, member: Member) -> bool:
        try:
            return await self._take_over(member)
        except asyncio.CancelledError:
            self._chain.retire(member)
            raise
