"""The index of calls: what is listed, filtered and looked up, in SQLite or PostgreSQL.

It is a copy: everything in it can be made again from the records in the store and the journals
on disk, so it may be thrown away at any time, and no call waits for it.
"""

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Row, Select, Table, delete, insert, or_, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import StorageError
from storage.index.engines import build_engine, index_errors
from storage.index.entry import ERASED_VERSION, CallFilter, IndexedCall, Place
from storage.index.tables import SCHEMA_VERSION, calls, metadata, schema

#: Rows in one statement: SQLite takes 32,766 values at most.
MAX_ROWS = 500
#: Held while the tables are made, so that servers that start together do it once.
_LOCK = 0x63616C6C73
#: What a later row never changes.
_FIXED = {"session_id", "started_at_ms"}
_SUFFIXES = ("", "-wal", "-shm")


class CallIndex:
    """One database of calls.

    Args:
        file: Where SQLite keeps its data.
        url: PostgreSQL in place of it.

    Raises:
        ConfigError: The address cannot be used.
    """

    def __init__(self, file: Path, url: SecretStr | None = None) -> None:
        self._file = file
        self._engine = build_engine(url, file)
        self._is_sqlite = url is None
        self._upsert = _upsert(sqlite.insert if self._is_sqlite else postgresql.insert)
        self._identity: tuple[int, int] | None = None

    async def open(self) -> bool:
        """Make the tables where they are missing or of an older version.

        Returns:
            True where they are new: what was there before has to be put in again.

        Raises:
            StorageError: ``index_unavailable``, ``index_corrupt``, or ``index_newer``: a later
                version of the server has made them.
        """
        self._identity = None
        if self._is_sqlite:
            with index_errors():
                self._identity = await asyncio.to_thread(self._make_file)
        with index_errors():
            async with self._engine.begin() as connection:
                if not self._is_sqlite:
                    await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                return await self._prepare(connection)

    async def probe(self) -> None:
        """Look whether it is still there; SQLite would go on writing to a file that was deleted.

        Raises:
            StorageError: ``index_missing`` where its tables or its file are gone,
                ``index_corrupt`` where another file lies there, or as for :meth:`open`.
        """
        if self._is_sqlite:
            found = await asyncio.to_thread(self._found)
            if found is None:
                raise StorageError("index_missing", f"{self._file.name} was moved or deleted")
            if found != self._identity:
                raise StorageError("index_corrupt", f"{self._file.name} was replaced by another")
        with index_errors():
            async with self._engine.connect() as connection:
                await connection.execute(select(schema.c.version))

    async def put(self, entries: Sequence[IndexedCall]) -> None:
        """Add calls, or what is newly known of them, all or none.

        A row that has come further than what is put stays as it is; of equal ones the last put
        counts.

        Raises:
            StorageError: Nothing was put.
        """
        newest: dict[str, IndexedCall] = {}
        for entry in entries:
            known = newest.get(entry.session_id)
            if known is None or entry.version >= known.version:
                newest[entry.session_id] = entry
        rows = [_row(entry) for entry in newest.values()]
        with index_errors():
            async with self._engine.begin() as connection:
                for at in range(0, len(rows), MAX_ROWS):
                    await connection.execute(self._upsert, rows[at : at + MAX_ROWS])

    async def find(self, call_id: str) -> IndexedCall | None:
        """The call of that id of ours."""
        found = await self._read(select(calls).where(calls.c.session_id == call_id))
        return found[0] if found else None

    async def of_carrier(self, carrier_call_id: str, limit: int) -> list[IndexedCall]:
        """The calls of that carrier's id, the latest first."""
        wanted = select(calls).where(calls.c.carrier_call_id == carrier_call_id)
        return await self._read(_newest_first(wanted).limit(limit))

    async def page(
        self, wanted: CallFilter, limit: int, before: Place | None = None
    ) -> list[IndexedCall]:
        """The first ``limit`` calls of ``wanted``, the latest first, or those before a place."""
        query = _filtered(select(calls), wanted)
        if before is not None:
            place = tuple_(calls.c.started_at_ms, calls.c.session_id)
            query = query.where(place < (before.started_at_ms, before.session_id))
        return await self._read(_newest_first(query).limit(limit))

    async def held_by(self, server_id: str) -> list[IndexedCall]:
        """The calls that are not stored yet and that a server holds."""
        return await self._read(select(calls).where(calls.c.server_id == server_id))

    async def after(self, session_id: str, limit: int) -> list[IndexedCall]:
        """The calls whose id comes after another, in the order of ids: for going through all."""
        query = select(calls).where(calls.c.session_id > session_id).order_by(calls.c.session_id)
        return await self._read(query.limit(limit))

    async def forget(self, session_ids: Collection[str]) -> None:
        """Take calls out; nothing happens to what is stored of them."""
        ids = list(session_ids)
        with index_errors():
            async with self._engine.begin() as connection:
                for at in range(0, len(ids), MAX_ROWS):
                    few = ids[at : at + MAX_ROWS]
                    await connection.execute(delete(calls).where(calls.c.session_id.in_(few)))

    async def set_aside(self) -> None:
        """Put a broken file out of the way; :meth:`open` makes a new one. Not for PostgreSQL."""
        await self._engine.dispose()
        if not self._is_sqlite:
            return
        with index_errors():
            for suffix in _SUFFIXES:
                path = self._file.with_name(self._file.name + suffix)
                if path.exists():
                    path.replace(path.with_name(f"{self._file.name}.broken{suffix}"))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._engine.dispose()

    def _make_file(self) -> tuple[int, int]:
        """For its owner only: it says who called whom. SQLite's other files follow this one."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            # Without their file these are worth nothing, and a new one must not be given them.
            for suffix in _SUFFIXES[1:]:
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
        found = os.stat(self._file)
        return found.st_dev, found.st_ino

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    async def _prepare(self, connection: AsyncConnection) -> bool:
        await connection.run_sync(lambda sync: schema.create(sync, checkfirst=True))
        found = await connection.scalar(select(schema.c.version))
        if found == SCHEMA_VERSION:
            return False
        if found is not None and found > SCHEMA_VERSION:
            raise StorageError("index_newer", "a newer server has made the index of calls")
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(schema), {"version": SCHEMA_VERSION})
        return True

    async def _read(self, query: Select[Any]) -> list[IndexedCall]:
        with index_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(query)).all()
        return [_entry(row) for row in rows]


def _upsert(make: Callable[[Table], Any]) -> Any:
    """What adds a row, or replaces one that has come less far; of the database's own dialect.

    Made once: each one made leaves 230 objects in circles to the garbage collector.
    """
    statement = make(calls)
    changes = {c.name: statement.excluded[c.name] for c in calls.c if c.name not in _FIXED}
    return statement.on_conflict_do_update(
        index_elements=[calls.c.session_id],
        set_=changes,
        where=calls.c.version <= statement.excluded.version,
    )


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(calls.c.started_at_ms.desc(), calls.c.session_id.desc())


def _filtered(query: Select[Any], wanted: CallFilter) -> Select[Any]:
    c = calls.c
    for column, value in (
        (c.agent_id, wanted.agent_id),
        (c.status, wanted.status),
        (c.end_cause, wanted.end_cause),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.number is not None:
        query = query.where(or_(c.from_number == wanted.number, c.to_number == wanted.number))
    if wanted.started_from_ms is not None:
        query = query.where(c.started_at_ms >= wanted.started_from_ms)
    if wanted.started_before_ms is not None:
        query = query.where(c.started_at_ms < wanted.started_before_ms)
    return query


def _row(entry: IndexedCall) -> dict[str, Any]:
    values = asdict(entry)
    del values["erased"]  # The version says it.
    return {**values, "version": entry.version}


def _entry(row: Row[Any]) -> IndexedCall:
    values = dict(row._mapping)
    version = values.pop("version")
    return IndexedCall(**values, erased=version == ERASED_VERSION)
