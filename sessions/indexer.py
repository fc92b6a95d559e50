"""Keeps the index of calls up to date, beside the calls and never in their way.

What is new of a call is put down in memory and written by one task, in batches. While the
database is away the task tries again for ever; a file that is broken or gone is made again.
What the index then lacks is found in the store and the journals (``index_rebuild``).
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Literal

from loguru import logger

from config.errors import StorageError
from sessions import metrics
from sessions.index_entries import entry_of, live_entry, stored_entry
from sessions.index_note import IncompleteNote
from sessions.index_rebuild import journal_entry, rebuild_index
from sessions.index_restore import (
    LONGEST_PAUSE_SECONDS,
    as_lost,
    look_after,
    look_for_lately_stored,
    until_done,
)
from sessions.journal_header import Begun
from sessions.keeper import StoredCall
from sessions.record import CallRecord
from sessions.server_identity import server_id
from storage.base import Storage
from storage.index.calls import CallIndex
from storage.index.entry import IndexedCall

FIRST_PAUSE_SECONDS = 0.5
#: How often an index that nothing is written to is looked at.
PROBE_SECONDS = 10.0
#: Rows written in one transaction.
MAX_BATCH = 200
#: Calls whose news may wait; of more, the first are found again in the store and the journals.
MAX_WAITING = 20_000
#: ``away``: it cannot be written now; ``rebuilding``: it lacks calls, which are being found.
IndexState = Literal["ok", "rebuilding", "away"]
News = IndexedCall | Path | None


class CallIndexer:
    """Writes the index; one per process, used from the loop's thread.

    Args:
        index: Not open yet.
        storage: Where records are, for what has to be found again.
        data: The data folder: of the journals, and of this server's own id.
        first_pause_seconds: Before the second try; each further pause is twice as long.
        probe_seconds: See :data:`PROBE_SECONDS`.
    """

    def __init__(
        self,
        index: CallIndex,
        storage: Storage,
        data: Path,
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        self.index = index
        self._storage = storage
        self._root = data / "journal"
        self._note = IncompleteNote(data)
        self._data = data
        self.server_id = ""
        self._first_pause_seconds = first_pause_seconds
        self._probe_seconds = probe_seconds
        #: By call: its row, its journal, or None where it is to be taken out.
        self._waiting: OrderedDict[str, News] = OrderedDict()
        self._begun: dict[str, IndexedCall] = {}
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._writer: asyncio.Task[None] | None = None
        self._finder: asyncio.Task[None] | None = None
        self._open = False
        self._failing = False
        self._lost_some = False
        self._restoring = False
        #: What became known while calls are read from the store.
        self._overtaken: dict[str, News] = {}

    async def start(self) -> None:
        """Begin to write; the database need not be there."""
        self.server_id = await asyncio.to_thread(server_id, self._data)
        self._writer = asyncio.create_task(self._write_for_ever(), name="call-indexer")

    @property
    def state(self) -> IndexState:
        """How the index fares."""
        if not self._open or self._failing:
            return "away"
        return "rebuilding" if self._restoring or self._lost_some else "ok"

    @property
    def waiting(self) -> int:
        """Calls whose news are not written yet."""
        return len(self._waiting)

    def begun(self, session: Begun) -> None:
        """A call has begun."""
        entry = live_entry(session, self.server_id)
        self._begun[entry.session_id] = entry
        self._put(entry.session_id, entry)

    def ended(self, folder: Path) -> None:
        """A call's journal is complete."""
        self._begun.pop(folder.name, None)
        self._put(folder.name, folder)

    def stored(self, call: StoredCall) -> None:
        """A call is safe, now or long after its end."""
        self._begun.pop(call.record.session_id, None)
        self._put(call.record.session_id, entry_of(call))

    def changed(self, record: CallRecord, record_key: str) -> None:
        """The record of a stored call is another now: parts were deleted, or a person taken out."""
        self._put(record.session_id, stored_entry(record, record_key))

    def deleted(self, session_id: str) -> None:
        """Nothing is kept of a call any more; it leaves the lists."""
        self._put(session_id, None)

    def lost(self, session_id: str) -> None:
        """Nothing is left of a call that has ended."""
        entry = self._begun.pop(session_id, None)
        if entry is not None:
            self._put(session_id, as_lost(entry))

    async def settled(self) -> None:
        """Wait until everything is written that was known when this was called."""
        await self._written.wait()

    async def close(self, deadline_seconds: float = 5.0) -> None:
        """Write what waits, as far as it can be done in time."""
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline_seconds):
                    await self._written.wait()
        tasks = [task for task in (self._writer, self._finder) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._waiting or self._lost_some or self._restoring:
            await self._note.put_down()
        await self.index.close()

    def _put(self, session_id: str, news: News) -> None:
        if self._restoring:
            self._overtaken[session_id] = news
        self._waiting[session_id] = news
        self._waiting.move_to_end(session_id)
        if len(self._waiting) > MAX_WAITING:
            left_out, _ = self._waiting.popitem(last=False)
            self._overtaken.pop(left_out, None)
            self._lost_some = True
        self._written.clear()
        self._wake.set()

    async def _write_for_ever(self) -> None:
        pause = self._first_pause_seconds
        while True:
            try:
                if not self._open:
                    await self._begin()
                elif not self._waiting:
                    await self.index.probe()
                await self._write_all()
            except StorageError as error:
                # The first failure is news, the hundredth is not.
                level = "WARNING" if pause == self._first_pause_seconds else "DEBUG"
                logger.log(level, "calls are not indexed for now: {}", error.message)
                await self._mend(error)
            # Calls go on without an index, and what it lacks is found again later.
            except Exception:
                logger.exception("calls are not indexed for now")
                self._lost_some = True
                self._waiting.clear()
            else:
                pause, self._failing = self._first_pause_seconds, False
                await self._rest()
                continue
            self._failing = True
            metrics.INDEX_FAILURES.inc()
            await self._note.put_down()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _rest(self) -> None:
        """Wait for news, or until it is time to look at the index; all that was is written."""
        if not self._restoring:
            # Whoever changes the store from outside asks for it to be gone through, by a note.
            if self._lost_some or await self._note.is_from_outside():
                self._restore_later()
            elif self._note.is_ours:
                await self._note.take_away()
        self._wake.clear()
        if not self._waiting:
            self._written.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._probe_seconds)

    async def _begin(self) -> None:
        """Open the index and have what it lacks found again, beside everything else."""
        is_new = await self.index.open()
        incomplete = await self._note.exists()
        left = [] if is_new else await self.index.held_by(self.server_id)
        self._open = True
        if is_new or incomplete or self._lost_some:
            self._restore_later()
            return
        calls = [call for call in left if call.session_id not in self._begun]
        self._find(until_done(lambda: self._look_back(calls), self._first_pause_seconds))

    async def _look_back(self, calls: list[IndexedCall]) -> None:
        """See what became of the calls of the process before this one."""
        await look_after(calls, self.index, self._storage, self._root, self.server_id)
        await look_for_lately_stored(self.index, self._storage)

    def _find(self, work: Coroutine[Any, Any, None]) -> None:
        if self._finder is not None:
            self._finder.cancel()
        self._finder = asyncio.create_task(work, name="call-index-restore")

    def _restore_later(self) -> None:
        """Put everything in that is stored or waits, again and again until it is done."""
        self._restoring, self._lost_some = True, False
        self._overtaken.clear()
        self._find(until_done(self._restore, self._first_pause_seconds))

    async def _restore(self) -> None:
        await self._note.take_over()
        found = await rebuild_index(self.index, self._storage, self._root, self.server_id)
        self._restoring = False
        # The store was read while calls came and went: what is known of these is newer.
        for session_id, news in {**self._begun, **self._overtaken}.items():
            if session_id not in self._waiting:
                self._put(session_id, news)
        self._overtaken.clear()
        if not self._lost_some:
            await self._note.take_away()
        if found.stored or found.removed:
            logger.info(f"the index of calls was made again: {found.stored} stored calls")

    async def _write_all(self) -> None:
        while self._waiting:
            news = [self._waiting.popitem(last=False) for _ in range(self._batch())]
            try:
                await self._put_all(await self._entries(news))
                await self.index.forget([sid for sid, each in news if each is None])
            except BaseException:
                for session_id, each in reversed(news):
                    if session_id not in self._waiting:
                        self._waiting[session_id] = each
                        self._waiting.move_to_end(session_id, last=False)
                raise

    async def _put_all(self, entries: list[IndexedCall]) -> None:
        try:
            await self.index.put(entries)
        except StorageError as error:
            if error.code != "index_refused":
                raise
            # One row that the database will not have must not keep the others out.
            for entry in entries:
                try:
                    await self.index.put([entry])
                except StorageError as refusal:
                    if refusal.code != "index_refused":
                        raise
                    logger.error(f"call {entry.session_id} cannot be indexed: {refusal.message}")

    def _batch(self) -> int:
        return min(len(self._waiting), MAX_BATCH)

    async def _entries(self, news: list[tuple[str, News]]) -> list[IndexedCall]:
        entries = []
        for _, each in news:
            entry: IndexedCall | None
            if isinstance(each, Path):
                # Gone where it was stored in between, which is told of by itself.
                entry = await asyncio.to_thread(journal_entry, each, self.server_id)
            else:
                entry = each
            if entry is not None:
                entries.append(entry)
        return entries

    async def _mend(self, error: StorageError) -> None:
        if error.code not in ("index_corrupt", "index_missing"):
            return
        self._open, self._lost_some = False, True
        with contextlib.suppress(StorageError):
            if error.code == "index_corrupt":
                logger.error("the index of calls is broken: it is set aside and made again")
                await self.index.set_aside()
            else:
                await self.index.close()
