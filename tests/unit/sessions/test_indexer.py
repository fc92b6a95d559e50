"""The index of calls follows the calls, whatever becomes of its database."""

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast
from uuid import uuid4

import msgspec
import pytest

from bot.events import CallEnded
from config.errors import StorageError
from sessions.facts import CallFacts
from sessions.index_entries import entry_of
from sessions.index_rebuild import rebuild_index
from sessions.index_restore import look_for_lately_stored
from sessions.indexer import CallIndexer
from sessions.journal_header import Begun
from sessions.keeper import RecordKeeper, StoredCall
from sessions.server_identity import server_id
from storage.base import StorageKind
from storage.filesystem import FilesystemStorage
from storage.index.calls import CallIndex
from storage.index.entry import CallFilter, IndexedCall
from tests.unit.sessions.journals import STARTED_AT, header, numbered, writing

SECONDS = 60


class FlakyIndex(CallIndex):
    """An index whose database answers or not, as the test wants."""

    error: StorageError | None = None
    refuses: str | None = None
    tries = 0

    async def put(self, entries: Sequence[IndexedCall]) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error
        if any(entry.session_id == self.refuses for entry in entries):
            raise StorageError("index_refused", "no")
        await super().put(entries)


@dataclass
class Bench:
    """A data folder, and what works in it."""

    data: Path
    storage: FilesystemStorage
    index: FlakyIndex
    indexer: CallIndexer

    async def rows(self) -> dict[str, IndexedCall]:
        return {call.session_id: call for call in await self.index.page(CallFilter(), 1000)}

    async def until(self, session_id: str, status: str) -> IndexedCall:
        async with asyncio.timeout(SECONDS):
            while True:
                with suppress(StorageError):  # Its tables are not made yet.
                    row = await self.index.find(session_id)
                    if row is not None and row.status == status:
                        return row
                await asyncio.sleep(0.01)

    async def keep(self, folder: Path) -> StoredCall:
        keeper = RecordKeeper(self.storage, self.data / "journal")
        try:
            return await keeper.finish(folder)
        finally:
            await keeper.close()

    async def journal(self, *, ended: bool = True, **changes: object) -> Path:
        async with writing(self.data / "journal") as writer:
            call = writer.open(header(**changes))  # type: ignore[arg-type]
            call.caller_audio(0.0, numbered(800))
            if ended:
                call.event(CallEnded(at_ms=100.0, cause="silence"))
            await call.close()
        return call.folder

    async def restart(self) -> None:
        await self.indexer.close()
        self.index = FlakyIndex(self.data / "calls.db")
        self.indexer = an_indexer(self)
        await self.indexer.start()


def an_indexer(bench: Bench) -> CallIndexer:
    return CallIndexer(bench.index, bench.storage, bench.data, first_pause_seconds=0.01)


@asynccontextmanager
async def a_bench(folder: Path) -> AsyncIterator[Bench]:
    storage = FilesystemStorage(folder / "storage")
    bench = Bench(folder, storage, FlakyIndex(folder / "calls.db"), cast(CallIndexer, None))
    bench.indexer = an_indexer(bench)
    yield bench
    await bench.indexer.close()
    await storage.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path) as it:
        yield it


def a_session(session_id: str | None = None, **facts: Any) -> Begun:
    return cast(
        Begun,
        SimpleNamespace(
            session_id=session_id or str(uuid4()),
            started_wall=STARTED_AT,
            agent=SimpleNamespace(agent_id="helpline"),
            facts=CallFacts(direction="inbound", **facts),
        ),
    )


async def test_a_call_from_its_beginning_to_the_store(bench: Bench) -> None:
    await bench.index.open()  # Not new at the start: nothing has to be found again.
    await bench.indexer.start()
    folder = await bench.journal(carrier_call_id="6d1f", from_number="+919812345678")
    bench.indexer.begun(a_session(folder.name, carrier_call_id="6d1f", from_number="098 1234 5678"))
    live = await bench.until(folder.name, "live")
    assert (live.from_number, live.ended_at_ms, live.end_cause) == ("+919812345678", None, None)
    bench.indexer.ended(folder)
    ended = await bench.until(folder.name, "ended")
    assert ended.started_at_ms == live.started_at_ms
    assert (ended.ended_at_ms, ended.end_cause) == (ended.started_at_ms + 100, "silence")
    assert ended.server_id == live.server_id == server_id(bench.data)
    call = await bench.keep(folder)
    bench.indexer.stored(call)
    stored = await bench.until(folder.name, "stored")
    assert stored == entry_of(call)
    assert stored.recording_key == f"2026/11/01/{folder.name}.wav"
    assert replace(stored, status="ended", server_id=ended.server_id) == replace(
        ended,
        recording_key=stored.recording_key,
        transcript_key=stored.transcript_key,
        record_key=stored.record_key,
    )


