"""The index of calls is whole again after whatever became of its database, without a restart."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from config.errors import StorageError
from sessions import indexer as indexer_module
from sessions.index_changes import index_changes, indexer_changes
from sessions.index_entries import entry_of
from sessions.index_note import put_down_note
from sessions.indexer import CallIndexer
from storage.base import ObjectInfo
from storage.filesystem import FilesystemStorage
from storage.index.calls import CallIndex
from storage.index.entry import CallFilter, IndexedCall
from tests.unit.sessions.journals import STARTED_AT
from tests.unit.sessions.test_indexer import SECONDS, Bench, FlakyIndex, a_bench, a_session

AWAY = StorageError("index_unavailable", "away")


class GatedStorage(FilesystemStorage):
    """A store whose listing of records waits in its middle."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.listing, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def list_objects(self, *args: Any, **options: Any) -> AsyncIterator[ObjectInfo]:
        found = [info async for info in super().list_objects(*args, **options)]
        self.listing.set()
        await self.go_on.wait()
        for info in found:
            yield info


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path) as made:
        await made.storage.close()
        made.storage = GatedStorage(tmp_path / "storage")
        renew(made)
        yield made


def renew(bench: Bench) -> None:
    """The indexer of another process, which looks at its database all the time."""
    bench.indexer = CallIndexer(
        bench.index, bench.storage, bench.data, first_pause_seconds=0.01, probe_seconds=0.01
    )


def gate(bench: Bench) -> GatedStorage:
    assert isinstance(bench.storage, GatedStorage)
    return bench.storage


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - the indexer's tasks bring it about
            await asyncio.sleep(0.01)


async def settled(bench: Bench) -> None:
    await until(lambda: bench.indexer.state == "ok")
    async with asyncio.timeout(SECONDS):
        await bench.indexer.settled()
    await until(lambda: bench.indexer.state == "ok")


async def rows_of(file: Path, wanted: dict[str, str]) -> dict[str, IndexedCall]:
    """What another process finds in the file that lies there, once all have come so far."""
    async with asyncio.timeout(SECONDS):
        while True:
            index = CallIndex(file)
            try:
                found = await index.page(CallFilter(), 100) if _is_database(file) else []
            except StorageError:
                found = []  # Its tables are not made yet.
            finally:
                await index.close()
            if {call.session_id: call.status for call in found} == wanted:
                return {call.session_id: call for call in found}
            await asyncio.sleep(0.05)


def _is_database(file: Path) -> bool:
    return file.exists() and file.read_bytes()[:6] == b"SQLite"


async def stored(bench: Bench, number: int = 0) -> Any:
    changes: dict[str, Any] = {"started_at": STARTED_AT + number}
    return await bench.keep(await bench.journal(from_number="+919812345678", **changes))


@pytest.mark.parametrize("harm", ["deleted", "moved", "replaced", "without its tables"])
async def test_a_file_that_is_harmed_under_the_running_server(bench: Bench, harm: str) -> None:
    await bench.indexer.start()
    before = await stored(bench)
    bench.indexer.stored(before)
    waiting = await bench.journal()
    bench.indexer.ended(waiting)
    live = a_session()
    bench.indexer.begun(live)
    await settled(bench)
    file = bench.data / "calls.db"
    if harm == "deleted":
        file.unlink()
    elif harm == "moved":
        file.rename(bench.data / "elsewhere.db")
    elif harm == "replaced":
        (bench.data / "garbage").write_bytes(b"no database" * 5000)
        (bench.data / "garbage").rename(file)
    else:
        with sqlite3.connect(file) as other:
            other.execute("DROP TABLE calls")
            other.execute("DROP TABLE call_index_schema")
        other.close()
    after = await stored(bench, 1)
    bench.indexer.stored(after)
    # The last was a journal that waits when the store was gone through, or is in the store.
    wanted = {
        before.record.session_id: "stored",
        after.record.session_id: "stored",
        waiting.name: "ended",
        live.session_id: "live",
    }
    rows = await rows_of(file, wanted)
    await settled(bench)
    assert await bench.rows() == rows
    assert rows[before.record.session_id] == entry_of(before)
    assert rows[after.record.session_id] == entry_of(after)


