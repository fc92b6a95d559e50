"""Takes down what happens in a call while it happens, at next to no cost to the call.

The call hands over packets and events and goes on at once; the thread of
:mod:`sessions.journal_writer` puts them on disk.

A disk that is slow, full or away is never an error for the call. Packets wait in memory up to a
bound, then are dropped and counted, and the call's record says so.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.events import CallEvent, Degraded
from sessions import metrics
from sessions.journal_file import JournalFile
from sessions.journal_format import AGENT, CALLER, CUT, FRAME, JournalHeader

#: Events that may wait for the disk, per call.
_MAX_WAITING_EVENTS = 10_000

_pack = FRAME.pack


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStatus:
    """How a call's journal fares.

    Attributes:
        on_disk: The folder exists and can be finished.
        dropped_packets: Pieces of audio that were lost because the disk did not keep up.
        error: What the disk said last, None while all is well.
    """

    folder: Path
    on_disk: bool
    dropped_packets: int
    dropped_events: int
    error: str | None

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return self.on_disk and not (self.dropped_packets or self.dropped_events or self.error)


class Finisher(Protocol):
    """Writes the rest of a call's journal."""

    def finish(
        self, call: "CallJournal", loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]
    ) -> None:
        """Write the rest of ``call`` and let its folder go, then resolve ``done`` in ``loop``."""


class CallJournal:
    """One call's way to the disk; used from the loop's thread only.

    Made by :class:`sessions.journal_writer.JournalWriter`. Times are milliseconds since the
    session began, monotonic. No method blocks or raises.

    Args:
        limit_bytes: Audio that may wait for the disk.
    """

    # Each counter has one writer (the loop or the thread), so none needs a lock.

    def __init__(
        self, finisher: Finisher, file: JournalFile, header: JournalHeader, limit_bytes: int
    ) -> None:
        self.file = file
        self.dropped_packets = 0
        self.dropped_events = 0
        self._finisher = finisher
        self._media = file.media
        self._events = file.events
        self._takes_audio = header.record_audio
        self._limit_bytes = limit_bytes
        self._queued_bytes = 0
        self._last_ms = 0.0
        self._closing: asyncio.Future[None] | None = None

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.file.folder

    def caller_audio(self, at_ms: float, payload: bytes) -> None:
        """Keep a packet of the caller's audio.

        Args:
            at_ms: When it came (its first sample is laid there in the recording; bursts and
                other jitter are smoothed out when the recording is made).
            payload: The bytes as they were on the wire.
        """
        self._keep(CALLER, at_ms, payload)

    def agent_audio(self, at_ms: float, payload: bytes) -> None:
        """Keep a packet of the agent's audio.

        Args:
            at_ms: When its first sample is due at the caller's ear.
            payload: The bytes as they were on the wire.
        """
        self._keep(AGENT, at_ms, payload)

    def cut_agent(self, at_ms: float) -> None:
        """What was kept of the agent's audio and is due after ``at_ms`` was never heard."""
        self._keep(CUT, at_ms, b"")

    def event(self, event: CallEvent) -> None:
        """Keep an event."""
        if len(self._events) >= _MAX_WAITING_EVENTS:
            self.dropped_events += 1
            metrics.JOURNAL_DROPPED_EVENTS.inc()
            self.file.lossy = True
            return
        self._last_ms = event.at_ms
        self._events.append(event)

    @property
    def status(self) -> JournalStatus:
        """How it stands now."""
        return JournalStatus(
            folder=self.folder,
            on_disk=self.file.made,
            dropped_packets=self.dropped_packets,
            dropped_events=self.dropped_events + self.file.lost_events,
            error=self.file.error,
        )

    async def close(self, deadline_seconds: float = 5.0) -> JournalStatus:
        """Write what is left and let the folder go; a second call changes nothing.

        Waits until the deadline at most, whatever the disk does.
        """
        if self._closing is None:
            self._takes_audio = False
            self._closing = asyncio.get_running_loop().create_future()
            self._note_losses()
            self._finisher.finish(self, asyncio.get_running_loop(), self._closing)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                await asyncio.shield(self._closing)
        return self.status

    def _keep(self, kind: int, at_ms: float, payload: bytes) -> None:
        if not self._takes_audio:
            return
        # A cut is never left out: what it cuts has been kept, and was not heard.
        if self._queued_bytes - self.file.written_bytes > self._limit_bytes and kind != CUT:
            self.dropped_packets += 1
            metrics.JOURNAL_DROPPED_PACKETS.inc()
            self.file.lossy = True
            return
        frame = _pack(kind, len(payload), at_ms) + payload
        self._queued_bytes += len(frame)
        self._media.append(frame)

    def _note_losses(self) -> None:
        lost_events = self.dropped_events + self.file.lost_events
        if self.dropped_packets or lost_events or self.file.error:
            detail = (
                f"{self.dropped_packets} packets and {lost_events} events lost; "
                f"{self.file.error or 'the disk did not keep up'}"
            )
            self._events.append(
                Degraded(
                    at_ms=self._last_ms,
                    stage="journal",
                    kind="recording_incomplete",
                    provider=None,
                    detail=detail,
                )
            )
