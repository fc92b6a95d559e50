"""An erased number is found in the index no more, whoever wrote to it last."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from pydantic import SecretStr

from config.errors import StorageError
from config.sections import IndexSettings
from config.settings import Settings
from sessions.erase_command import run_erase
from sessions.erasure import ErasureProof, NumberEraser
from sessions.index_changes import index_changes, index_forgetting
from sessions.index_entries import entry_of
from sessions.index_restore import as_lost
from sessions.indexer import CallIndexer
from storage.index.calls import CallIndex
from storage.index.entry import CallFilter, IndexedCall
from tests.minio import free_port
from tests.unit.sessions.test_indexer import SECONDS, Bench, a_bench

THEIRS = "+919800000011"
AWAY = StorageError("index_unavailable", "away")
CANNOT_OPEN = (
    "the index of calls does not answer "
    "(calls.db cannot be opened: let the server's user write its folder)"
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path) as made:
        made.indexer = CallIndexer(
            made.index, made.storage, tmp_path, first_pause_seconds=0.01, probe_seconds=0.01
        )
        yield made


async def settled(bench: Bench) -> None:
    async with asyncio.timeout(SECONDS):
        await bench.indexer.settled()
        while bench.indexer.state != "ok":  # noqa: ASYNC110 - the indexer's tasks
            await asyncio.sleep(0.01)
        await bench.indexer.settled()


async def erase(bench: Bench, index: CallIndex) -> ErasureProof:
    """As the command does it: with an index of its own, beside the server."""
    eraser = NumberEraser(
        bench.storage,
        bench.data,
        on_changed=index_changes(index, bench.data),
        forget_rows=index_forgetting(index, bench.storage, bench.data),
    )
    proof, _ = await eraser.erase(THEIRS)
    return proof


async def found(index: CallIndex) -> list[IndexedCall]:
    return await index.page(CallFilter(number=THEIRS), 10)


async def test_news_that_could_not_be_written_bring_no_number_back(bench: Bench) -> None:
    await bench.indexer.start()
    await settled(bench)
    call = await bench.keep(await bench.journal(from_number=THEIRS))
    bench.index.error = AWAY
    bench.indexer.stored(call)
    async with asyncio.timeout(SECONDS):
        while bench.indexer.state != "away":  # noqa: ASYNC110 - the indexer's task
            await asyncio.sleep(0.01)
    other = CallIndex(bench.data / "calls.db")
    proof = await erase(bench, other)
    await other.close()
    assert proof.complete and bench.indexer.waiting == 1
    bench.index.error = None
    await settled(bench)
    assert await found(bench.index) == []
    row = await bench.index.find(call.record.session_id)
    assert row is not None and row.erased
    assert (row.from_number, row.carrier_call_id, row.recording_key) == (None, None, None)


async def test_a_note_of_the_command_is_not_taken_for_the_servers(bench: Bench) -> None:
    """The database is away for both: the server knows nothing of what the command could not do."""
    await bench.indexer.start()
    call = await bench.keep(await bench.journal(from_number=THEIRS))
    bench.indexer.stored(call)
    await settled(bench)
    bench.index.error = AWAY
    bench.indexer.ended(await bench.journal())
    async with asyncio.timeout(SECONDS):
        while bench.indexer.state != "away":  # noqa: ASYNC110 - the indexer's task
            await asyncio.sleep(0.01)
    nowhere = CallIndex(bench.data / "store" / "missing" / "calls.db")
    proof = await erase(bench, nowhere)
    assert not proof.complete
    assert [(left.what, left.reason) for left in proof.pending] == [("index of calls", CANNOT_OPEN)]
    await nowhere.close()
    assert len(await found(bench.index)) == 1
    bench.index.error = None
    async with asyncio.timeout(SECONDS):
        # The notes go last.
        while await found(bench.index) or any(bench.data.glob("index_*")):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)


async def test_a_call_of_which_only_a_row_is_left_is_forgotten(bench: Bench) -> None:
    await bench.index.open()
    stored = entry_of(await bench.keep(await bench.journal(from_number=THEIRS)))
    left = replace(stored, from_number="+919800000022", session_id=str(uuid4()))
    live = replace(
        stored, session_id=str(uuid4()), status="live", record_key=None, server_id=str(uuid4())
    )
    lost = as_lost(replace(live, session_id=str(uuid4())))
    await bench.index.put([stored, left, live, lost])
    settings = Settings(data_dir=bench.data)
    text, complete = await run_erase(settings, THEIRS, dry_run=False)
    assert complete and f'"index_rows": [\n      "{lost.session_id}"\n' in text
    rows = await bench.rows()
    # Another server's call is erased there.
    assert set(rows) == {stored.session_id, left.session_id, live.session_id}
    assert [row.session_id for row in await found(bench.index)] == [live.session_id]


async def test_a_row_that_an_erasure_did_not_come_to_is_made_right_by_the_next(
    bench: Bench,
) -> None:
    """It broke off between the record and the index."""
    await bench.index.open()
    call = await bench.keep(await bench.journal(from_number=THEIRS))
    await bench.index.put([entry_of(call)])
    await NumberEraser(bench.storage, bench.data).erase(THEIRS)
    assert len(await found(bench.index)) == 1
    proof = await erase(bench, bench.index)
    assert proof.complete and proof.calls == [] and proof.index_rows == []
    assert await found(bench.index) == [] and len(await bench.rows()) == 1


async def test_rows_that_cannot_be_looked_at_are_left_to_the_server(bench: Bench) -> None:
    nowhere = CallIndex(bench.data / "store" / "missing" / "calls.db")
    proof = await erase(bench, nowhere)
    assert not proof.complete and proof.index_rows == []
    assert [(left.what, left.reason) for left in proof.pending] == [("index of calls", CANNOT_OPEN)]
    await nowhere.close()
    assert [path.name for path in bench.data.glob("index_*")] == ["index_outdated"]


async def test_a_row_of_a_locked_index_is_said_to_be_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes to it for longer than the command waits."""
    monkeypatch.setattr("storage.index.engines.BUSY_MS", 50)
    await bench.index.open()
    calls = [await bench.keep(await bench.journal(from_number=THEIRS)) for _ in range(2)]
    waiting = await bench.journal(from_number=THEIRS)
    await bench.index.put([entry_of(call) for call in calls])
    settings = Settings(data_dir=bench.data)
    with closing(sqlite3.connect(bench.data / "calls.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        text, complete = await run_erase(settings, THEIRS, dry_run=False)
    proof = msgspec.json.decode(text)["proof"]
    assert not complete and not proof["complete"]
    assert [left["what"] for left in proof["pending"]] == ["index of calls"]
    assert "another process holds calls.db" in proof["pending"][0]["reason"]
    # All else is done: only the rows are left to the next run.
    assert len(proof["calls"]) == 2 and not await asyncio.to_thread(waiting.exists)
    assert len(await found(bench.index)) == 2
    text, complete = await run_erase(settings, THEIRS, dry_run=False)
    assert complete and msgspec.json.decode(text)["proof"]["calls"] == []
    assert await found(bench.index) == []


async def test_an_index_that_cannot_be_opened_is_said_to_be_left(bench: Bench) -> None:
    call = await bench.keep(await bench.journal(from_number=THEIRS))
    await asyncio.to_thread((bench.data / "calls.db").mkdir)
    settings = Settings(data_dir=bench.data)
    text, complete = await run_erase(settings, THEIRS, dry_run=False)
    proof = msgspec.json.decode(text)["proof"]
    assert not complete and [left["what"] for left in proof["pending"]] == ["index of calls"]
    assert [each["session_id"] for each in proof["calls"]] == [call.record.session_id]
    assert await asyncio.to_thread((bench.data / "index_outdated").exists)
    await asyncio.to_thread((bench.data / "calls.db").rmdir)
    assert (await run_erase(settings, THEIRS, dry_run=False))[1]


async def test_a_postgresql_that_is_away_is_said_to_be_left(bench: Bench) -> None:
    await bench.keep(await bench.journal(from_number=THEIRS))
    url = SecretStr(f"postgresql://user:hidden@127.0.0.1:{free_port()}/calls")
    settings = Settings(data_dir=bench.data, index=IndexSettings(url=url))
    text, complete = await run_erase(settings, THEIRS, dry_run=False)
    proof = msgspec.json.decode(text)["proof"]
    assert not complete and [left["what"] for left in proof["pending"]] == ["index of calls"]
    assert "hidden" not in text and len(proof["calls"]) == 1
