"""What is stored of a call and cannot be read is told of as that."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from config.errors import StorageError
from sessions.index_entries import entry_of
from sessions.keeper import StoredCall
from sessions.lookup import CallLookup, CallPlaces
from sessions.manager import SessionManager
from storage.index.entry import IndexedCall
from tests.unit.sessions.test_indexer import Bench, a_bench


class NobodyLive(dict[str, None]):
    """A server that has no call and had none."""

    find = dict.get
    stored = dict.get


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path) as made:
        await made.index.open()
        yield made


def a_lookup(bench: Bench) -> CallLookup:
    places = CallPlaces(
        index=bench.index,
        storage=bench.storage,
        manager=cast(SessionManager, NobodyLive()),
        root=bench.data / "journal",
        server_id="me",
    )
    return CallLookup(places)


async def stored(bench: Bench) -> tuple[StoredCall, IndexedCall]:
    call = await bench.keep(await bench.journal())
    await bench.index.put([entry_of(call)])
    (row,) = await a_lookup(bench).find(call.record.session_id)
    return call, row


async def harm(bench: Bench, key: str) -> None:
    await bench.storage.put_bytes("transcripts", key, b"{", "application/json")


@pytest.mark.parametrize("key_is_known", [True, False])
async def test_a_damaged_record(bench: Bench, key_is_known: bool) -> None:
    call, row = await stored(bench)
    await harm(bench, call.record_key)
    if not key_is_known:  # The index was told nothing of its end.
        row = IndexedCall(
            session_id=row.session_id,
            agent_id=row.agent_id,
            direction=row.direction,
            started_at_ms=row.started_at_ms,
            status="ended",
            server_id="me",
        )
    lookup = a_lookup(bench)
    for look in (lookup.record, lookup.recording, lookup.transcript):
        with pytest.raises(StorageError, match="is no call record") as caught:
            await look(row)
        assert caught.value.code == "storage_corrupt"


async def test_a_damaged_transcript(bench: Bench) -> None:
    call, row = await stored(bench)
    assert call.record.transcript is not None
    await harm(bench, call.record.transcript.key)
    with pytest.raises(StorageError, match="is no transcript") as caught:
        await a_lookup(bench).transcript(row)
    assert caught.value.code == "storage_corrupt"


async def test_a_record_that_is_gone(bench: Bench) -> None:
    call, row = await stored(bench)
    await bench.storage.delete("transcripts", call.record_key)
    with pytest.raises(StorageError) as caught:
        await a_lookup(bench).record(row)
    assert caught.value.code == "storage_not_found"
