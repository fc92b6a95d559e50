"""The events of one call on their way to everybody who hears of calls."""

from collections.abc import Callable, Sequence
from typing import Protocol

from loguru import logger

from bot.events import CallEvent, CarrierNotice, Degraded
from sessions import metrics
from sessions.journal import CallJournal
from sessions.journal_format import RECORDING_FAILED, JournalHeader
from sessions.live import LiveEvents
from sessions.peer_messages import PeerMessages
from sessions.whole_text import with_whole_text

#: What a carrier may tell of one call before more of it is left out of the record.
MAX_NOTICES = 500
#: The same of times at which the server stood still.
MAX_BLOCKED = 20


class EventSink(Protocol):
    """Hears what happens in calls; never blocks."""

    def event(self, header: JournalHeader, event: CallEvent) -> None:
        """Something happened in the call of that journal."""
        ...


class CallEvents:
    """Hands a call's events on, until the call is over.

    Args:
        header: Of the call's journal.
        keys: Names under which others know the call.
        journal: Is told first.
        live: Who watches the call.
        messages: What the peer is told.
        sinks: All others.
        now_ms: Milliseconds since the call began.
    """

    def __init__(
        self,
        header: JournalHeader,
        keys: tuple[str, ...],
        *,
        journal: CallJournal,
        live: LiveEvents,
        messages: PeerMessages,
        sinks: Sequence[EventSink],
        now_ms: Callable[[], float],
    ) -> None:
        self.over = False
        self._header = header
        self._keys = keys
        self._journal = journal
        self._live = live
        self._messages = messages
        self._sinks = sinks
        self._now_ms = now_ms
        self._notices: set[tuple[str, str]] = set()
        self._recording_failed = False
        self._blocked = 0

    def emit(self, event: CallEvent) -> None:
        """Hand an event to every sink; never blocks, never raises."""
        if self.over:
            return
        event, session_id = with_whole_text(event), self._header.session_id
        try:
            self._journal.event(event)
            self._live.publish(self._keys, session_id, event)
            metrics.count(event)
            self._messages.offer(event)
            for sink in self._sinks:
                sink.event(self._header, event)
        # A sink's mistake must neither end the call nor unsettle the pipeline that emitted.
        except Exception:
            logger.exception(f"call {session_id}: an event was lost")

    def degraded(self, stage: str, kind: str, detail: str) -> None:
        """Put down, log and count something that failed while the call goes on."""
        logger.warning(f"call {self._header.session_id}: {kind}: {detail}")
        self.emit(
            Degraded(at_ms=self._now_ms(), stage=stage, kind=kind, provider=None, detail=detail)
        )

    def notice(self, name: str, detail: str) -> bool:
        """Keep something that the carrier told over a webhook; what it repeats is kept once.

        Returns:
            False where the call is over, so that it has to be kept elsewhere.
        """
        if self.over:
            return False
        told = (name, detail)
        if told not in self._notices and len(self._notices) < MAX_NOTICES:
            self._notices.add(told)
            self.emit(CarrierNotice(at_ms=self._now_ms(), name=name, detail=detail))
        return True

    def loop_blocked(self, seconds: float) -> None:
        """The server's loop stood still, and with it this call."""
        self._blocked += 1
        if self._blocked <= MAX_BLOCKED:
            self.degraded("loop", "blocked", f"the server stood still for {seconds * 1000:.0f} ms")

    def check_recording(self) -> None:
        """Say once that sound does not get into the journal any more."""
        if self._journal.dropped_packets and not self._recording_failed:
            self._recording_failed = True
            error = self._journal.status.error or "the disk does not keep up"
            self.degraded("journal", RECORDING_FAILED, f"audio is not recorded: {error}")
