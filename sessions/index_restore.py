"""Finds again what an index of calls lacks, beside everything else, until it is done."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loguru import logger

from config.errors import StorageError
from sessions.index_rebuild import journal_entry, read_row, session_id_of, stored_row
from sessions.journal_format import RECORDS
from storage.base import Storage
from storage.index.calls import CallIndex
from storage.index.entry import IndexedCall

LONGEST_PAUSE_SECONDS = 30.0


async def until_done(work: Callable[[], Awaitable[None]], first_pause_seconds: float) -> None:
    """Do ``work`` again and again until it succeeds; the store may be away for long."""
    pause, is_told = first_pause_seconds, False
    while True:
        try:
            await work()
            return
        except StorageError as error:
            logger.debug("the index of calls is not complete yet: {}", error.message)
        # An index that lacks calls is better than none, and calls go on without it.
        except Exception:
            if not is_told:
                logger.exception("the index of calls is not complete yet")
            is_told = True
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def look_after(
    left: list[IndexedCall], index: CallIndex, storage: Storage, root: Path, server_id: str
) -> None:
    """See what became of calls that this server had when it ended.

    Args:
        left: Rows of them; emptied as they are seen to.
        root: Folder of the journals.

    Raises:
        StorageError: The store or the index does not answer; ``left`` is what is left to do.
    """
    while left:
        entry = await _fate(left[-1], storage, root, server_id)
        if entry is not None:
            await index.put([entry])
        left.pop()


async def look_for_lately_stored(index: CallIndex, storage: Storage) -> None:
    """Put in the calls of today and yesterday that are stored and have no row.

    A machine that loses its power forgets the last rows of SQLite, and a killed process those
    that its index had not taken yet; the calls themselves are safe by then.

    Raises:
        StorageError: The store or the index does not answer; what was put by then stays.
    """
    today = datetime.now(UTC).date()
    for day in (today, today - timedelta(days=1)):
        async for info in storage.list_objects("transcripts", f"{RECORDS}{day:%Y/%m/%d}/"):
            session_id = session_id_of(info.key)
            if await index.find(session_id) is not None:
                continue
            if (row := await _readable(read_row(storage, info.key))) is not None:
                await index.put([row])
                # It may have been erased or deleted while it was read.
                if await _readable(read_row(storage, info.key)) is None:
                    await index.forget([session_id])


def as_lost(call: IndexedCall) -> IndexedCall:
    """Of a call of which nothing but its row is left."""
    return replace(call, status="lost", end_cause="crash", server_id=None)


async def _fate(
    call: IndexedCall, storage: Storage, root: Path, server_id: str
) -> IndexedCall | None:
    """The row of a call now; None where its journal waits and the keeper will tell."""
    folder = root / call.session_id
    if await asyncio.to_thread(folder.exists):
        return await asyncio.to_thread(journal_entry, folder, server_id)
    # Where its record is damaged, one that is mended is put in over this row.
    stored = await _readable(stored_row(storage, call))
    return as_lost(call) if stored is None else stored


async def _readable(reading: Awaitable[IndexedCall | None]) -> IndexedCall | None:
    """The row of a record; None where there is none, or it is damaged: that holds up nothing."""
    try:
        return await reading
    except StorageError as error:
        if error.code != "storage_corrupt":
            raise
        logger.warning("{}", error.message)
        return None
