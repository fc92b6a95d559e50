"""A language model that answers although a vendor fails: asked again, or the next one is.

One turn at a time is watched: how long the model takes to begin and between two pieces of
text. What came before it broke off is spoken; the next attempt goes on from there.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol, runtime_checkable

from pipecat.frames.frames import (
    Frame,
    FunctionCallInProgressFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    LLMThoughtTextFrame,
    MetricsFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup

from bot.chains.chain import Chain, OnExhausted, Vendors
from bot.chains.deadline import Deadline
from bot.chains.failures import Failure, MemberFailed
from bot.chains.floods import (
    MAX_ANSWER_LETTERS,
    MAX_THOUGHT_LETTERS,
    MAX_TOOL_ROUNDS,
    ToolRounds,
)
from bot.chains.language import LanguageSwitchFrame
from bot.chains.member import Member
from bot.chains.seat import Seat
from bot.chains.tokens import tokens_of
from bot.chains.turn import Turn
from bot.reporter import CallReporter
from config.agent_stages import LlmDeadlines
from services.candidates import Candidate

#: How long a question waits for the vendors of another language to be there.
SETTLING_SECONDS: Final = 1.0


@runtime_checkable
class SpeaksLanguages(Protocol):
    """A model of this process that has its texts in several languages."""

    def change_language(self, language: str) -> None:
        """Answer in ``language``, a code of ours, from now on."""


class LlmChain(Chain):
    """Answers the conversation, whoever serves.

    Args:
        vendors: Who may serve.
        language: Our code of the language to begin with.
        reporter: Told of every failure.
        on_exhausted: Awaited when a turn gets no answer, or no more of it.
        deadlines: How long a vendor may take.
    """

    def __init__(
        self,
        vendors: Vendors,
        *,
        language: str,
        reporter: CallReporter,
        on_exhausted: OnExhausted,
        deadlines: LlmDeadlines,
    ) -> None:
        super().__init__(vendors, language=language, reporter=reporter, on_exhausted=on_exhausted)
        self._deadlines = deadlines
        self._seat = Seat(self, self._seated)
        self._turn: Turn | None = None
        self._deadline = Deadline(self._time_is_up)
        self._tool_rounds = ToolRounds()
        #: Called with every question, those after a tool's result too.
        self.on_asked: Callable[[], None] = lambda: None
        #: Waits for the end of the answer under way.
        self._switch: LanguageSwitchFrame | None = None
        #: Clear while a change of the language is being prepared: questions wait for it.
        self.settled = asyncio.Event()
        self.settled.set()
        #: Called when the conversation goes on in another language.
        self.on_language: Callable[[LanguageSwitchFrame], None] = lambda frame: None

    @property
    def in_use(self) -> Member | None:
        """See :class:`Chain`."""
        return self._seat.member

    @property
    def service(self) -> object | None:
        """The Pipecat service in use."""
        return self.in_use.service if self.in_use is not None else None

    @property
    def remote(self) -> bool:
        """Whether who answers now may keep the caller waiting."""
        return self.in_use is None or self.in_use.candidate.remote

    async def begin(self) -> None:
        """Open the preferred vendor."""
        self.spawn(self._open_first())

    async def handle(self, frame: Frame, direction: FrameDirection) -> None:
        """Ask for an answer; all else passes, and the vendor's service sees it too."""
        if isinstance(frame, LLMContextFrame):
            await self._begin_turn(frame.context)
            return
        if isinstance(frame, LanguageSwitchFrame):
            await self._take_switch(frame)
            return
        if isinstance(frame, InterruptionFrame):
            self._turn = None
            self._deadline.stop()
        await self._seat.show(frame, direction)
        await self.push_frame(frame, direction)
        await self._switch_if_due()

    async def delivered(self, member: Member, frame: Frame, direction: FrameDirection) -> None:
        """Pass on what the member says; what merely went through it has been passed on."""
        if isinstance(frame, MetricsFrame):
            # Before all else: what a void answer took is used up, too.
            for used in tokens_of(frame):
                self.reporter.model_used(member.candidate.provider, used.asked, used.answered)
            return
        if not self._seat.says(member, frame):
            return
        if direction is FrameDirection.UPSTREAM or self._turn is None or self._turn.over:
            # A model may speak of itself: a script answers keys.
            await self.push_frame(frame, direction)
        elif isinstance(frame, InterruptionFrame):
            self._turn = None
            self._deadline.stop()
            await self.push_frame(frame)
        else:
            await self._take(self._turn, member, frame)

    def member_setup(self) -> FrameProcessorSetup:
        """A model tells how many tokens it took; no other stage's service makes such frames."""
        return replace(self.processor_setup, enable_usage_metrics=True)

    async def failed(self, member: Member, failure: Failure) -> None:
        """The vendor in use failed."""
        if member is not self._seat.member:
            return
        self._seat.leave()
        turn = self._turn
        if turn is None or turn.over:
            self.spawn(self._open_first())
        else:
            self.spawn(self._ask_again(turn, member.candidate, failure))

    # -- the language -------------------------------------------------------------------------

    async def _take_switch(self, frame: LanguageSwitchFrame) -> None:
        """The language is to change; an answer under way is finished in the old one."""
        self._switch = frame
        await self._switch_if_due()

    async def _switch_if_due(self) -> None:
        turn, frame = self._turn, self._switch
        if frame is None or (turn is not None and turn.asked and not turn.over):
            return
        self._switch = None
        self.change_language(frame)
        await self._change_member()
        await self.push_frame(frame)

    def change_language(self, frame: LanguageSwitchFrame) -> None:
        """The next answer is in another language."""
        self.language = frame.language
        if isinstance(self.service, SpeaksLanguages):
            self.service.change_language(frame.language)
        self.on_language(frame)
        self.settled.set()

    async def turn_now(self, frame: LanguageSwitchFrame) -> None:
        """A tool's wish: behind the words of its answer; what the tool says is answered anew.

        It goes on from here and not from the model's service, which may just be replaced.
        """
        self.change_language(frame)
        await self.push_frame(frame)

    async def _change_member(self) -> None:
        spare = self.take_spare(self.language)
        if spare is not None:
            await self._seat.install(spare)

    async def _ask_when_settled(self, turn: Turn) -> None:
        """The caller has just asked for another language, in words or by speaking it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLING_SECONDS):
                await self.settled.wait()
        if turn is self._turn and not turn.asked:
            turn.begin(self._now())
            await self._find_and_ask(turn)

    # -- a turn -------------------------------------------------------------------------------

    async def _begin_turn(self, context: LLMContext) -> None:
        old = self._turn
        self._turn = turn = Turn(context, self._now())
        self.on_asked()
        if old is not None and old.asked and not old.over:
            await self._break_off(old)
        if self._tool_rounds.are_over(context):
            detail = f"tools were called {MAX_TOOL_ROUNDS} times in a row, without an answer"
            self.reporter.degraded("llm", "flood", detail, self.provider)
            await self._give_up(turn)
            return
        if not self.settled.is_set():
            self.spawn(self._ask_when_settled(turn))
            return
        if self.language in self._spares:
            await self._change_member()
        member = self._seat.member
        if member is not None and self.lineup.better_than(member.candidate) is None:
            await self._ask(turn, member)
        else:
            self.spawn(self._find_and_ask(turn))

    async def _break_off(self, turn: Turn) -> None:
        """Another question has come without an interruption: the old answer goes no further.

        What came of it is spoken. The model would else finish it first, and nobody could tell
        its words from those of the next.
        """
        self._deadline.stop()
        await self._pass_on(turn.answer.break_off())
        await self._seat.interrupt()

    async def _cut_short(self, turn: Turn, last: LLMTextFrame) -> None:
        """The answer has no end: what is long enough for any call is spoken, and no more."""
        await self._pass_on(turn.answer.text(last))
        detail = f"an answer of over {MAX_ANSWER_LETTERS} letters was cut there"
        self.reporter.degraded("llm", "too_long", detail, self.provider)
        turn.over = True
        await self._break_off(turn)
        await self._switch_if_due()

    async def _find_and_ask(self, turn: Turn) -> None:
        """Ask whoever is best now."""
        tried = turn.used_up
        while (candidate := self.lineup.pick(tried)) is not None:
            try:
                member = await self._seat.member_of(candidate, lambda: turn is self._turn)
            except MemberFailed:
                tried.add(candidate)
                continue
            if member is not None:
                await self._ask(turn, member)
            return
        if await self.renewed():
            await self._find_and_ask(turn)
        else:
            await self._give_up(turn)

    async def _ask(self, turn: Turn, member: Member) -> None:
        candidate = member.candidate
        takes_history = getattr(member.service, "takes_history", True)
        context = turn.ask(candidate, takes_history=takes_history)
        self.lineup.begin(candidate)
        if candidate.remote:
            deadline = self._deadlines.first_token_seconds
            self._deadline.set(turn.first_token_seconds(deadline, self._now()))
        await member.send(LLMContextFrame(context))

    async def _take(self, turn: Turn, member: Member, frame: Frame) -> None:
        match frame:
            case LLMFullResponseStartFrame():
                return  # Passed on with the first text.
            case LLMFullResponseEndFrame():
                await self._end_of_answer(turn, member, frame)
                return
            case LLMTextFrame():
                self._progress(turn)
                fitting = turn.answer.room(frame.text, MAX_ANSWER_LETTERS)
                if fitting is None:
                    await self._pass_on(turn.answer.text(frame))
                else:
                    await self._cut_short(turn, LLMTextFrame(fitting))
                return
            case LLMThoughtTextFrame():
                self._progress(turn)
                turn.thought += max(1, len(frame.text))
                if turn.thought > MAX_THOUGHT_LETTERS:
                    detail = f"over {MAX_THOUGHT_LETTERS} letters of thoughts"
                    await self._fail(member, Failure("flood", detail))
                    return
            case FunctionCallsStartedFrame() | FunctionCallInProgressFrame():
                # From here on it is our tools that take time.
                self._progress(turn)
                self._deadline.stop()
            case _:
                pass
        await self.push_frame(frame)

    async def _pass_on(self, frames: list[Frame]) -> None:
        for frame in frames:
            await self.push_frame(frame)

    async def _end_of_answer(self, turn: Turn, member: Member, frame: Frame) -> None:
        self._deadline.stop()
        if not turn.progress and member.candidate.remote:
            await self._fail(member, Failure("no_result", "an answer without a word"))
            return
        await self._pass_on(turn.answer.rest())
        turn.over = True
        self.lineup.succeeded(member.candidate)
        await self._pass_on(turn.answer.end(frame))
        await self._switch_if_due()

    async def _ask_again(self, turn: Turn, candidate: Candidate, failure: Failure) -> None:
        """An attempt failed: what came of it is spoken, and somebody goes on."""
        self._deadline.stop()
        await self._pass_on(turn.answer.break_off())
        others = self.lineup.has_other({*turn.used_up, candidate})
        patience = turn.patience(candidate, failure, others=others)
        if patience is None:
            turn.use_up(candidate)
        else:
            await asyncio.sleep(patience)
        if turn is not self._turn:
            return
        if patience is None or not await self._asked_same(turn, candidate):
            await self._find_and_ask(turn)

    async def _asked_same(self, turn: Turn, candidate: Candidate) -> bool:
        try:
            member = await self._seat.member_of(candidate, lambda: turn is self._turn)
        except MemberFailed:
            turn.use_up(candidate)
            return False
        if member is not None:
            await self._ask(turn, member)
        return True

    async def _give_up(self, turn: Turn) -> None:
        if turn is self._turn:
            self._turn = None
            await self.exhausted()
            await self._switch_if_due()

    # -- who answers --------------------------------------------------------------------------

    async def _open_first(self) -> None:
        """Have somebody there before the first question."""
        await self._seat.fill()
        if await self.renewed():
            await self._open_first()
        elif self.lineup.hopeless:
            await self.exhausted()

    def _seated(self, member: Member) -> None:
        self.serves(member.candidate)
        if isinstance(member.service, SpeaksLanguages):
            member.service.change_language(self.language)

    # -- time ---------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _progress(self, turn: Turn) -> None:
        turn.progress = True
        if self._deadline.running:
            self._deadline.set(self._deadlines.stall_seconds)

    def _time_is_up(self, seconds: float) -> None:
        turn, member = self._turn, self._seat.member
        if turn is None or turn.over or member is None or self._ended:
            return
        if turn.progress:
            failure = Failure("stalled", f"no more of its answer for {seconds:g} s")
        else:
            failure = Failure("no_result", f"no word of an answer for {seconds:g} s")
        self.spawn(self._fail(member, failure))
