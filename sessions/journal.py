"""Puts what happens in a call on disk while it happens, at next to no cost to the call.

The call hands over packets and events and goes on at once; a single thread of the process
gathers them every few dozen milliseconds and appends them to each call's own folder (see
:mod:`sessions.journal_format`). What has been written survives the death of the process, not
that of the machine: nothing is synced before the call is over.

A disk that is slow, full or away is never an error for the call. Packets wait in memory up to a
bound, then are dropped and counted, and the call's record says so.
"""

import asyncio
import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from loguru import logger

from bot.events import CallEvent, Degraded
from sessions.journal_format import (
    AGENT,
    CALLER,
    CUT,
    EVENTS_NAME,
    FRAME,
    HEADER_NAME,
    MEDIA_NAME,
    NEW_PREFIX,
    JournalHeader,
    encode_event,
    encode_json,
)
from sessions.journal_seal import (
    EVENTS_FILE,
    HEADER_FILE,
    MEDIA_FILE,
    SEAL_NAME,
    JournalKey,
    Sealer,
)

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


class CallJournal:
    """One call's way to the disk; used from the loop's thread only. Made by :class:`JournalWriter`.

    Times are milliseconds since the session began, monotonic. No method blocks or raises.
    """

    # Each counter has one writer (the loop or the thread), so none needs a lock; deque's
    # append and popleft are atomic.

    def __init__(self, writer: "JournalWriter", header: JournalHeader, limit_bytes: int) -> None:
        self.folder = writer.root / header.session_id
        self._writer = writer
        self._record_audio = header.record_audio
        self._limit_bytes = limit_bytes
        self._queued_bytes = 0
        self._last_ms = 0.0
        self._closing: asyncio.Future[None] | None = None
        self.file = _JournalFile(self.folder, header, writer.key)
        self._media = self.file.media
        self._events = self.file.events
        self.dropped_packets = 0
        self.dropped_events = 0

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
            self._closing = asyncio.get_running_loop().create_future()
            self._note_losses()
            self._writer.finish(self, asyncio.get_running_loop(), self._closing)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                await asyncio.shield(self._closing)
        return self.status

    def _keep(self, kind: int, at_ms: float, payload: bytes) -> None:
        if self._queued_bytes - self.file.taken_bytes > self._limit_bytes:
            self.dropped_packets += 1
            return
        if not self._record_audio or self._closing is not None:
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


#: Events that may wait for the disk, per call.
_MAX_WAITING_EVENTS = 10_000
_REOPEN_SECONDS = 1.0
#: Calls that are over and still wait for the disk, with what they hold in memory.
_MAX_UNWRITTEN = 200


