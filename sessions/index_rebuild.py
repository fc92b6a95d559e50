"""Makes the index of calls again from what is stored and what still waits on disk."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from loguru import logger

from config.errors import StorageError
from sessions.deletion import read_record
from sessions.index_entries import spooled_entry, stored_entry
from sessions.journal_format import RECORDS
from sessions.spool import JournalBusyError, locked
from sessions.spooled import all_spooled, read_spooled
from storage.base import Storage
from storage.index.calls import CallIndex
from storage.index.entry import IndexedCall

_BATCH = 200
#: Records read at once.
_READERS = 8


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was found.

    Attributes:
        stored: Calls whose record is in the store.
        waiting: Calls that are in a journal alone.
        removed: Rows of which nothing was found.
        unreadable: Records and journals that cannot be read.
    """

    stored: int
    waiting: int
    removed: int
    unreadable: int


async def rebuild_index(
    index: CallIndex, storage: Storage, root: Path, server_id: str | None
) -> Rebuilt:
    """Put every call into the index that is in the store or has a journal in ``root``.

    May run while servers work: what they put meanwhile stays.

    Args:
        index: Open.
        server_id: Whose journals those are.

    Raises:
        StorageError: The store or the index does not answer; what was put by then stays.
    """
    before = await _held(index, server_id)
    seen: set[str] = set()
    stored = waiting = unreadable = 0
    async for few in _batches(storage):
        entries, unread = await _stored(storage, few)
        unreadable += len(unread)
        stored += len(entries)
        # A record that cannot be read is no reason to forget the call: its sound may be there.
        seen.update((entry.session_id for entry in entries), unread)
        await index.put(entries)
    for folder in await asyncio.to_thread(all_spooled, root):
        entry = await asyncio.to_thread(journal_entry, folder, server_id)
        if entry is None:
            unreadable += 1
            # What cannot be read here now is no reason to forget the call.
            seen.add(folder.name)
        elif entry.session_id not in seen:
            waiting += 1
            seen.add(entry.session_id)
            await index.put([entry])
    removed = await _remove_gone(index, storage, before - seen)
    return Rebuilt(stored, waiting, removed, unreadable)


def journal_entry(folder: Path, server_id: str | None) -> IndexedCall | None:
    """The row of a call that has a journal, None where that cannot be read. Blocks."""
    call = read_spooled(folder)
    if call is None:
        return None
    return spooled_entry(call, server_id, live=not call.has_ended and _in_use(folder))


async def stored_row(storage: Storage, call: IndexedCall) -> IndexedCall | None:
    """The row of a call whose record may have been stored meanwhile; None where it was not.

    Raises:
        StorageError: As for :func:`read_row`.
    """
    day = datetime.fromtimestamp(call.started_at_ms / 1000, UTC).strftime("%Y/%m/%d")
    return await read_row(storage, f"{RECORDS}{day}/{call.session_id}.json")


async def _held(index: CallIndex, server_id: str | None) -> set[str]:
    """The rows that must be found again: those of stored calls, and of this server's."""
    found: set[str] = set()
    last = ""
    while rows := await index.after(last, _BATCH):
        last = rows[-1].session_id
        found |= {r.session_id for r in rows if r.server_id in (None, server_id)}
    return found


async def _remove_gone(index: CallIndex, storage: Storage, missing: Iterable[str]) -> int:
    """Take out rows of which nothing was found; a call may have moved while it was looked for."""
    gone: list[str] = []
    for session_id in missing:
        row = await index.find(session_id)
        if row is None:
            continue
        try:
            found = await stored_row(storage, row)
        except StorageError as error:
            if error.code != "storage_corrupt":
                raise
            continue  # It is there, even so.
        if found is not None:
            await index.put([found])
        else:
            gone.append(session_id)
    await index.forget(gone)
    return len(gone)


async def _batches(storage: Storage) -> AsyncIterator[list[str]]:
    batch: list[str] = []
    async for info in storage.list_objects("transcripts", RECORDS):
        batch.append(info.key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _stored(storage: Storage, keys: Iterable[str]) -> tuple[list[IndexedCall], set[str]]:
    """The rows of the calls with those records, and the ids of those that cannot be read."""
    slots, unread = asyncio.Semaphore(_READERS), set[str]()

    async def read(key: str) -> IndexedCall | None:
        async with slots:
            try:
                return await read_row(storage, key)
            except StorageError as error:
                if error.code != "storage_corrupt":
                    raise
                logger.warning("{}", error.message)
                unread.add(session_id_of(key))
                return None

    found = await asyncio.gather(*(read(key) for key in keys))
    return [entry for entry in found if entry is not None], unread


async def read_row(storage: Storage, key: str) -> IndexedCall | None:
    """The row of a stored record; None where there is none.

    Raises:
        StorageError: The store does not answer, or it is no record (``storage_corrupt``).
    """
    record = await read_record(storage, key)
    try:
        return None if record is None else stored_entry(record, key)
    except ValueError as error:  # Of a time that is none.
        raise StorageError("storage_corrupt", f"{key} is no call record") from error


def session_id_of(record_key: str) -> str:
    """Of the call with that record."""
    return PurePosixPath(record_key).stem


def _in_use(folder: Path) -> bool:
    try:
        with locked(folder):
            return False
    except (JournalBusyError, OSError):
        return True
