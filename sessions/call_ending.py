"""What ends a call: its cause, who is still there to hear of it, and what a program is told."""

import asyncio

from loguru import logger

from config.errors import ConfigError, VoiceServerError
from sessions.channel import Departure
from sessions.endings import DEPARTURES, UNUSABLE


class CallEnding:
    """The end of one call, from its first cause on.

    Args:
        session_id: For log lines.

    Attributes:
        hung_up: The carrier has said that the caller hung up.
        gone: Set once nothing that is still to be said will be heard.
        unable: The agent could not serve at all; its caller is owed an apology.
        failure: Code and message that a client program is told.
    """

    def __init__(self, session_id: str) -> None:
        self.hung_up = False
        self.gone = asyncio.Event()
        self.unable = False
        self.failure: tuple[str, str] | None = None
        self.session_id = session_id
        self._cause: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def settled(self) -> bool:
        """Whether the call is about to end, or has ended."""
        return self._cause.done()

    async def cause(self) -> str:
        """Wait for the end; the first cause given counts."""
        return await self._cause

    async def within(self, seconds: float) -> None:
        """Wait for the end, but no longer than that."""
        await asyncio.wait((self._cause,), timeout=seconds)

    def end(self, cause: str) -> None:
        """Have the call end."""
        if not self.settled:
            self._cause.set_result(cause)

    def fail(self, cause: str, code: str, message: str) -> None:
        """Have the call end with an error that a client program is told."""
        if not self.settled:
            self.failure = (code, message)
            logger.warning(f"call {self.session_id}: {code}: {message}")
        self.end(cause)

    def leave(self, departure: Departure) -> None:
        """The caller has gone."""
        self.end(DEPARTURES[departure])
        self.gone.set()

    def cause_of(self, error: VoiceServerError | OSError) -> str:
        """The end cause of a call that ``error`` broke off; the log says what it was."""
        if isinstance(error, OSError):
            if self.gone.is_set():
                return "peer_lost"
            logger.error(f"call {self.session_id}: {error}")
            return "internal_error"
        logger.error(f"call {self.session_id}: {error.message}")
        self.unable = True
        if isinstance(error, ConfigError):
            self.failure = UNUSABLE
        return "provider_failed"
