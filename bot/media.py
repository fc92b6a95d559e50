"""The bot's view of the caller's line: where wire audio goes, and what the line can tell."""

from collections.abc import Callable
from typing import Protocol

#: Told the time (monotonic) and by how many seconds something came late.
Lateness = Callable[[float, float], None]


def nobody_minds(_now: float, _late_seconds: float) -> None:
    """Lateness that nobody measures."""


class MediaSink(Protocol):
    """What a session offers its bot for sending.

    Payloads are bytes in the line's wire codec. ``due_at`` is a time of the event loop's
    clock, in seconds: the instant at which the payload's first sample should be heard.
    """

    async def send_audio(self, payload: bytes, due_at: float) -> None:
        """Send one packet, a whole number of 20 ms frames."""

    async def clear(self, heard_until: float) -> bool:
        """Drop what the line has buffered; nothing after ``heard_until`` was heard.

        Returns:
            True when the line will confirm, so that new audio should wait for it.
        """

    async def checkpoint(self, name: str) -> bool:
        """Ask to be told when everything sent so far has been heard.

        Returns:
            True when the line will answer (it may still fail to).
        """


class NoLine:
    """Stands for the line while the phone rings."""

    async def send_audio(self, payload: bytes, due_at: float) -> None:
        """Drop it."""

    async def clear(self, heard_until: float) -> bool:
        """Nothing to clear."""
        return False

    async def checkpoint(self, name: str) -> bool:
        """Nobody will answer."""
        return False