class _JournalFile:
    """The thread's side of one call: its waiting packets and its open files."""

    def __init__(self, folder: Path, header: JournalHeader, key: JournalKey | None) -> None:
        self.media: deque[bytes] = deque()
        self.events: deque[CallEvent] = deque()
        self.taken_bytes = 0
        self.made = False
        self.lost_events = 0
        self.error: str | None = None
        self._folder = folder
        self._header = header
        self._media_fd = -1
        self._events_fd = -1
        self._media_rest = b""
        self._media_rest_bytes = 0
        self._events_rest = b""
        self._key = key
        self._sealer: Sealer | None = None
        self._retry_at = 0.0

    def flush(self, *, last: bool = False) -> None:
        """Append all that waits; a failure is kept in ``error`` and tried again later."""
        # A disk in trouble is left alone for a while; only then is the clock asked.
        if self.error is not None and not last and time.monotonic() < self._retry_at:
            return
        try:
            if not self.made:
                self._make()
            if self.media or self._media_rest:
                self._write_media()
            if self.events or self._events_rest:
                self._write_events()
            self.error = None
        except OSError as error:
            if self.error is None:
                logger.warning("journal {}: {}", self._header.session_id, error)
            self.error = error.strerror or str(error)
            self._retry_at = time.monotonic() + _REOPEN_SECONDS
        # One call's mistake must not end the thread that writes the journals of all.
        except Exception as error:
            if self.error is None:
                logger.exception("journal {} cannot be written", self._header.session_id)
            self.error = str(error) or type(error).__name__
            self._retry_at = time.monotonic() + _REOPEN_SECONDS

    def close(self) -> None:
        """Close the files, which also unlocks the folder."""
        for handle in (self._media_fd, self._events_fd):
            if handle >= 0:
                with contextlib.suppress(OSError):
                    os.close(handle)
        self._media_fd = self._events_fd = -1

    def _make(self) -> None:
        """Make the folder under another name first: it is seen only with all that it needs."""
        root = self._folder.parent
        root.mkdir(parents=True, exist_ok=True)
        new = root / f"{NEW_PREFIX}{self._header.session_id}"
        new.mkdir(exist_ok=True)
        self.close()
        self._media_fd = os.open(new / MEDIA_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        # Held while the call lives, and dropped by the system when the process dies, so that
        # nobody finishes the journal of a live call.
        fcntl.flock(self._media_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._events_fd = os.open(new / EVENTS_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        head = encode_json(self._header)
        if self._key is not None:
            # Anew at each try: no two chunks may ever have the same key and number.
            self._sealer = sealer = Sealer(self._key)
            (new / SEAL_NAME).write_bytes(sealer.seal_file)
            head = sealer.seal(HEADER_FILE, head)
        (new / HEADER_NAME).write_bytes(head)
        new.rename(self._folder)
        self.made = True

    def _write_media(self) -> None:
        media = self.media
        waiting = len(media)
        if waiting:
            data = b"".join([media.popleft() for _ in range(waiting)])
            self._media_rest_bytes += len(data)
            self._media_rest += self._sealed(MEDIA_FILE, data)
        while rest := self._media_rest:
            # A short write (disk full) keeps its rest, so that frames stay whole.
            done = os.write(self._media_fd, rest)
            self._media_rest = rest[done:]
        self.taken_bytes += self._media_rest_bytes
        self._media_rest_bytes = 0

    def _write_events(self) -> None:
        events = self.events
        if waiting := len(events):
            data = b"".join([self._line(events.popleft()) for _ in range(waiting)])
            self._events_rest += self._sealed(EVENTS_FILE, data)
        while rest := self._events_rest:
            self._events_rest = rest[os.write(self._events_fd, rest) :]

    def _line(self, event: CallEvent) -> bytes:
        try:
            return encode_event(event)
        except (TypeError, ValueError):
            logger.exception("journal {}: an event cannot be written", self._header.session_id)
            self.lost_events += 1
            return b""

    def _sealed(self, file: int, data: bytes) -> bytes:
        return data if self._sealer is None else self._sealer.seal(file, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalWriterStats:
    """Figures for metrics.

    Attributes:
        longest_flush_ms: Worst time to write all calls' waiting data, since the last look.
    """

    open_calls: int
    failing_calls: int
    dropped_packets: int
    longest_flush_ms: float


class JournalWriter:
    """The process's one journal thread.

    Args:
        root: Folder of the journals; made when first needed.
        flush_ms: How often waiting data is written. What is not yet written is lost when the
            process is killed.
        limit_bytes: Audio that may wait for the disk, per call.
        key: Seals what is written, where given.
    """

    def __init__(
        self,
        root: Path,
        *,
        flush_ms: float = 50.0,
        limit_bytes: int = 1 << 20,
        key: JournalKey | None = None,
    ) -> None:
        self.key = key
        self.root = root.absolute()
        self._flush_seconds = flush_ms / 1000
        self._limit_bytes = limit_bytes
        self._wake = threading.Event()
        self._stopping = False
        self._calls: dict[str, CallJournal] = {}
        self._finished: deque[
            tuple[CallJournal, asyncio.AbstractEventLoop, asyncio.Future[None]]
        ] = deque()
        self._unwritten: list[CallJournal] = []
        self._dropped_packets = 0
        self._longest_flush_seconds = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()

    def open(self, header: JournalHeader) -> CallJournal:
        """Begin a call's journal; its folder appears within a moment.

        Raises:
            ValueError: The session id is not a UUID or has been opened before.
        """
        if header.session_id != str(UUID(header.session_id)) or header.session_id in self._calls:
            raise ValueError(f"not a new session id: {header.session_id!r}")
        call = CallJournal(self, header, self._limit_bytes)
        self._calls[header.session_id] = call
        self._wake.set()
        return call

    def finish(
        self, call: CallJournal, loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]
    ) -> None:
        """Used by :meth:`CallJournal.close`: write the rest of ``call``, then resolve ``done``."""
        self._finished.append((call, loop, done))
        self._wake.set()

    def stats(self) -> JournalWriterStats:
        """How the thread fares."""
        calls = list(self._calls.values())
        longest, self._longest_flush_seconds = self._longest_flush_seconds, 0.0
        return JournalWriterStats(
            open_calls=len(calls),
            failing_calls=sum(call.file.error is not None for call in calls),
            dropped_packets=self._dropped_packets + sum(call.dropped_packets for call in calls),
            longest_flush_ms=longest * 1000,
        )

    async def close(self, deadline_seconds: float = 5.0) -> None:
        """Write everything and end the thread, or leave it behind at the deadline."""
        self._stopping = True
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.join, deadline_seconds)

    def _run(self) -> None:
        while True:
            # Cleared before anything is looked at, so that no later wish is slept through.
            self._wake.clear()
            stopping = self._stopping
            began = time.monotonic()
            self._close_finished()
            for call in list(self._calls.values()):
                call.file.flush()
            taken = time.monotonic() - began
            self._longest_flush_seconds = max(self._longest_flush_seconds, taken)
            if stopping:
                break
            # Without calls the thread sleeps until one comes.
            self._wake.wait(max(0.0, self._flush_seconds - taken) if self._calls else None)
        for call in self._calls.values():
            call.file.close()

    def _close_finished(self) -> None:
        for call in [call for call in self._unwritten if call.file.error is None]:
            self._unwritten.remove(call)
            self._let_go(call)
        while self._finished:
            call, loop, done = self._finished.popleft()
            call.file.flush(last=True)
            if call.file.error is not None and len(self._unwritten) < _MAX_UNWRITTEN:
                # Its folder stays locked, so that nobody takes the half for the whole.
                self._unwritten.append(call)
            else:
                self._let_go(call)
            # The loop may be closed by now; then nobody waits either.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, done)

    def _let_go(self, call: CallJournal) -> None:
        call.file.close()
        self._dropped_packets += call.dropped_packets
        self._calls.pop(call.folder.name, None)


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
