"""The one thread that writes the journals of all calls.

It gathers what the calls handed over every few dozen milliseconds and appends it to each call's
own folder (see :mod:`sessions.journal_format`). What has been written survives the death of the
process, not that of the machine: nothing is synced before the call is over.
"""

import asyncio
import contextlib
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sessions.journal import CallJournal
from sessions.journal_file import JournalFile
from sessions.journal_format import JournalHeader
from sessions.journal_seal import JournalKey

#: Calls that are over and still wait for the disk, with what they hold in memory.
_MAX_UNWRITTEN = 200
#: How long whoever runs Python keeps the others waiting: usually, and while journals are written.
#: After each call of the system the thread has to ask for the interpreter again; beside a loop
#: that builds calls that is where most of a round's time goes (``python -m bench.journal_lateness``
#: and the table in docs/architecture.md). A disk that hangs leaves the second in force meanwhile.
_USUAL_SECONDS = sys.getswitchinterval()
_SOON_SECONDS = min(_USUAL_SECONDS, 0.0005)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalWriterStats:
    """Figures for metrics.

    Attributes:
        longest_flush_ms: Worst time to write all calls' waiting data, and to begin and end the
            journals of those that do, since the last look.
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
        flush_ms: float = 60.0,
        limit_bytes: int = 1 << 20,
        key: JournalKey | None = None,
    ) -> None:
        self._key = key
        self._root = root.absolute()
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
        self._written_at = -math.inf
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
        file = JournalFile(self._root / header.session_id, header, self._key)
        call = CallJournal(self, file, header, self._limit_bytes)
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
            with _soon_running():
                self._write_live()
                self._close_finished()
                self._make_new()
            taken = time.monotonic() - began
            self._longest_flush_seconds = max(self._longest_flush_seconds, taken)
            if stopping:
                break
            # Without calls the thread sleeps until one comes.
            self._wake.wait(max(0.0, self._until_due()) if self._calls else None)
        for call in self._calls.values():
            call.file.close()

    def _write_live(self) -> None:
        """Write what waits of the calls that have their folder."""
        self._written_at = time.monotonic()
        for call in list(self._calls.values()):
            if call.file.made:
                call.file.flush()

    def _until_due(self) -> float:
        """Seconds until the live calls are to be written again."""
        return self._written_at + self._flush_seconds - time.monotonic()

    def _make_new(self) -> None:
        for call in list(self._calls.values()):
            if not call.file.made:
                call.file.flush()
                self._let_live_calls_in()

    def _let_live_calls_in(self) -> None:
        """Between calls that begin or end, of which each takes a dozen turns of the disk."""
        if self._until_due() <= 0:
            self._write_live()

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
            self._let_live_calls_in()

    def _let_go(self, call: CallJournal) -> None:
        call.file.close()
        self._dropped_packets += call.dropped_packets
        self._calls.pop(call.folder.name, None)


@contextlib.contextmanager
def _soon_running() -> Iterator[None]:
    """Have the interpreter soon after each wait for the disk, also beside a busy loop."""
    sys.setswitchinterval(_SOON_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(_USUAL_SECONDS)


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
