"""A socket as a session sees it, whoever made it."""

from typing import Protocol


class Channel(Protocol):
    """One open WebSocket. ``send`` may be called from several tasks, one message each."""

    async def receive(self) -> str | bytes | None:
        """The next message, or None once the peer has gone."""

    async def send(self, message: str | bytes) -> None:
        """Send one message; does nothing once the socket is closed.

        Raises:
            TimeoutError: The peer does not read.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close the socket; safe to call twice."""
