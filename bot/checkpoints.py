"""The line's own word that what it was sent has been heard, where it gives one."""

import asyncio

from bot.media import MediaSink

#: How long after the last sample was due to wait for a line's answer.
MARGIN_SECONDS = 1.0


class Checkpoints:
    """Asks one line and awaits the answer to the last question; it may never come."""

    def __init__(self) -> None:
        self._asked = 0
        self._unanswered: str | None = None
        self._answered = asyncio.Event()

    @property
    def awaited(self) -> bool:
        """Whether the line still has to answer."""
        return self._unanswered is not None

    async def ask(self, sink: MediaSink) -> None:
        """Have the line tell when all that was sent has been heard."""
        self._asked += 1
        name = f"cp-{self._asked}"
        self._answered.clear()
        self._unanswered = name if await sink.checkpoint(name) else None

    def reached(self, name: str) -> None:
        """The line says that it has played up to the checkpoint ``name``."""
        if name == self._unanswered:
            self.forget()

    def forget(self) -> None:
        """No answer matters any more."""
        self._unanswered = None
        self._answered.set()

    async def wait(self, playing_seconds: float) -> None:
        """Wait for the answer, at most a margin past the end of what still plays."""
        try:
            async with asyncio.timeout(playing_seconds + MARGIN_SECONDS):
                await self._answered.wait()
        except TimeoutError:
            self._unanswered = None
