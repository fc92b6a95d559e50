"""Every store and every database: the index that grew with the calls, and the one made again."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from sessions.erasure import NumberEraser
from sessions.index_changes import index_changes, indexer_changes
from sessions.index_rebuild import rebuild_index
from sessions.indexer import CallIndexer
from sessions.keeper import RecordKeeper, StoredCall
from sessions.retention import RetentionSweeper
from storage.base import Storage
from storage.index.calls import CallIndex
from storage.index.entry import CallFilter, IndexedCall
from tests.unit.sessions.journals import STARTED_AT, header
from tests.unit.sessions.test_indexer import a_session
from tests.unit.sessions.test_keeper import write_call

THEIRS = "+919812345678"


class Bench:
    """One server's index over one store."""

    def __init__(self, index: CallIndex, store: Storage, data: Path) -> None:
        self.index, self.store, self.data = index, store, data
        self.root = data / "journal"
        self.indexer = CallIndexer(index, store, data, first_pause_seconds=0.01)
        self.keeper = RecordKeeper(store, self.root)

    async def settled(self) -> None:
        async with asyncio.timeout(60):
            await self.indexer.settled()
            while self.indexer.state != "ok":  # noqa: ASYNC110 - the indexer's tasks
                await asyncio.sleep(0.01)
            await self.indexer.settled()

    async def rows(self, wanted: CallFilter | None = None) -> dict[str, IndexedCall]:
        found = await self.index.page(wanted or CallFilter(), 1000)
        return {call.session_id: call for call in found}

    async def call(self, number: int, **changes: object) -> StoredCall:
        """A call from ringing to the store, with the index told as the server tells it."""
        head = header(
            started_at=STARTED_AT + number,
            from_number=changes.pop("from_number", f"+91981234{number:04}"),
            carrier_call_id=f"call-{number % 3}",
            **changes,  # type: ignore[arg-type]
        )
        session = a_session(head.session_id)
        session.started_wall = head.started_at  # type: ignore[misc]
        self.indexer.begun(session)
        folder = await write_call(self.root, head, "caller_hangup")
        self.indexer.ended(folder)
        stored = await self.keeper.finish(folder)
        self.indexer.stored(stored)
        return stored


@pytest.fixture
async def bench(address: SecretStr | None, store: Storage, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(CallIndex(tmp_path / "calls.db", address), store, tmp_path)
    await made.keeper.start()
    await made.indexer.start()
    yield made
    await made.keeper.close()
    await made.indexer.close()


async def test_the_index_made_again_is_the_one_that_grew(bench: Bench) -> None:
    for number in range(12):
        await bench.call(number)
    waiting = await write_call(bench.root, header(from_number=THEIRS), "silence")
    bench.indexer.ended(waiting)
    await bench.settled()
    grown = await bench.rows()
    assert sorted(row.status for row in grown.values()) == ["ended"] + ["stored"] * 12
    await bench.index.forget(list(grown)[::2])  # Half of it is lost; the rest is put in again.
    for _ in range(2):
        found = await rebuild_index(bench.index, bench.store, bench.root, bench.indexer.server_id)
        assert (found.stored, found.waiting, found.removed, found.unreadable) == (12, 1, 0, 0)
        assert await bench.rows() == grown


async def test_what_is_deleted_on_its_day_leaves_the_index(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.record._today", lambda: date(2026, 11, 1))
    kept = await bench.call(1)
    silent = await bench.call(2, retention_days={"recording": 1})
    speechless = await bench.call(3, retention_days={"transcript": 1})
    gone = await bench.call(4, retention_days={"record": 1})
    await bench.settled()
    before = await bench.rows()
    sweeper = RetentionSweeper(
        bench.store,
        bench.keeper.amending,
        today=lambda: date.fromisoformat("2026-11-02"),
        on_changed=indexer_changes(bench.indexer),
    )
    assert (await sweeper.sweep()).deleted == 3
    await bench.settled()
    rows = await bench.rows()
    assert gone.record.session_id not in rows and len(rows) == 3
    assert rows[kept.record.session_id] == before[kept.record.session_id]
    assert rows[silent.record.session_id].recording_key is None
    assert rows[silent.record.session_id].transcript_key is not None
    assert rows[speechless.record.session_id].transcript_key is None
    await rebuild_index(bench.index, bench.store, bench.root, bench.indexer.server_id)
    assert await bench.rows() == rows


async def test_an_erased_number_leaves_the_index(bench: Bench) -> None:
    """By a command beside the server: of stored calls, and of those that wait on disk."""
    other, theirs = await bench.call(1), await bench.call(2, from_number=THEIRS)
    waiting = await write_call(
        bench.root, header(session_id=str(uuid4()), from_number=THEIRS), "silence"
    )
    bench.indexer.ended(waiting)
    await bench.settled()
    assert len(await bench.rows(CallFilter(number=THEIRS))) == 2
    eraser = NumberEraser(
        bench.store, bench.data, on_changed=index_changes(bench.index, bench.data)
    )
    proof, _ = await eraser.erase(THEIRS)
    assert proof.complete, json.dumps([p.reason for p in proof.pending])
    rows = await bench.rows()
    assert set(rows) == {other.record.session_id, theirs.record.session_id}
    erased = rows[theirs.record.session_id]
    assert (erased.from_number, erased.carrier_call_id, erased.recording_key) == (None, None, None)
    assert await bench.rows(CallFilter(number=THEIRS)) == {}
    await rebuild_index(bench.index, bench.store, bench.root, bench.indexer.server_id)
    assert await bench.rows() == rows
