"""What a caller's key means: another language, or something to the model."""

from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from pipecat.frames.frames import LLMRunFrame

from bot.builder import BuiltCall
from bot.hearing import Hearing
from bot.reporter import CallReporter
from config.agent import AgentConfig


@runtime_checkable
class ClaimsKeys(Protocol):
    """A model that has its own use for keys."""

    def claims_key(self, digit: str) -> bool:
        """Whether the key means something to it now."""


class Keypad:
    """Takes one caller's keys.

    Args:
        agent: Has the keys for its languages.
        hearing: Where keys for the model enter.
        reporter: Told of the others.
        interrupt: Silences the agent.
    """

    def __init__(
        self,
        agent: AgentConfig,
        hearing: Hearing,
        reporter: CallReporter,
        *,
        interrupt: Callable[[], Awaitable[None]],
    ) -> None:
        self._languages = agent.language_switching.keys
        self._hearing = hearing
        self._reporter = reporter
        self._interrupt = interrupt

    async def press(self, digit: str, built: BuiltCall | None) -> None:
        """The caller pressed a key.

        Args:
            digit: Which.
            built: The call's processors, once they are there.
        """
        language = self._languages.get(digit)
        if language is not None and built is not None and not _claimed(digit, built):
            self._reporter.pressed(digit)
            built.languages.spawn(self._turn_to(language, built))
        else:
            await self._hearing.press(digit)

    async def _turn_to(self, language: str, built: BuiltCall) -> None:
        """Fall silent and go on in the language that the caller has chosen."""
        outcome = await built.languages.request(language, "key", before=self._interrupt)
        if outcome == "already":
            await self._interrupt()
            built.languages.chosen_again()
        if outcome in ("ready", "already"):
            await built.user.queue_frame(LLMRunFrame())


def _claimed(digit: str, built: BuiltCall) -> bool:
    model = built.llm.service
    return isinstance(model, ClaimsKeys) and model.claims_key(digit)
