"""A language model that answers although a vendor fails: asked again, or the next one is.

One turn at a time is watched: how long the model takes to begin and between two pieces of
text. What came before it broke off is spoken; the next attempt goes on from there.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

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

from bot.chains.asking import Asking
from bot.chains.chain import Chain, OnExhausted, Vendors
from bot.chains.failures import Failure
from bot.chains.floods import MAX_ANSWER_LETTERS, MAX_THOUGHT_LETTERS, ToolRounds
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


class LlmChain(Chain):
    """Answers the conversation, whoever serves.

    Args:
        vendors: Who may serve.
        language: Our code of the language to begin with.
        reporter: Told of every failure.
        on_exhausted: Awaited when a turn gets no answer, or no more of it.
        deadlines: How long a vendor may take.
    """

    _KEPT = Chain._KEPT | {"settled"}

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
        self._seat = Seat(self, language, on_seated=self.serves)
        self._asking = Asking(self, self._seat, deadlines, fail=self._fail, on_nobody=self._nobody)
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

    def let_go(self) -> None:
        """See :meth:`Chain.let_go`; nobody waits for an answer any more."""
        self._asking.drop()
        vars(self._asking).clear()
        super().let_go()

    async def handle(self, frame: Frame, direction: FrameDirection) -> None:
        """Ask for an answer; all else passes, and the vendor's service sees it too."""
        if isinstance(frame, LLMContextFrame):
            await self._begin_turn(frame.context)
            return
        if isinstance(frame, LanguageSwitchFrame):
            # An answer under way is finished in the old one.
            self._switch = frame
            await self._switch_if_due()
            return
        if isinstance(frame, InterruptionFrame):
            self._asking.drop()
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
        turn = self._asking.open
        if direction is FrameDirection.UPSTREAM or turn is None:
            # A model may speak of itself: a script answers keys.
            await self.push_frame(frame, direction)
        elif isinstance(frame, InterruptionFrame):
            self._asking.drop()
            await self.push_frame(frame)
        else:
            await self._take(turn, member, frame)

    def member_setup(self) -> FrameProcessorSetup:
        """A model tells how many tokens it took; no other stage's service makes such frames."""
        return replace(self.processor_setup, enable_usage_metrics=True)

    async def failed(self, member: Member, failure: Failure) -> None:
        """The vendor in use failed."""
        if member is not self._seat.member:
            return
        self._seat.leave()
        turn = self._asking.open
        if turn is None:
            self.spawn(self._open_first())
        else:
            self.spawn(self._ask_again(turn, member.candidate, failure))

    # -- the language -------------------------------------------------------------------------

    async def _switch_if_due(self) -> None:
        frame = self._switch
        if frame is None or self._asking.under_way is not None:
            return
        self._switch = None
        self.change_language(frame)
        await self._change_member()
        await self.push_frame(frame)

    def change_language(self, frame: LanguageSwitchFrame) -> None:
        """The next answer is in another language."""
        self.language = frame.language
        self._seat.change_language(frame.language)
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
        await self._asking.ask_late(turn)

    # -- a turn -------------------------------------------------------------------------------

    async def _begin_turn(self, context: LLMContext) -> None:
        old = self._asking.under_way
        turn = self._asking.begin(context)
        self.on_asked()
        if old is not None:
            await self._break_off(old)
        if (excess := self._tool_rounds.too_many(context)) is not None:
            self.reporter.degraded("llm", "flood", excess, self.provider)
            await self._give_up(turn)
            return
        if not self.settled.is_set():
            self.spawn(self._ask_when_settled(turn))
            return
        if self.language in self._spares:
            await self._change_member()
        await self._asking.ask(turn)

    async def _break_off(self, turn: Turn) -> None:
        """Another question has come without an interruption: the old answer goes no further.

        What came of it is spoken. The model would else finish it first, and nobody could tell
        its words from those of the next.
        """
        self._asking.stop_waiting()
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

    async def _take(self, turn: Turn, member: Member, frame: Frame) -> None:
        match frame:
            case LLMFullResponseStartFrame():
                return  # Passed on with the first text.
            case LLMFullResponseEndFrame():
                await self._end_of_answer(turn, member, frame)
                return
            case LLMTextFrame():
                self._asking.progress(turn)
                fitting = turn.answer.room(frame.text, MAX_ANSWER_LETTERS)
                if fitting is None:
                    await self._pass_on(turn.answer.text(frame))
                else:
                    await self._cut_short(turn, LLMTextFrame(fitting))
                return
            case LLMThoughtTextFrame():
                self._asking.progress(turn)
                turn.thought += max(1, len(frame.text))
                if turn.thought > MAX_THOUGHT_LETTERS:
                    detail = f"over {MAX_THOUGHT_LETTERS} letters of thoughts"
                    await self._fail(member, Failure("flood", detail))
                    return
            case FunctionCallsStartedFrame() | FunctionCallInProgressFrame():
                # From here on it is our tools that take time.
                self._asking.progress(turn)
                self._asking.stop_waiting()
            case _:
                pass
        await self.push_frame(frame)

    async def _pass_on(self, frames: list[Frame]) -> None:
        for frame in frames:
            await self.push_frame(frame)

    async def _end_of_answer(self, turn: Turn, member: Member, frame: Frame) -> None:
        self._asking.stop_waiting()
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
        self._asking.stop_waiting()
        await self._pass_on(turn.answer.break_off())
        await self._asking.ask_again(turn, candidate, failure)

    async def _nobody(self, turn: Turn) -> None:
        if await self.renewed():
            await self._asking.find_and_ask(turn)
        else:
            await self._give_up(turn)

    async def _give_up(self, turn: Turn) -> None:
        if turn is self._asking.turn:
            self._asking.drop()
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

    async def _end(self) -> None:
        self._asking.stop_waiting()
        await super()._end()
