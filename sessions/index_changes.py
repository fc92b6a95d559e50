"""Keeps the index of calls right when what is stored of a call is changed or deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from config.errors import StorageError
from sessions.index_entries import stored_entry
from sessions.index_note import put_down_note
from sessions.index_rebuild import stored_row
from sessions.indexer import CallIndexer
from sessions.record import CallRecord
from sessions.retention import OnChanged
from sessions.server_identity import server_id
from storage.base import Storage
from storage.index.calls import CallIndex
from storage.index.entry import CallFilter, IndexedCall, Place

#: Rows looked at in one go.
_PAGE = 200


@dataclass(frozen=True, slots=True)
class RowsForgotten:
    """What became of the rows of a number in an index.

    Attributes:
        session_ids: Calls of which nothing but the row was left.
        failure: Why some may be left.
    """

    session_ids: list[str]
    failure: str | None = None


#: Told of a call whose record has changed, or (None) is no more: id, key of the record, record.
#: Says why an index could not be changed, or None.
ChangeRow = Callable[[str, str, CallRecord | None], Awaitable[str | None]]
#: Takes the rows of a number out of an index, of which nothing else is left.
ForgetRows = Callable[[str], Awaitable[RowsForgotten]]


def indexer_changes(indexer: CallIndexer) -> OnChanged:
    """Takes changes over into the index of this server, as soon as it can be written."""

    async def changed(session_id: str, record_key: str, record: CallRecord | None) -> None:
        if record is None:
            indexer.deleted(session_id)
        else:
            indexer.changed(record, record_key)

    return changed


def index_changes(index: CallIndex, data: Path) -> ChangeRow:
    """Takes changes over into an index, in a process beside the server's.

    That the index is away stops no deletion: it is told, and a note in ``data``, the data
    folder, then has the server mend it.
    """

    async def changed(session_id: str, record_key: str, record: CallRecord | None) -> str | None:
        try:
            if record is None:
                await index.forget([session_id])
            else:
                await index.put([stored_entry(record, record_key)])
        except StorageError as error:
            logger.warning("call {} was deleted, its index entry was not: {}", session_id, error)
            await asyncio.to_thread(put_down_note, data)
            return error.message
        return None

    return changed


def index_forgetting(index: CallIndex, storage: Storage, data: Path) -> ForgetRows:
    """Takes the rows of a number out of an index, in a process beside the server's.

    A call that was lost has nothing but its row. Of one whose record is there, the row becomes
    what the record says. Rows of calls that another server holds are left to it. Where index or
    store are away, that is told, and a note in ``data``, the data folder, has the server mend
    the index.
    """

    async def forget(number: str) -> RowsForgotten:
        gone: list[str] = []
        try:
            ours = await asyncio.to_thread(server_id, data)
            place: Place | None = None
            while rows := await index.page(CallFilter(number=number), _PAGE, place):
                place = rows[-1].place
                gone += await take_out([r for r in rows if r.server_id in (None, ours)])
        except StorageError as error:
            logger.warning("rows of erased calls may be left in the index: {}", error)
            await asyncio.to_thread(put_down_note, data)
            return RowsForgotten(gone, error.message)
        return RowsForgotten(gone)

    async def take_out(rows: list[IndexedCall]) -> list[str]:
        left = []
        for row in rows:
            # The journal first: it goes when the record is there.
            if await asyncio.to_thread((data / "journal" / row.session_id).exists):
                continue
            try:
                found = await stored_row(storage, row)
            except StorageError as error:
                if error.code != "storage_corrupt":
                    raise
                continue  # The record is said to be left, and its row leads to the sound.
            if found is None:
                left.append(row.session_id)
            else:
                await index.put([found])
        await index.forget(left)
        return left

    return forget
