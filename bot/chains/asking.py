"""One question at a time: who is asked, who next, and how long each may take."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from pipecat.frames.frames import LLMContextFrame
from pipecat.processors.aggregators.llm_context import LLMContext

from bot.chains.deadline import Deadline
from bot.chains.failures import Failure, MemberFailed
from bot.chains.member import Member
from bot.chains.seat import Seat
from bot.chains.succession import Opens
from bot.chains.turn import Turn
from config.agent_stages import LlmDeadlines
from services.candidates import Candidate


class Asking:
    """Asks for the answer to a turn, one vendor after the other; takes no word of it itself.

    Args:
        chain: Knows who may serve.
        seat: Who answers.
        deadlines: How long a vendor may take.
        fail: Told when whoever was asked takes too long.
        on_nobody: Awaited when nobody is left for a turn.

    Attributes:
        turn: The question that was put last; None once it was cut off or given up.
    """

    def __init__(
        self,
        chain: Opens,
        seat: Seat,
        deadlines: LlmDeadlines,
        *,
        fail: Callable[[Member, Failure], Coroutine[Any, Any, None]],
        on_nobody: Callable[[Turn], Awaitable[None]],
    ) -> None:
        self._chain = chain
        self._seat = seat
        self._deadlines = deadlines
        self._fail = fail
        self._on_nobody = on_nobody
        self._deadline = Deadline(self._time_is_up)
        self.turn: Turn | None = None

    @property
    def open(self) -> Turn | None:
        """The turn of which more is awaited."""
        return self.turn if self.turn is not None and not self.turn.over else None

    @property
    def under_way(self) -> Turn | None:
        """The turn that somebody was asked, and of which more is awaited."""
        return self.open if self.open is not None and self.open.asked else None

    def begin(self, context: LLMContext) -> Turn:
        """Another question, in place of the one before; nobody is asked yet."""
        self.turn = turn = Turn(context, _now())
        return turn

    def drop(self) -> None:
        """Nobody waits for the answer any more."""
        self.turn = None
        self.stop_waiting()

    async def ask(self, turn: Turn) -> None:
        """Ask who is there, at once, or else whoever is better."""
        member = self._seat.member
        if member is not None and self._chain.lineup.better_than(member.candidate) is None:
            await self._ask(turn, member)
        else:
            self._chain.spawn(self.find_and_ask(turn))

    async def ask_late(self, turn: Turn) -> None:
        """Ask after something else was waited for, unless somebody was asked meanwhile."""
        if turn is self.turn and not turn.asked:
            turn.begin(_now())
            await self.find_and_ask(turn)

    async def find_and_ask(self, turn: Turn) -> None:
        """Ask whoever is best now."""
        tried = turn.used_up
        while (candidate := self._chain.lineup.pick(tried)) is not None:
            try:
                member = await self._seat.member_of(candidate, lambda: turn is self.turn)
            except MemberFailed:
                tried.add(candidate)
                continue
            if member is not None:
                await self._ask(turn, member)
            return
        await self._on_nobody(turn)

    async def ask_again(self, turn: Turn, candidate: Candidate, failure: Failure) -> None:
        """An attempt by ``candidate`` failed: somebody goes on, maybe the same."""
        others = self._chain.lineup.has_other({*turn.used_up, candidate})
        patience = turn.patience(candidate, failure, others=others)
        if patience is None:
            turn.use_up(candidate)
        else:
            await asyncio.sleep(patience)
        if turn is not self.turn:
            return
        if patience is None or not await self._asked_same(turn, candidate):
            await self.find_and_ask(turn)

    def progress(self, turn: Turn) -> None:
        """Whoever was asked gives something."""
        turn.progress = True
        if self._deadline.running:
            self._deadline.set(self._deadlines.stall_seconds)

    def stop_waiting(self) -> None:
        """What comes next may take any time, or nothing does."""
        self._deadline.stop()

    async def _ask(self, turn: Turn, member: Member) -> None:
        candidate = member.candidate
        takes_history = getattr(member.service, "takes_history", True)
        context = turn.ask(candidate, takes_history=takes_history)
        self._chain.lineup.begin(candidate)
        if candidate.remote:
            deadline = self._deadlines.first_token_seconds
            self._deadline.set(turn.first_token_seconds(deadline, _now()))
        await member.send(LLMContextFrame(context))

    async def _asked_same(self, turn: Turn, candidate: Candidate) -> bool:
        try:
            member = await self._seat.member_of(candidate, lambda: turn is self.turn)
        except MemberFailed:
            turn.use_up(candidate)
            return False
        if member is not None:
            await self._ask(turn, member)
        return True

    def _time_is_up(self, seconds: float) -> None:
        turn, member = self.open, self._seat.member
        if turn is None or member is None:
            return
        if turn.progress:
            failure = Failure("stalled", f"no more of its answer for {seconds:g} s")
        else:
            failure = Failure("no_result", f"no word of an answer for {seconds:g} s")
        self._chain.spawn(self._fail(member, failure))


def _now() -> float:
    return asyncio.get_running_loop().time()
