"""Keeps the index of calls right when what is stored of a call is deleted."""

from loguru import logger

from config.errors import StorageError
from sessions.index_entries import stored_entry
from sessions.record import CallRecord
from sessions.retention import OnChanged
from storage.index.calls import CallIndex


def index_changes(index: CallIndex) -> OnChanged:
    """Takes deletions over into an index; that it is away stops no deletion."""

    async def changed(session_id: str, record_key: str, record: CallRecord | None) -> None:
        try:
            if record is None:
                await index.forget([session_id])
            else:
                await index.put([stored_entry(record, record_key)])
        except StorageError as error:
            logger.warning("call {} was deleted, its index entry was not: {}", session_id, error)

    return changed