async def test_a_database_that_is_away_costs_nothing(bench: Bench) -> None:
    bench.index.error = StorageError("index_unavailable", "away")
    await bench.indexer.start()
    session = a_session()
    bench.indexer.begun(session)
    async with asyncio.timeout(SECONDS):
        while bench.index.tries < 3:  # noqa: ASYNC110 - the indexer's task tries
            await asyncio.sleep(0.01)
    assert (bench.data / "index_incomplete").exists()
    bench.index.error = None
    await bench.until(session.session_id, "live")
    await bench.indexer.settled()
    async with asyncio.timeout(SECONDS):
        while (bench.data / "index_incomplete").exists():  # noqa: ASYNC110, ASYNC240 - as above
            await asyncio.sleep(0.01)


async def test_what_could_not_be_written_is_found_at_the_next_start(bench: Bench) -> None:
    bench.index.error = StorageError("index_unavailable", "away")
    await bench.indexer.start()
    call = await bench.keep(await bench.journal())
    bench.indexer.stored(call)
    waiting = await bench.journal()
    async with asyncio.timeout(SECONDS):
        while not bench.index.tries:  # noqa: ASYNC110 - the indexer's task tries
            await asyncio.sleep(0.01)
    await bench.indexer.close(0.01)
    await bench.restart()
    assert await bench.until(call.record.session_id, "stored") == entry_of(call)
    assert (await bench.until(waiting.name, "ended")).end_cause == "silence"


async def test_a_row_that_is_refused_does_not_keep_others_out(bench: Bench) -> None:
    bad, good = a_session(), a_session()
    bench.index.refuses = bad.session_id
    bench.indexer.begun(bad)
    bench.indexer.begun(good)
    await bench.indexer.start()
    await bench.until(good.session_id, "live")
    assert await bench.index.find(bad.session_id) is None


async def test_a_broken_file_is_made_again_from_the_store(bench: Bench) -> None:
    call = await bench.keep(await bench.journal())
    (bench.data / "calls.db").write_bytes(b"no database" * 5000)
    await bench.indexer.start()
    assert await bench.until(call.record.session_id, "stored") == entry_of(call)
    assert (bench.data / "calls.db.broken").exists()


async def test_the_next_start_sees_what_became_of_its_calls(bench: Bench) -> None:
    await bench.index.open()  # Not new at the start: nothing has to be found again.
    await bench.indexer.start()
    known = {name: await bench.journal(ended=name != "live") for name in ("live", "stored")}
    gone = str(uuid4())
    for name in (*(folder.name for folder in known.values()), gone):
        bench.indexer.begun(a_session(name))
        await bench.until(name, "live")
    call = await bench.keep(known["stored"])  # Killed before the index was told.
    await bench.restart()
    assert await bench.until(known["stored"].name, "stored") == entry_of(call)
    assert (await bench.until(known["live"].name, "ended")).end_cause == "crash"
    lost = await bench.until(gone, "lost")
    assert (lost.end_cause, lost.server_id) == ("crash", None)


class Midnight(datetime):
    """The first instant of a day, on whichever the tests run."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 11, 21, tzinfo=tz)


async def test_the_next_start_finds_calls_that_were_stored_and_never_indexed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power was lost before their rows were on disk."""
    monkeypatch.setattr("sessions.index_restore.datetime", Midnight)
    await bench.index.open()  # Not new at the start: nothing has to be found again.
    now = Midnight.now(UTC).timestamp()
    calls = [
        await bench.keep(await bench.journal(started_at=now - days * 86_400)) for days in (0, 1)
    ]
    await bench.indexer.start()
    for call in calls:
        assert await bench.until(call.record.session_id, "stored") == entry_of(call)


class Vanishing(FilesystemStorage):
    """A store from which each record is deleted as soon as it has been read."""

    async def read(self, kind: StorageKind, key: str, **rest: Any) -> bytes:
        data = await super().read(kind, key, **rest)
        await self.delete(kind, key)
        return data


