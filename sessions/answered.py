"""Sees to it that a call that was answered has its record, also where the process is killed.

Between the answer webhook and the first bytes of its journal nothing of a call is on disk but
the note that is kept here. The journal, whether of a live call or of one that never began, has
the note's session id: the two are never taken for two calls. The note goes when the journal is
there, and before that is removed at the latest. A note that a dead process left, and no journal
beside it, is a call that the process took with it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from loguru import logger

from config.errors import StorageError
from sessions import metrics
from sessions.answered_notes import OwnedNotes, own_abandoned, own_new, read_note, write_note
from sessions.journal_format import JournalHeader
from sessions.journal_seal import JournalKey

T = TypeVar("T")

#: As many calls as are expected at most.
MAX_NOTES: Final = 10_000
#: Notes that may wait for the disk; a call beyond that goes without.
MAX_QUEUED: Final = 1000
#: Longest that the disk may take to remove one.
REMOVE_SECONDS: Final = 10.0
#: Longest that an answer to the carrier waits for its note; without one the call goes on as well.
WRITE_SECONDS: Final = 0.5


class AnsweredCalls:
    """The notes of one process; used from the loop's thread.

    Args:
        root: Folder of the notes; made when the first is written.
        journals: Folder of the journals.
        key: Seals notes, where given.
    """

    def __init__(
        self,
        root: Path,
        journals: Path,
        key: JournalKey | None = None,
        *,
        most: int = MAX_NOTES,
        most_queued: int = MAX_QUEUED,
    ) -> None:
        self._root = root
        self._journals = journals
        self._key = key
        self._most = most
        self._most_queued = most_queued
        # One thread: what is noted and what is removed happens in the order it was asked for.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="answered")
        self._own: OwnedNotes | None = None
        self._taken_over: list[OwnedNotes] = []
        #: Session ids, and where their notes lie; None for those in this process's own folder.
        self._noted: dict[str, OwnedNotes | None] = {}
        self._queued = 0
        self._removing: dict[str, asyncio.Task[None]] = {}
        self._troubled = False
        self._closed = False

    async def start(self) -> list[JournalHeader]:
        """Take over the notes of dead processes.

        Returns:
            The calls that they left without a journal. Their notes stay until there is one.
        """
        try:
            left = await self._in_thread(self._take_over)
        except OSError as error:
            logger.error("notes of answered calls cannot be looked at: {}", error)
            return []
        self._noted.update((header.session_id, owner) for owner, header in left)
        if left:
            logger.warning("{} calls were answered and not begun before a crash", len(left))
        return [header for _, header in left]

    async def kept(self, header: JournalHeader) -> None:
        """Note that a call was answered, and wait until that is on disk; never fails.

        What is answered after that has its record, whatever becomes of the process. A disk that
        hangs holds up the answer for ``WRITE_SECONDS``; it costs no call.

        Args:
            header: Of the journal that it will have.
        """
        if (writing := self.put(header)) is not None:
            _, late = await asyncio.wait([writing], timeout=WRITE_SECONDS)
            if late:
                self._trouble(f"the disk takes longer than {WRITE_SECONDS:g} s")

    def put(self, header: JournalHeader) -> "asyncio.Future[None] | None":
        """The same at once: the disk's work is put off.

        Returns:
            The end of that work; None where too much of it waits.
        """
        full = self._queued >= self._most_queued or (
            len(self._noted) >= self._most and header.session_id not in self._noted
        )
        if self._closed or full:
            metrics.dropped("answered")
            self._trouble("too many wait")
            return None
        owner = self._noted.setdefault(header.session_id, None)
        self._queued += 1
        writing = asyncio.ensure_future(self._in_thread(self._write, header, owner))
        writing.add_done_callback(self._written)
        return writing

    def holds(self, session_id: str) -> bool:
        """Whether there is a note of a call, or about to be."""
        return session_id in self._noted

    def remove_soon(self, session_id: str) -> None:
        """The call's journal is on disk."""
        if session_id in self._noted and session_id not in self._removing:
            task = asyncio.create_task(self._remove_quietly(session_id), name="answered-remove")
            self._removing[session_id] = task
            task.add_done_callback(lambda _: self._removing.pop(session_id, None))

    async def removed(self, session_id: str) -> None:
        """Wait until there is no note of a call; to be asked before its journal is removed.

        Raises:
            StorageError: The disk would not let it go; the journal has to stay.
        """
        if session_id not in self._noted:
            return
        try:
            async with asyncio.timeout(REMOVE_SECONDS):
                await self._in_thread(self._remove, session_id, self._noted[session_id])
        except (OSError, TimeoutError) as error:
            raise StorageError(
                "journal_note_kept", f"the note of call {session_id} cannot be removed: {error}"
            ) from error
        self._noted.pop(session_id, None)

    async def close(self, seconds: float = 3.0) -> None:
        """Write and remove what was asked for, until the deadline, and let the folders go."""
        self._closed = True
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(seconds):
                await self._in_thread(self._let_go)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _remove_quietly(self, session_id: str) -> None:
        with contextlib.suppress(StorageError):  # It is asked for again before the journal goes.
            await self.removed(session_id)

    def _written(self, writing: "asyncio.Future[None]") -> None:
        self._queued -= 1
        if writing.cancelled():
            return
        if (error := writing.exception()) is None:
            self._troubled = False
        else:
            self._trouble(str(error))

    def _trouble(self, why: str) -> None:
        if not self._troubled:
            logger.warning("a call that was answered is not noted on disk: {}", why)
        self._troubled = True

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    # -- in the thread ------------------------------------------------------------------

    def _write(self, header: JournalHeader, owner: OwnedNotes | None) -> None:
        if owner is None:
            if self._own is None:
                self._own = own_new(self._root)
            owner = self._own
        write_note(_path(owner, header.session_id), header, self._key)

    def _remove(self, session_id: str, owner: OwnedNotes | None) -> None:
        owner = owner or self._own
        if owner is not None:
            _path(owner, session_id).unlink(missing_ok=True)

    def _take_over(self) -> list[tuple[OwnedNotes, JournalHeader]]:
        left = []
        for owner in own_abandoned(self._root):
            self._taken_over.append(owner)
            for path in owner.notes():
                try:
                    if (self._journals / path.stem).is_dir():
                        path.unlink()
                    else:
                        left.append((owner, read_note(path)))
                # One that cannot be read now is kept: its key, or a newer server, may come.
                except (OSError, StorageError, msgspec.MsgspecError) as error:
                    logger.error("the note of an answered call {} is left: {}", path, error)
        return sorted(left, key=lambda each: each[1].started_at)

    def _let_go(self) -> None:
        for owner in (*self._taken_over, *([self._own] if self._own is not None else [])):
            owner.let_go()
        self._taken_over, self._own = [], None


def _path(owner: OwnedNotes, session_id: str) -> Path:
    return owner.path / f"{session_id}.json"
