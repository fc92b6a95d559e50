"""What a client program is told of its call besides audio; carriers are told nothing."""

import asyncio

from bot.events import (
    AgentSpeech,
    AgentStateChanged,
    AgentText,
    CallerTranscript,
    CallEvent,
    LanguageChanged,
    TurnMetrics,
)
from serializer.base import Dialect
from sessions import metrics
from sessions.line import Line

#: Messages that may wait for a slow socket.
MAX_WAITING_MESSAGES = 256


class PeerMessages:
    """Hands events on to the peer without holding up whoever emits them.

    Args:
        line: Sends.
        dialect: Words them.
    """

    def __init__(self, line: Line, dialect: Dialect) -> None:
        self._line = line
        self._dialect = dialect
        self._waiting: asyncio.Queue[str | bytes] = asyncio.Queue(MAX_WAITING_MESSAGES)

    def offer(self, event: CallEvent) -> None:
        """Queue what the peer is told of an event; a full queue drops it, counted."""
        message = _message(self._dialect, event)
        if message is None:
            return
        if self._waiting.full():
            metrics.PEER_MESSAGES_DROPPED.inc()
            return
        self._waiting.put_nowait(message)

    async def send_for_ever(self) -> None:
        """Send what is queued, as it comes.

        Raises:
            OSError: The peer does not read.
        """
        while True:
            await self._line.send(await self._waiting.get())

    async def flush(self) -> None:
        """Send what is left.

        Raises:
            OSError: The peer does not read.
        """
        while not self._waiting.empty():
            await self._line.send(self._waiting.get_nowait())


def _message(dialect: Dialect, event: CallEvent) -> str | bytes | None:
    match event:
        case CallerTranscript(text=text, final=final):
            return dialect.transcript("user", text, final)
        case AgentText(text=text) if text:
            return dialect.transcript("agent", text, False)
        case AgentSpeech(heard_text=text):
            return dialect.transcript("agent", text, True) if text else None
        case LanguageChanged(language=language):
            return dialect.language(language)
        case AgentStateChanged(state=state):
            return dialect.status(state)
        case TurnMetrics():
            return dialect.metrics(
                event.turn,
                response_ms=event.response_ms,
                stt_ms=event.stt_ms,
                llm_ms=event.llm_ms,
                tts_ms=event.tts_ms,
            )
        case _:
            return None
