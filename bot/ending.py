"""The agent's own end of a call: what it still says, and the word that it wants to hang up."""

import asyncio
from collections.abc import Awaitable, Callable

from bot.announcer import Announcer
from bot.playout import Playout
from bot.reporter import CallReporter
from bot.tools import TOOL_REASON
from services.actions import CallActionFrame

#: How long an answer or a farewell may still play when the call is to end.
MAX_GOODBYE_SECONDS = 20.0

#: Ends the call, with a cause and a transfer target or None.
End = Callable[[str, str | None], None]


class Ending:
    """Sees to it that a call's last words are heard before it ends.

    Args:
        announcer: Says the agent's phrases.
        playout: Knows what was heard.
        reporter: Knows whether the caller was answered.
        interrupt: Silences the agent.
        speaks: Whether the call's synthesiser is there.
        end: Ends the call.
    """

    def __init__(
        self,
        announcer: Announcer,
        playout: Playout,
        reporter: CallReporter,
        *,
        interrupt: Callable[[], Awaitable[None]],
        speaks: Callable[[], bool],
        end: End,
    ) -> None:
        self._announcer = announcer
        self._playout = playout
        self._reporter = reporter
        self._interrupt = interrupt
        self._speaks = speaks
        self._end = end
        self._answered = asyncio.Event()

    def answered(self) -> None:
        """The call was answered, and the agent has begun."""
        self._answered.set()

    async def act(self, frame: CallActionFrame) -> None:
        """The agent decided something, and its words have been heard."""
        if frame.action == "transfer":
            self._end("transferred", frame.target)
        elif frame.reason == TOOL_REASON and not self._reporter.answered:
            # A model that hangs up without a word.
            await self._announcer.say(self._announcer.text("farewell"), self._hang_up)
        else:
            await self._hang_up()

    async def goodbye(self, phrase: str | None) -> bool:
        """Let what is being said be heard, and a phrase after it.

        Args:
            phrase: One of the agent's phrases; None adds nothing.

        Returns:
            Whether it was heard to its end.
        """
        text = self._announcer.text(phrase) if phrase else ""
        try:
            async with asyncio.timeout(MAX_GOODBYE_SECONDS):
                if text and not self._announcer.say_ready(text):
                    await self._say_live_and_wait(text)
                return await self._playout.drained(MAX_GOODBYE_SECONDS)
        except TimeoutError:
            return False

    async def last_words(self) -> None:
        """The apology, in place of what is being said, once the call was answered."""
        await self._answered.wait()
        if self._playout.playing:
            await self._interrupt()
        await self.goodbye("apology")

    async def break_off(self) -> None:
        """Nothing goes on: end the call, with an apology where it is ready."""
        self._announcer.say_ready(self._announcer.text("apology"))
        await self._playout.drained(MAX_GOODBYE_SECONDS)
        self._end("provider_failed", None)

    async def _say_live_and_wait(self, text: str) -> None:
        """Speak by the synthesiser, if there is one that runs, and wait until it was heard."""
        if not self._speaks():
            return
        heard = asyncio.Event()

        async def reached() -> None:
            heard.set()

        await self._announcer.say_live(text)
        await self._announcer.mark_live(reached)
        await heard.wait()

    async def _hang_up(self) -> None:
        self._end("agent_hangup", None)
