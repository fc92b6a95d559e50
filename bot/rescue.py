"""What the bot does when nobody is left to hear, to answer or to speak, or the caller is silent."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from bot.announcer import Announcer
from bot.builder import BuiltCall
from bot.ending import End
from bot.hold import HoldKeeper
from bot.processors.output import SpokenFrame
from bot.reporter import CallReporter
from config.agent import AgentConfig
from config.providers import ProviderKind

#: So many turns in a row without an answer, and the call is handed over or ended.
LOST_TURNS = 3


@runtime_checkable
class AnswersSilence(Protocol):
    """A model that has its own answer to a silent caller."""

    async def on_no_input(self) -> None:
        """The caller has said nothing for the agent's ``turns.no_input_seconds``."""


class Rescue:
    """Keeps a call from going silent when nothing else does.

    Args:
        agent: The agent of the call.
        announcer: Says its phrases.
        reporter: Counts turns.
        hold: Told when nobody waits for an answer any more.
        built: Gives the call's processors, once they are there.
        last_words: Silences the agent, says the apology, and returns when it was heard.
        end: Ends the call, with a cause and a transfer target or None.
    """

    def __init__(
        self,
        agent: AgentConfig,
        announcer: Announcer,
        reporter: CallReporter,
        hold: HoldKeeper,
        *,
        built: Callable[[], BuiltCall],
        last_words: Callable[[], Awaitable[None]],
        end: End,
    ) -> None:
        self._agent = agent
        self._announcer = announcer
        self._reporter = reporter
        self._hold = hold
        self._built = built
        self._last_words = last_words
        self._end = end
        self._silences = 0
        self._lost_turns: deque[int] = deque(maxlen=LOST_TURNS)
        self._ending: asyncio.Task[None] | None = None
        self.over = False

    def heard_from_caller(self) -> None:
        """The caller is there."""
        self._silences = 0

    async def break_silence(self) -> None:
        """The caller has been silent for too long: ask, and after some times say goodbye.

        Never waits for what is said: Pipecat would wait for its handler when it ends.
        """
        if self.over:
            return
        self._silences += 1
        model = self._built().llm.service
        if isinstance(model, AnswersSilence):
            await model.on_no_input()
        elif self._silences > self._agent.turns.max_no_input:
            await self._announcer.say(self._announcer.text("farewell"), self._end_silence)
        else:
            await self._announcer.say(self._announcer.text("no_input"))

    async def ask_for_words(self) -> None:
        """Nobody has a text of what the caller said; a script asks them again by itself."""
        if not (self.over or isinstance(self._built().llm.service, AnswersSilence)):
            self._announcer.say_ready(self._announcer.text("no_input"))

    async def give_up(self, stage: ProviderKind) -> None:
        """Every vendor of a stage has failed at a piece of work: say so, at least.

        Where nobody hears the caller, or nobody will ever answer, the call is handed over or
        ended.
        """
        if self.over:
            return
        self._hold.end()
        if stage == "stt" or self._is_lost(stage):
            self.over = True
            self._ending = asyncio.create_task(self._end_call(), name="rescue")
        elif stage == "llm":
            # What came of the answer is spoken first.
            await self._built().user.queue_frame(SpokenFrame(self._apologise))
        else:
            # Behind what is told of the sentence that broke off: not all of it was heard.
            await self._built().tts.push_frame(SpokenFrame(self._apologise))

    def close(self) -> None:
        """The call is over."""
        self.over = True
        if self._ending is not None:
            self._ending.cancel()

    def _is_lost(self, stage: ProviderKind) -> bool:
        """Whether there is no use in another turn."""
        turn = self._reporter.turn
        self._lost_turns.append(turn)
        chain = self._built().llm if stage == "llm" else self._built().tts
        in_a_row = list(self._lost_turns) == list(range(turn - LOST_TURNS + 1, turn + 1))
        return chain.lineup.hopeless or in_a_row

    async def _apologise(self) -> None:
        self._announcer.say_ready(self._announcer.text("apology"))

    async def _end_call(self) -> None:
        """Apologise, in place of what is being said, and let somebody else take the call."""
        await self._last_words()
        target = next(iter(self._agent.call.transfer_to), None)
        self._end("transferred" if target else "provider_failed", target)

    async def _end_silence(self) -> None:
        self._end("silence", None)
