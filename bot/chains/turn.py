"""One question to the models of a chain: who was asked, how often, and how long that may take."""

import random
from typing import Any, Final

from pipecat.processors.aggregators.llm_context import LLMContext

from bot.chains.answer import Answer
from bot.chains.continuation import GO_ON
from bot.chains.failures import Failure
from services.candidates import Candidate

#: How often one vendor is asked in one turn.
ASKS_PER_VENDOR: Final = 2
#: The pause before asking a vendor again that was overloaded, with as much again at random.
RETRY_PAUSE_SECONDS: Final = 0.2
#: A vendor that asks for more patience than this is passed over while there is another.
MAX_PATIENCE_SECONDS: Final = 1.0
#: With nobody else, so much patience is had.
LAST_PATIENCE_SECONDS: Final = 2.5
#: So much of a caller's wait is not the model's: about 0.5 s until their turn has ended, and some
#: until what is said then can be heard.
TURN_END_SECONDS: Final = 0.8


class Turn:
    """One answer to be given.

    Args:
        context: The conversation to answer.
        began_at: Loop time.

    Attributes:
        answer: What was passed on of the answer, by all attempts.
        progress: Whether the present attempt gave anything.
        over: Whether nothing more is waited for.
        thought: Letters of its thoughts.
    """

    def __init__(self, context: LLMContext, began_at: float) -> None:
        self._context = context
        self._began_at = began_at
        self._asks: dict[Candidate, int] = {}
        self.answer = Answer()
        self.progress = False
        self.over = False
        self.thought = 0

    @property
    def asked(self) -> bool:
        """Whether anybody has been asked."""
        return bool(self._asks)

    def begin(self, now: float) -> None:
        """The waiting begins only now."""
        self._began_at = now

    @property
    def used_up(self) -> set[Candidate]:
        """Who is not asked again."""
        return {c for c, asks in self._asks.items() if asks >= ASKS_PER_VENDOR}

    def use_up(self, candidate: Candidate) -> None:
        """Asking this one again is of no use."""
        self._asks[candidate] = ASKS_PER_VENDOR

    def ask(self, candidate: Candidate, *, takes_history: bool) -> LLMContext:
        """One more attempt, by ``candidate``.

        Args:
            takes_history: Whether it can be told what was said of the answer.

        Returns:
            What it is asked.
        """
        self._asks[candidate] = self._asks.get(candidate, 0) + 1
        self.progress = False
        self.thought = 0
        self.answer.begin_attempt()
        said = self.answer.said
        return _going_on(self._context, said) if said and takes_history else self._context

    def first_token_seconds(self, deadline_seconds: float, now: float) -> float:
        """How long the present attempt may take to begin.

        The wait for the first vendor, and twice as long for all, are from the caller's last
        word.
        """
        if self.answer.said:
            return deadline_seconds
        waited = now - self._began_at + TURN_END_SECONDS
        of_all = deadline_seconds * (1 if sum(self._asks.values()) == 1 else 2)
        return max(deadline_seconds / 4, min(deadline_seconds, of_all - waited))

    def patience(self, candidate: Candidate, failure: Failure, *, others: bool) -> float | None:
        """How long to wait before a vendor that failed is asked again.

        Args:
            others: Whether somebody else is left to be asked.

        Returns:
            Seconds; None where it is not asked again.
        """
        if failure.permanent or candidate in self.used_up:
            return None
        if failure.kind in ("no_result", "stalled", "flood") and others:
            return None
        longest = MAX_PATIENCE_SECONDS if others else LAST_PATIENCE_SECONDS
        if failure.retry_after_seconds > longest:
            return None
        pause = RETRY_PAUSE_SECONDS if failure.kind == "rate_limit" else 0.0
        # Jitter spreads the calls that were refused together; nothing secret depends on it.
        return failure.retry_after_seconds + pause * (1 + random.random())


def _going_on(context: LLMContext, said: str) -> LLMContext:
    """The conversation as it stands when the caller has heard ``said`` of the answer."""
    messages: list[Any] = [
        *context.messages,
        {"role": "assistant", "content": said.strip()},
        {"role": "user", "content": GO_ON},
    ]
    return LLMContext(messages=messages, tools=context.tools, tool_choice=context.tool_choice)
