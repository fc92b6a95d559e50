"""Events of live calls for whoever watches: dashboards, the console, the ``call`` command."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from bot.events import (
    AgentSpeech,
    AgentStateChanged,
    AgentText,
    CallEnded,
    CallerTranscript,
    CallEvent,
    CallStarted,
    LanguageChanged,
    TurnMetrics,
)
from sessions.metrics import LIVE_EVENTS_DROPPED

MAX_WAITING = 200
_END = object()


class LiveEvents:
    """Hands each call's events to its listeners; one that is slow misses some, counted."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Queue[Any]]] = {}

    def publish(self, keys: tuple[str, ...], call_id: str, event: CallEvent) -> None:
        """Offer an event to those who listen under any of the call's names. Never blocks."""
        queues = [queue for key in keys for queue in self._listeners.get(key, ())]
        if not queues:
            return
        message = describe(call_id, event)
        if message is None:
            return
        for queue in queues:
            _offer(queue, message)
            if isinstance(event, CallEnded):
                _offer(queue, _END)

    @contextmanager
    def listen(self, key: str) -> Iterator[AsyncIterator[dict[str, Any]]]:
        """Subscribe to a call by our id or the carrier's; gives an async iterator of messages."""
        queue: asyncio.Queue[Any] = asyncio.Queue(MAX_WAITING)
        self._listeners.setdefault(key, set()).add(queue)
        try:
            yield _messages(queue)
        finally:
            listeners = self._listeners[key]
            listeners.discard(queue)
            if not listeners:
                del self._listeners[key]


async def _messages(queue: asyncio.Queue[Any]) -> AsyncIterator[dict[str, Any]]:
    while (message := await queue.get()) is not _END:
        yield message


def _offer(queue: asyncio.Queue[Any], message: object) -> None:
    if queue.full():
        queue.get_nowait()
        LIVE_EVENTS_DROPPED.inc()
    queue.put_nowait(message)


def describe(call_id: str, event: CallEvent) -> dict[str, Any] | None:
    """An event as dashboards read it; None for what they do not show.

    ``transcription`` has speaker ``caller`` or ``agent``; an agent's text comes first as it is
    handed to the synthesiser (``final`` false) and then as it was heard (``final`` true).
    """
    body = _body(event)
    if body is None:
        return None
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**body, "call_id": call_id, "at_ms": round(event.at_ms, 1), "timestamp": timestamp}


def _body(event: CallEvent) -> dict[str, Any] | None:
    match event:
        case CallerTranscript(text=text, final=final):
            return {"type": "transcription", "speaker": "caller", "text": text, "final": final}
        case AgentText(text=text) if text:
            return {"type": "transcription", "speaker": "agent", "text": text, "final": False}
        case AgentSpeech(heard_text=text, interrupted=interrupted):
            return {
                "type": "transcription",
                "speaker": "agent",
                "text": text,
                "final": True,
                "interrupted": interrupted,
            }
        case LanguageChanged(language=language, reason=reason):
            return {"type": "language", "language": language, "reason": reason}
        case AgentStateChanged(state=state):
            return {"type": "agent_state", "state": state}
        case CallStarted():
            return {"type": "call_status", "status": "connected"}
        case CallEnded(cause=cause):
            return {"type": "call_status", "status": "ended", "data": {"cause": cause}}
        case TurnMetrics():
            return {
                "type": "metrics",
                "turn": event.turn,
                "response_ms": event.response_ms,
                "stt_ms": event.stt_ms,
                "llm_ms": event.llm_ms,
                "tts_ms": event.tts_ms,
            }
        case _:
            return None
