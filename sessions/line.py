"""The caller's line: what the bot sends goes out through the dialect and into the journal."""

from collections.abc import Callable

from serializer.base import Dialect
from sessions.channel import Channel
from sessions.journal import CallJournal

ToSessionMs = Callable[[float], float]


class Line:
    """Sends for one session; the bot's :class:`bot.media.MediaSink`.

    Every method raises ``OSError`` or ``TimeoutError`` where the peer cannot be reached.

    Args:
        channel: The socket.
        dialect: How the peer speaks; already negotiated.
        journal: Keeps what was sent, and what of it was cut.
        to_session_ms: From loop time to the session's time.
        on_lost: Called when the peer turns out not to read any more.

    Attributes:
        channel: The socket of the stream that the call goes over now.
        dialect: How that stream speaks.
    """

    def __init__(
        self,
        channel: Channel,
        dialect: Dialect,
        journal: CallJournal,
        to_session_ms: ToSessionMs,
        on_lost: Callable[[], None],
    ) -> None:
        self.channel = channel
        self.dialect = dialect
        self._journal = journal
        self._to_session_ms = to_session_ms
        self._on_lost = on_lost
        self._hushed = False

    def move(self, channel: Channel, dialect: Dialect) -> None:
        """Send over another stream from now on, whatever became of the old one."""
        old, self.channel, self.dialect = self.channel, channel, dialect
        old.abandon()

    def hush(self) -> None:
        """Send no more audio: the peer is about to be told that the call is over."""
        self._hushed = True

    async def send_audio(self, payload: bytes, due_at: float) -> None:
        """See :class:`bot.media.MediaSink`."""
        if self._hushed:
            return
        self._journal.agent_audio(self._to_session_ms(due_at), payload)
        await self.send(self.dialect.audio(payload))

    async def clear(self, heard_until: float) -> bool:
        """See :class:`bot.media.MediaSink`."""
        self._journal.cut_agent(self._to_session_ms(heard_until))
        await self.send(self.dialect.interrupted())
        sent = await self.send(self.dialect.clear())
        return sent and self.dialect.sends_acks

    async def checkpoint(self, name: str) -> bool:
        """See :class:`bot.media.MediaSink`."""
        sent = await self.send(self.dialect.checkpoint(name))
        return sent and self.dialect.sends_acks

    async def send(self, message: str | bytes | None) -> bool:
        """Send what the dialect has for an occasion; None is nothing to send.

        Returns:
            Whether there was anything to send, and a stream that took it.
        """
        if message is None:
            return False
        channel = self.channel
        try:
            await channel.send(message)
        except OSError:
            if channel is not self.channel:
                return False  # The call goes on over another stream: only this message is lost.
            self._on_lost()
            raise
        return True
