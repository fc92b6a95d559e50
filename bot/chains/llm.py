"""A language model that answers although a vendor fails: asked again, or the next one is.

One turn at a time is watched: how long the model takes to begin and between two pieces of
text. What came before it broke off is spoken; the next attempt goes on from there.
"""

import asyncio
from collections import deque
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
from bot.chains.failures import Failure, MemberFailed
from bot.chains.floods import MAX_ANSWER_LETTERS, MAX_THOUGHT_LETTERS, MAX_TOOL_ROUNDS
from bot.chains.language import LanguageSwitchFrame
from bot.chains.member import Member
from bot.chains.tokens import tokens_of
from bot.chains.turn import Turn
from bot.reporter import CallReporter
from config.agent import LlmDeadlines
from services.candidates import Candidate

#: Building a client takes milliseconds; models connect with each request.
OPEN_SECONDS: Final = 2.0
#: How long a question waits for the vendors of another language to be there.
SETTLING_SECONDS: Final = 1.0
#: Frames given to the member whose passage through it is remembered.
REMEMBERED_FRAMES: Final = 64


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
        self._member: Member | None = None
        self._turn: Turn | None = None
        self._given: deque[int] = deque(maxlen=REMEMBERED_FRAMES)
        #: The caller's interruption on its way through the member; what comes before it is void.
        self._cut_id: int | None = None
        self._early: deque[tuple[Frame, FrameDirection]] = deque(maxlen=REMEMBERED_FRAMES)
        self._timer: asyncio.TimerHandle | None = None
        self._tool_rounds = 0
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
        return self._member

    @property
    def service(self) -> object | None:
        """The Pipecat service in use."""
        return self._member.service if self._member is not None else None

    @property
    def remote(self) -> bool:
        """Whether who answers now may keep the caller waiting."""
        return self._member is None or self._member.candidate.remote

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
            self._stop_timer()
            self._cut_id = frame.id if self._member is not None else None
        if self._member is None:
            self._early.append((frame, direction))
        else:
            await self._give(frame, direction)
        await self.push_frame(frame, direction)
        await self._switch_if_due()

    async def delivered(self, member: Member, frame: Frame, direction: FrameDirection) -> None:
        """Pass on what the member says; what merely went through it has been passed on."""
        if isinstance(frame, MetricsFrame):
            # Before all else: what a void answer took is used up, too.
            for used in tokens_of(frame):
                self.reporter.model_used(member.candidate.provider, used.asked, used.answered)
            return
        if frame.id == self._cut_id:
            self._cut_id = None
        if frame.id in self._given:
            self._given.remove(frame.id)
        elif member is not self._member or self._cut_id is not None:
            return
        elif direction is FrameDirection.UPSTREAM or self._turn is None or self._turn.over:
            # A model may speak of itself: a script answers keys.
            await self.push_frame(frame, direction)
        elif isinstance(frame, InterruptionFrame):
            self._turn = None
            self._stop_timer()
            await self.push_frame(frame)
        else:
            await self._take(self._turn, member, frame)

    def member_setup(self) -> FrameProcessorSetup:
        """A model tells how many tokens it took; no other stage's service makes such frames."""
        return replace(self.processor_setup, enable_usage_metrics=True)

    async def failed(self, member: Member, failure: Failure) -> None:
        """The vendor in use failed."""
        if member is not self._member:
            return
        self._member = None
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
            await self._install(spare)

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
        if self._rounds_are_over(context):
            self._tool_rounds = 0
            detail = f"tools were called {MAX_TOOL_ROUNDS} times in a row, without an answer"
            self.reporter.degraded("llm", "flood", detail, self.provider)
            await self._give_up(turn)
            return
        if not self.settled.is_set():
            self.spawn(self._ask_when_settled(turn))
            return
        if self.language in self._spares:
            await self._change_member()
        member = self._member
        if member is not None and self.lineup.better_than(member.candidate) is None:
            await self._ask(turn, member)
        else:
            self.spawn(self._find_and_ask(turn))

    async def _break_off(self, turn: Turn) -> None:
        """Another question has come without an interruption: the old answer goes no further.

        What came of it is spoken. The model would else finish it first, and nobody could tell
        its words from those of the next.
        """
        self._stop_timer()
        await self._close_answer(turn)
        if self._member is not None:
            cut = InterruptionFrame()
            self._cut_id = cut.id
            await self._give(cut, FrameDirection.DOWNSTREAM)

    async def _cut_short(self, turn: Turn, last: LLMTextFrame) -> None:
        """The answer has no end: what is long enough for any call is spoken, and no more."""
        await self._pass_text(turn, last)
        detail = f"an answer of over {MAX_ANSWER_LETTERS} letters was cut there"
        self.reporter.degraded("llm", "too_long", detail, self.provider)
        turn.over = True
        await self._break_off(turn)
        await self._switch_if_due()

    def _rounds_are_over(self, context: LLMContext) -> bool:
        """Whether the model has called tools again and again and not answered the caller."""
        roles = (m.get("role") for m in reversed(context.messages) if isinstance(m, dict))
        last = next((role for role in roles if role in ("user", "assistant", "tool")), None)
        self._tool_rounds = self._tool_rounds + 1 if last == "tool" else 0
        return self._tool_rounds > MAX_TOOL_ROUNDS

    async def _find_and_ask(self, turn: Turn) -> None:
        """Ask whoever is best now."""
        tried = turn.used_up
        while (candidate := self.lineup.pick(tried)) is not None:
            try:
                member = await self._member_of(candidate, turn)
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
            self._set_timer(turn.first_token_seconds(deadline, self._now()))
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
                fitting = turn.room(frame.text, MAX_ANSWER_LETTERS)
                if fitting is None:
                    await self._pass_text(turn, frame)
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
                self._stop_timer()
            case _:
                pass
        await self.push_frame(frame)

    async def _pass_text(self, turn: Turn, frame: LLMTextFrame) -> None:
        if turn.skipper is not None:
            frame.text = turn.skipper.feed(frame.text)
        if not frame.text:
            return
        await self._open_answer(turn)
        turn.said += frame.text
        await self.push_frame(frame)

    async def _open_answer(self, turn: Turn) -> None:
        if not turn.open:
            turn.open = True
            await self.push_frame(LLMFullResponseStartFrame())

    async def _end_of_answer(self, turn: Turn, member: Member, frame: Frame) -> None:
        self._stop_timer()
        if not turn.progress and member.candidate.remote:
            await self._fail(member, Failure("no_result", "an answer without a word"))
            return
        if turn.skipper is not None and (rest := turn.skipper.flush()):
            await self._pass_text_whole(turn, rest)
        turn.over = True
        self.lineup.succeeded(member.candidate)
        # Also around tool calls without words, for those who wait for an answer's end.
        await self._open_answer(turn)
        turn.open = False
        await self.push_frame(frame)
        await self._switch_if_due()

    async def _pass_text_whole(self, turn: Turn, text: str) -> None:
        turn.skipper = None
        await self._pass_text(turn, LLMTextFrame(text))

    async def _ask_again(self, turn: Turn, candidate: Candidate, failure: Failure) -> None:
        """An attempt failed: what came of it is spoken, and somebody goes on."""
        self._stop_timer()
        await self._close_answer(turn)
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
            member = await self._member_of(candidate, turn)
        except MemberFailed:
            turn.use_up(candidate)
            return False
        if member is not None:
            await self._ask(turn, member)
        return True

    async def _close_answer(self, turn: Turn) -> None:
        if turn.open:
            turn.open = False
            await self.push_frame(LLMFullResponseEndFrame())

    async def _give_up(self, turn: Turn) -> None:
        if turn is self._turn:
            self._turn = None
            await self.exhausted()
            await self._switch_if_due()

    # -- who answers --------------------------------------------------------------------------

    async def _open_first(self) -> None:
        """Have somebody there before the first question."""
        tried: set[Candidate] = set()
        while self._member is None and (candidate := self.lineup.pick(tried)) is not None:
            try:
                await self._member_of(candidate, None)
            except MemberFailed:
                tried.add(candidate)
        if await self.renewed():
            await self._open_first()
        elif self.lineup.hopeless:
            await self.exhausted()

    async def _member_of(self, candidate: Candidate, turn: Turn | None) -> Member | None:
        """The member in use if it is this one's, else a new one in its place.

        Args:
            candidate: Who it is to be.
            turn: What it is for; None: to be there before any question.

        Returns:
            None where it is not wanted any more: another turn has begun, or somebody is there.

        Raises:
            MemberFailed: It could not be opened.
        """
        before = self._member
        if before is not None and before.open and before.candidate == candidate:
            return before if turn is None or turn is self._turn else None
        member = await self.open_member(candidate, OPEN_SECONDS)
        if self._member is not before if turn is None else self._turn is not turn:
            self.retire(member)
            return None
        await self._install(member)
        return member

    async def _install(self, member: Member) -> None:
        previous, self._member = self._member, member
        self._cut_id = None
        if previous is not None:
            self.retire(previous)
        self.serves(member.candidate)
        if isinstance(member.service, SpeaksLanguages):
            member.service.change_language(self.language)
        early = list(self._early)
        self._early.clear()
        for frame, direction in early:
            await self._give(frame, direction)

    async def _give(self, frame: Frame, direction: FrameDirection) -> None:
        if self._member is not None:
            self._given.append(frame.id)
            await self._member.send(frame, direction)

    # -- time ---------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _progress(self, turn: Turn) -> None:
        turn.progress = True
        if self._timer is not None:
            self._set_timer(self._deadlines.stall_seconds)

    def _set_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_is_up, seconds)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self, seconds: float) -> None:
        self._timer = None
        turn, member = self._turn, self._member
        if turn is None or turn.over or member is None or self._ended:
            return
        if turn.progress:
            failure = Failure("stalled", f"no more of its answer for {seconds:g} s")
        else:
            failure = Failure("no_result", f"no word of an answer for {seconds:g} s")
        self.spawn(self._fail(member, failure))
