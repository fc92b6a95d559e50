"""A socket as a session sees it, whoever made it."""

from typing import Literal, Protocol

#: How a peer went: it closed, it no longer answers, it broke the WebSocket protocol itself, or
#: this server is being stopped by force.
Departure = Literal["left", "lost", "broke_protocol", "stopped"]


class Channel(Protocol):
    """One open WebSocket. ``send`` may be called from several tasks, one message each."""

    @property
    def departure(self) -> Departure:
        """How the peer went; has a meaning once ``receive`` has given None."""

    async def receive(self) -> str | bytes | None:
        """The next message, or None once the peer has gone."""

    async def send(self, message: str | bytes) -> None:
        """Send one message; does nothing once the socket is closed.

        Raises:
            TimeoutError: The peer does not read.
        """

    def abandon(self) -> None:
        """Give up what is being sent to a peer that does not read: it raises ``TimeoutError``."""

    async def close(self, code: int, reason: str) -> None:
        """Close the socket; safe to call twice."""
