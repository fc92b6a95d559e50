"""Keeps the index of calls up to date, beside the calls and never in their way.

What is new of a call is put down in memory and written by one task, in batches. While the
database is away the task tries again for ever; a file that is broken is set aside and made
again. What the index then lacks is found in the store and the journals (``index_rebuild``).
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

from loguru import logger

from config.errors import StorageError
from sessions import metrics
from sessions.index_entries import Begun, entry_of, live_entry, stored_entry
from sessions.index_rebuild import journal_entry, rebuild_index, stored_row
from sessions.keeper import StoredCall
from sessions.record import CallRecord
from storage.base import Storage
from storage.index.calls import CallIndex
from storage.index.entry import IndexedCall

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
#: Rows written in one transaction.
MAX_BATCH = 200
#: Calls whose news may wait; of more, the first are found again in the store and the journals.
MAX_WAITING = 20_000
_SERVER_ID = "server_id"
_INCOMPLETE = "index_incomplete"


class CallIndexer:
    """Writes the index; one per process, used from the loop's thread.

    Args:
        index: Not open yet.
        storage: Where records are, for what has to be found again.
        data: The data folder: of the journals, and of this server's own id.
        first_pause_seconds: Before the second try; each further pause is twice as long.
    """

    def __init__(
        self,
        index: CallIndex,
        storage: Storage,
        data: Path,
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self.index = index
        self._storage = storage
        self._root = data / "journal"
        self._incomplete = data / _INCOMPLETE
        self._data = data
        self.server_id = ""
        self._first_pause_seconds = first_pause_seconds
        self._waiting: OrderedDict[str, IndexedCall | Path] = OrderedDict()
        self._begun: dict[str, IndexedCall] = {}
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False
        self._lost_some = False
        self._restoring = False

    async def start(self) -> None:
        """Begin to write; the database need not be there."""
        self.server_id = await asyncio.to_thread(server_id, self._data)
        self._tasks.append(asyncio.create_task(self._write_for_ever(), name="call-indexer"))

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

    async def deleted(self, session_ids: Collection[str]) -> None:
        """Nothing is kept of calls any more; they leave the lists.

        Raises:
            StorageError: They are still in; a rebuilding would take them out.
        """
        for session_id in session_ids:
            self._waiting.pop(session_id, None)
        await self.index.forget(session_ids)

    def lost(self, session_id: str) -> None:
        """Nothing is left of a call that has ended."""
        entry = self._begun.pop(session_id, None)
        if entry is not None:
            self._put(session_id, _as_lost(entry))

    async def settled(self) -> None:
        """Wait until everything is written that was known when this was called."""
        await self._written.wait()

    async def close(self, deadline_seconds: float = 5.0) -> None:
        """Write what waits, as far as it can be done in time."""
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline_seconds):
                    await self._written.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._waiting or self._lost_some:
            await self._mark_incomplete()
        await self.index.close()

    def _put(self, session_id: str, news: IndexedCall | Path) -> None:
        self._waiting[session_id] = news
        self._waiting.move_to_end(session_id)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
            self._lost_some = True
        self._written.clear()
        self._wake.set()

    async def _write_for_ever(self) -> None:
        pause = self._first_pause_seconds
        while True:
            try:
                if not self._open:
                    await self._begin()
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
                pause = self._first_pause_seconds
                await self._rest()
                continue
            metrics.INDEX_FAILURES.inc()
            await self._mark_incomplete()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _rest(self) -> None:
        """Wait for news; all that there was is written."""
        if not (self._lost_some or self._restoring):
            await self._mark_complete()
        self._wake.clear()
        if not self._waiting:
            self._written.set()
            await self._wake.wait()

    async def _begin(self) -> None:
        """Open the index and have what it lacks found again, beside everything else."""
        is_new = await self.index.open()
        incomplete = await asyncio.to_thread(self._incomplete.exists)
        left = [] if is_new else await self.index.held_by(self.server_id)
        self._open = True
        if is_new or incomplete or self._lost_some:
            self._restoring = True
            work = self._restore()
        else:
            work = self._look_after([call for call in left if call.session_id not in self._begun])
        self._tasks.append(asyncio.create_task(work, name="call-index-restore"))

    async def _write_all(self) -> None:
        while self._waiting:
            news = [self._waiting.popitem(last=False) for _ in range(self._batch())]
            try:
                await self._put_all(await self._entries(news))
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

    async def _entries(self, news: list[tuple[str, IndexedCall | Path]]) -> list[IndexedCall]:
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
        if error.code != "index_corrupt":
            return
        logger.error("the index of calls is broken: it is set aside and made again")
        self._open = False
        with contextlib.suppress(StorageError):
            await self.index.set_aside()

    async def _restore(self) -> None:
        """Put everything in that is stored or waits, again and again until it is done."""

        async def rebuild() -> None:
            found = await rebuild_index(self.index, self._storage, self._root, self.server_id)
            self._lost_some = self._restoring = False
            await self._mark_complete()
            if found.stored or found.removed:
                logger.info(f"the index of calls was made again: {found.stored} stored calls")

        await self._until_done(rebuild)

    async def _look_after(self, left: list[IndexedCall]) -> None:
        """See what became of the calls that this server had when it ended."""

        async def look() -> None:
            while left:
                entry = await self._fate(left[-1])
                if entry is not None:
                    await self.index.put([entry])
                left.pop()

        await self._until_done(look)

    async def _fate(self, call: IndexedCall) -> IndexedCall | None:
        """The row of a call now; None where its journal waits and the keeper will tell."""
        folder = self._root / call.session_id
        if await asyncio.to_thread(folder.exists):
            return await asyncio.to_thread(journal_entry, folder, self.server_id)
        stored = await stored_row(self._storage, call)
        if stored is not None:
            return stored
        return _as_lost(call)

    async def _until_done(self, work: Callable[[], Awaitable[None]]) -> None:
        pause = self._first_pause_seconds
        while True:
            try:
                await work()
                return
            except StorageError as error:
                logger.debug("the index of calls is not complete yet: {}", error.message)
            # As for writing: an index that lacks calls is better than none.
            except Exception:
                logger.exception("the index of calls could not be completed")
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _mark_incomplete(self) -> None:
        """Have the next start look for what this one could not write."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._incomplete.touch)

    async def _mark_complete(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._incomplete.unlink, missing_ok=True)


def server_id(data: Path) -> str:
    """The id of the server whose data folder that is; made at its first start."""
    path = data / _SERVER_ID
    with contextlib.suppress(OSError, ValueError):
        return str(UUID(path.read_text("ascii").strip()))
    made = str(uuid4())
    try:
        data.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{made}\n", "ascii")
    except OSError as error:
        # Good for this run; the next will not know this one's calls by it.
        logger.warning(f"{path} cannot be written: {error.strerror}")
    return made


def _as_lost(call: IndexedCall) -> IndexedCall:
    """Of a call of which nothing but its row is left."""
    return replace(call, status="lost", end_cause="crash", server_id=None)