async def test_a_call_that_is_deleted_while_it_is_looked_for_has_no_row(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.index.open()
    call = await bench.keep(await bench.journal(started_at=datetime.now(UTC).timestamp()))
    storage = Vanishing(tmp_path / "storage")
    await look_for_lately_stored(bench.index, storage)
    await storage.close()
    assert await bench.index.find(call.record.session_id) is None


async def test_a_disk_that_fails_once_does_not_end_the_writing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, exists = asyncio.Event(), Path.exists
    loop = asyncio.get_running_loop()

    def failing(path: Path) -> bool:
        if not path.name.startswith("index_"):
            return exists(path)
        loop.call_soon_threadsafe(asked.set)
        raise OSError(errno.EIO, "Input/output error")

    await bench.indexer.start()
    before, meanwhile, after = (a_session() for _ in range(3))
    bench.indexer.begun(before)
    await bench.until(before.session_id, "live")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", failing)
        bench.indexer.begun(meanwhile)
        async with asyncio.timeout(SECONDS):
            await asked.wait()
    bench.indexer.begun(after)
    await bench.until(after.session_id, "live")


async def test_a_call_without_a_journal_is_lost(bench: Bench) -> None:
    await bench.indexer.start()
    session = a_session()
    bench.indexer.begun(session)
    await bench.until(session.session_id, "live")
    bench.indexer.lost(session.session_id)
    await bench.until(session.session_id, "lost")


async def test_rebuilding_gives_the_same_rows(bench: Bench) -> None:
    await bench.indexer.start()
    for number in range(5):
        changes: dict[str, Any] = {
            "started_at": STARTED_AT + number,
            "carrier_call_id": f"c{number}",
        }
        call = await bench.keep(await bench.journal(**changes))
        bench.indexer.stored(call)
    bench.indexer.ended(await bench.journal())
    await bench.indexer.settled()
    before = await bench.rows()
    assert [row.status for row in before.values()].count("stored") == 5
    async with a_bench(bench.data) as other:
        other.index = FlakyIndex(bench.data / "other.db")
        await other.index.open()
        stray = replace(next(iter(before.values())), session_id=str(uuid4()))
        await other.index.put([stray])
        for expected in ((5, 1, 1), (5, 1, 0)):
            found = await rebuild_index(
                other.index, bench.storage, bench.data / "journal", server_id(bench.data)
            )
            assert (found.stored, found.waiting, found.removed) == expected
            assert await other.rows() == before
        await other.index.close()


async def test_rebuilding_minds_nothing_that_it_finds(bench: Bench) -> None:
    await bench.index.open()
    call = await bench.keep(await bench.journal())
    for key, data in {"records/2026/11/01/bad.json": b"{", "records/x.json": b'{"a":1}'}.items():
        await bench.storage.put_bytes("transcripts", key, data, "application/json")
    broken = bench.data / "journal" / str(uuid4())
    broken.mkdir()
    (broken / "header.json").write_text("{")
    (bench.data / "journal" / "a file").write_text("")
    found = await rebuild_index(bench.index, bench.storage, bench.data / "journal", "me")
    assert (found.stored, found.waiting, found.removed, found.unreadable) == (1, 0, 0, 4)
    assert list(await bench.rows()) == [call.record.session_id]


async def test_rebuilding_keeps_the_row_of_a_call_that_cannot_be_read_now(bench: Bench) -> None:
    """Of a newer server, or sealed with another key: it is there, and will be read."""
    bench.indexer.ended(folder := await bench.journal())
    await bench.indexer.start()
    await bench.until(folder.name, "ended")
    (folder / "header.json").write_text('{"version":2}')
    me = server_id(bench.data)
    found = await rebuild_index(bench.index, bench.storage, bench.data / "journal", me)
    assert (found.removed, found.unreadable) == (0, 1)
    assert list(await bench.rows()) == [folder.name]


async def test_a_call_that_is_changed_or_deleted_later(bench: Bench) -> None:
    await bench.indexer.start()
    call = await bench.keep(await bench.journal(from_number="+919812345678"))
    session_id = call.record.session_id
    bench.indexer.stored(call)
    await bench.until(session_id, "stored")
    record = msgspec.structs.replace(call.record, from_number=None)
    bench.indexer.changed(record, call.record_key)
    await bench.indexer.settled()
    row = await bench.index.find(session_id)
    assert row == replace(entry_of(call), from_number=None)
    bench.indexer.deleted(session_id)
    await bench.indexer.settled()
    assert await bench.rows() == {}


async def test_a_file_that_another_process_holds_is_waited_for(bench: Bench) -> None:
    await bench.index.open()
    other = sqlite3.connect(bench.data / "calls.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    await bench.indexer.start()
    session = a_session()
    turns = 0

    async def the_loop_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    turning = asyncio.create_task(the_loop_turns())
    async with asyncio.timeout(SECONDS):
        bench.indexer.begun(session)
        # As long as SQLite waits for the lock, in its own thread, the loop goes on.
        while not (bench.data / "index_incomplete").exists():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)
    assert turns > 20
    turning.cancel()
    other.execute("COMMIT")
    other.close()
    await bench.until(session.session_id, "live")
