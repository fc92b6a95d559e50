"""The thread's side of one call's journal: what waits for the disk, and the open files."""

import contextlib
import fcntl
import os
import time
from pathlib import Path

from loguru import logger

from bot.events import CallEvent
from sessions import metrics
from sessions.journal_format import (
    EVENTS_NAME,
    HEADER_NAME,
    MEDIA_NAME,
    NEW_PREFIX,
    JournalHeader,
    encode_event,
    encode_json,
    header_line,
)
from sessions.journal_seal import (
    EVENTS_FILE,
    HEADER_FILE,
    MEDIA_FILE,
    SEAL_NAME,
    JournalKey,
    Sealer,
)
from sessions.journal_state import JournalState, write_state

#: How long a disk in trouble is left alone.
_REOPEN_SECONDS = 1.0


class JournalFile:
    """Appends what one call handed over; all but the lists is the thread's alone.

    The loop appends to the lists and the thread takes from their front. Both are single
    operations on a list, so neither needs a lock.

    Attributes:
        media: Frames that wait for the disk.
        events: Events that do.
        written_bytes: Of the frames, so far.
        made: The folder exists.
        lost_events: Events that could not be made into a line.
        lossy: Something was lost for good; set by the loop, too.
        error: What the disk said last, None while all is well.
    """

    def __init__(self, folder: Path, header: JournalHeader, key: JournalKey | None) -> None:
        self.folder = folder
        self.media: list[bytes] = []
        self.events: list[CallEvent] = []
        self.written_bytes = 0
        self.lost_events = 0
        self.lossy = False
        self.made = False
        self.error: str | None = None
        self._header = header
        self._key = key
        self._sealer: Sealer | None = None
        self._media_fd = -1
        self._events_fd = -1
        # Taken from the lists and not wholly written: the disk failed or took a part.
        self._media_rest = b""
        self._media_rest_bytes = 0
        self._events_rest = b""
        self._retry_at = 0.0
        self._state = JournalState()

    def flush(self, *, last: bool = False) -> None:
        """Append all that waits; a failure is kept in ``error`` and tried again later."""
        # Only while the disk is in trouble is the clock asked.
        if self.error is not None and not last and time.monotonic() < self._retry_at:
            return
        try:
            if not self.made:
                self._make()
            if self._media_rest:
                self._write_media_rest()
            if self.media:
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
        failing = self.error is not None or self.lossy
        if failing != self._state.failing:
            self._say(JournalState(failing))

    def close(self) -> None:
        """Close the files, which also unlocks the folder."""
        if self.made and self._media_fd >= 0:
            with contextlib.suppress(OSError):
                self._say(JournalState(self._state.failing, os.fstat(self._media_fd).st_size))
        for handle in (self._media_fd, self._events_fd):
            if handle >= 0:
                with contextlib.suppress(OSError):
                    os.close(handle)
        self._media_fd = self._events_fd = -1

    def _say(self, state: JournalState) -> None:
        """Have whoever finishes the journal know how it stands, should this process die."""
        if state == self._state or not self.made:
            return
        with contextlib.suppress(OSError):
            write_state(self.folder, state)
            self._state = state

    def _make(self) -> None:
        """Make the folder under another name first: it is seen only with all that it needs."""
        root = self.folder.parent
        root.mkdir(parents=True, exist_ok=True)
        new = root / f"{NEW_PREFIX}{self._header.session_id}"
        new.mkdir(exist_ok=True)
        self.close()
        self._media_fd = os.open(new / MEDIA_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        # Held while the call lives, and dropped by the system when the process dies, so that
        # nobody finishes the journal of a live call.
        fcntl.flock(self._media_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._events_fd = os.open(new / EVENTS_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        head, copy = encode_json(self._header), header_line(self._header)
        if self._key is not None:
            # Anew at each try: no two chunks may ever have the same key and number.
            self._sealer = sealer = Sealer(self._key)
            (new / SEAL_NAME).write_bytes(sealer.seal_file)
            head = sealer.seal(HEADER_FILE, head)
            copy = sealer.seal(EVENTS_FILE, copy)
        (new / HEADER_NAME).write_bytes(head)
        # An earlier try may have come as far as this.
        os.ftruncate(self._events_fd, 0)
        while copy:
            copy = copy[os.write(self._events_fd, copy) :]
        write_state(new, self._state)
        new.rename(self.folder)
        self.made = True

    def _write_media(self) -> None:
        waiting = self.media[:]
        data = b"".join(waiting)
        self._media_rest = self._sealed(MEDIA_FILE, data)
        self._media_rest_bytes = len(data)
        # The loop may have appended meanwhile: only what was taken goes.
        del self.media[: len(waiting)]
        self._write_media_rest()

    def _write_media_rest(self) -> None:
        while rest := self._media_rest:
            # A short write (disk full) keeps its rest, so that frames stay whole.
            self._media_rest = rest[os.write(self._media_fd, rest) :]
        self.written_bytes += self._media_rest_bytes
        self._media_rest_bytes = 0

    def _write_events(self) -> None:
        if waiting := self.events[:]:
            del self.events[: len(waiting)]
            data = b"".join([self._line(event) for event in waiting])
            self._events_rest += self._sealed(EVENTS_FILE, data)
        while rest := self._events_rest:
            self._events_rest = rest[os.write(self._events_fd, rest) :]

    def _line(self, event: CallEvent) -> bytes:
        try:
            return encode_event(event)
        except (TypeError, ValueError):
            logger.exception("journal {}: an event cannot be written", self._header.session_id)
            self.lost_events += 1
            metrics.JOURNAL_DROPPED_EVENTS.inc()
            self.lossy = True
            return b""

    def _sealed(self, file: int, data: bytes) -> bytes:
        return data if self._sealer is None else self._sealer.seal(file, data)
