"""Keeps the index of calls right when what is stored of a call is changed or deleted."""

import asyncio
from pathlib import Path

from loguru import logger

from config.errors import StorageError
from sessions.index_entries import stored_entry
from sessions.index_note import put_down_note
from sessions.indexer import CallIndexer
from sessions.record import CallRecord
from sessions.retention import OnChanged
from storage.index.calls import CallIndex


def indexer_changes(indexer: CallIndexer) -> OnChanged:
    """Takes changes over into the index of this server, as soon as it can be written."""

    async def changed(session_id: str, record_key: str, record: CallRecord | None) -> None:
        if record is None:
            indexer.deleted(session_id)
        else:
            indexer.changed(record, record_key)

    return changed


def index_changes(index: CallIndex, data: Path) -> OnChanged:
    """Takes changes over into an index, in a process beside the server's.

    That the index is away stops no deletion: a note in ``data``, the data folder, then has the
    server mend it.
    """

    async def changed(session_id: str, record_key: str, record: CallRecord | None) -> None:
        try:
            if record is None:
                await index.forget([session_id])
            else:
                await index.put([stored_entry(record, record_key)])
        except StorageError as error:
            logger.warning("call {} was deleted, its index entry was not: {}", session_id, error)
            await asyncio.to_thread(put_down_note, data)

    return changed