async def test_a_file_that_cannot_be_written_is_told_of_and_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.indexer.start()
    await settled(bench)
    is_read_only = True

    @event.listens_for(bench.index._engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        # What SQLite answers is the same as for a file whose permissions forbid it.
        connection.exec_driver_sql(f"PRAGMA query_only={int(is_read_only)}")

    call = await stored(bench)
    bench.indexer.stored(call)
    await until(lambda: bench.indexer.state == "away")
    with pytest.raises(StorageError) as caught:
        await bench.index.put([entry_of(call)])
    assert "read-only: let the server's user write it" in caught.value.message
    assert await bench.rows() == {}  # It can be read all the same.
    is_read_only = False
    await settled(bench)
    assert list(await bench.rows()) == [call.record.session_id]


async def test_more_calls_than_can_wait_are_found_in_the_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.indexer.start()
    await settled(bench)
    monkeypatch.setattr(indexer_module, "MAX_WAITING", 2)
    bench.index.error = AWAY
    calls = [await stored(bench, number) for number in range(6)]
    for call in calls:
        bench.indexer.stored(call)
    await until(lambda: bench.indexer.state == "away")
    assert bench.indexer.waiting == 2
    bench.index.error = None
    await settled(bench)
    assert await bench.rows() == {call.record.session_id: entry_of(call) for call in calls}


async def test_a_mistake_of_ours_loses_no_call(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.indexer.start()
    await settled(bench)
    call = await stored(bench)
    with monkeypatch.context() as patch:
        patch.setattr(FlakyIndex, "put", None)
        bench.indexer.stored(call)
        await until(lambda: bench.indexer.state == "away")
    await settled(bench)
    assert await bench.rows() == {call.record.session_id: entry_of(call)}


async def test_calls_that_come_before_the_first_import_is_done(bench: Bench) -> None:
    """An empty index beside a full store: nothing is lost, doubled or set back."""
    old = [await stored(bench, number) for number in range(5)]
    gate(bench).go_on.clear()
    await bench.indexer.start()
    async with asyncio.timeout(SECONDS):
        await gate(bench).listing.wait()
    assert bench.indexer.state == "rebuilding"
    changed = indexer_changes(bench.indexer)

    live, folder = a_session(), await bench.journal()
    bench.indexer.begun(live)
    bench.indexer.begun(a_session(folder.name))
    bench.indexer.ended(folder)
    await bench.until(folder.name, "ended")
    new = await bench.keep(folder)
    bench.indexer.stored(new)
    await bench.until(folder.name, "stored")
    # Its record has been listed, and is deleted before it is read.
    gone, erased = old[0], old[1]
    await bench.storage.delete("transcripts", gone.record_key)
    await changed(gone.record.session_id, gone.record_key, None)
    impersonal = msgspec.structs.replace(erased.record, from_number=None)
    await changed(erased.record.session_id, erased.record_key, impersonal)
    await bench.indexer.settled()

    gate(bench).go_on.set()
    await settled(bench)
    rows = await bench.rows()
    kept = {call.record.session_id: entry_of(call) for call in (*old[2:], new)}
    assert kept.items() <= rows.items()
    assert rows[live.session_id].status == "live"
    assert rows[erased.record.session_id].from_number is None
    assert set(rows) == {*kept, live.session_id, erased.record.session_id}


async def test_a_deletion_while_the_database_is_away_is_done_later(bench: Bench) -> None:
    await bench.indexer.start()
    gone, erased = await stored(bench), await stored(bench, 1)
    bench.indexer.stored(gone)
    bench.indexer.stored(erased)
    await settled(bench)
    bench.index.error = AWAY
    bench.indexer.begun(live := a_session())  # Fails until the database is back.
    await until(lambda: bench.indexer.state == "away")
    changed = indexer_changes(bench.indexer)
    await changed(gone.record.session_id, gone.record_key, None)
    record = msgspec.structs.replace(erased.record, from_number=None)
    await changed(erased.record.session_id, erased.record_key, record)
    assert len(await bench.rows()) == 2
    bench.index.error = None
    await settled(bench)
    rows = await bench.rows()
    assert set(rows) == {live.session_id, erased.record.session_id}
    assert rows[erased.record.session_id].from_number is None


async def test_what_a_command_could_not_put_in_is_found_by_the_running_server(
    bench: Bench,
) -> None:
    await bench.indexer.start()
    gone, kept = await stored(bench), await stored(bench, 1)
    bench.indexer.stored(gone)
    bench.indexer.stored(kept)
    await settled(bench)
    await bench.storage.delete("transcripts", gone.record_key)
    nowhere = CallIndex(bench.data / "store" / "missing" / "calls.db")  # Never opened.
    await index_changes(nowhere, bench.data)(gone.record.session_id, gone.record_key, None)
    await nowhere.close()
    async with asyncio.timeout(SECONDS):
        while gone.record.session_id in await bench.rows():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await settled(bench)
    assert list(await bench.rows()) == [kept.record.session_id]
    await until(lambda: not any(bench.data.glob("index_*")))  # The notes go last.


async def test_a_note_of_another_process_is_not_taken_for_ours(bench: Bench) -> None:
    await bench.indexer.start()
    await settled(bench)
    call = await stored(bench)  # As if copied there; nobody tells the indexer.
    put_down_note(bench.data)
    await bench.until(call.record.session_id, "stored")


async def test_the_note_of_a_server_before_is_not_taken_for_ours(bench: Bench) -> None:
    """It ended while this one was starting, and knew what it had not written."""
    await bench.indexer.start()
    await settled(bench)
    call = await stored(bench)  # Nobody tells the indexer.
    (bench.data / "index_incomplete").touch()
    await bench.until(call.record.session_id, "stored")


async def test_what_is_told_while_the_index_is_gone_through_stays(bench: Bench) -> None:
    """A row that was there before, and of which neither store nor journal tells."""
    await bench.indexer.start()
    session = a_session()
    bench.indexer.begun(session)
    await settled(bench)
    gate(bench).listing.clear()
    gate(bench).go_on.clear()
    put_down_note(bench.data)
    async with asyncio.timeout(SECONDS):
        await gate(bench).listing.wait()
    bench.indexer.lost(session.session_id)
    await bench.until(session.session_id, "lost")
    gate(bench).go_on.set()
    await settled(bench)
    assert [row.status for row in (await bench.rows()).values()] == ["lost"]


class HeldIndex(FlakyIndex):
    """An index whose first rows are on their way for as long as the test wants, and get lost."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.writing, self.lose = asyncio.Event(), asyncio.Event()

    async def put(self, entries: Sequence[IndexedCall]) -> None:
        if entries and not self.lose.is_set():
            self.writing.set()
            await self.lose.wait()
            raise AWAY
        await super().put(entries)


async def held(bench: Bench) -> tuple[HeldIndex, str]:
    """An index that is writing the row of a live call, and the call."""
    bench.index = index = HeldIndex(bench.data / "calls.db")
    await index.open()  # Not new at the start: nothing has to be found again.
    renew(bench)
    await bench.indexer.start()
    session = a_session()
    bench.indexer.begun(session)
    async with asyncio.timeout(SECONDS):
        await index.writing.wait()
    return index, session.session_id


async def test_what_came_while_older_news_were_lost_is_not_overwritten_by_them(
    bench: Bench,
) -> None:
    index, session_id = await held(bench)
    bench.indexer.deleted(session_id)
    index.lose.set()
    await settled(bench)
    assert await bench.rows() == {}


async def test_what_is_on_its_way_at_the_end_is_looked_for_at_the_next_start(
    bench: Bench,
) -> None:
    await held(bench)
    await bench.indexer.close(0.01)
    assert (bench.data / "index_incomplete").exists()
