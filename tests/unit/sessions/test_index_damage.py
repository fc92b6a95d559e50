"""A record in the store that cannot be read is no reason to forget its call."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sessions.erasure import NumberEraser
from sessions.index_changes import index_changes, index_forgetting
from sessions.index_entries import entry_of
from sessions.index_rebuild import rebuild_index
from sessions.keeper import StoredCall
from sessions.server_identity import server_id
from tests.unit.sessions.test_indexer import Bench, a_bench

THEIRS = "+919800000011"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path) as made:
        await made.index.open()
        yield made


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "torn": lambda data: data[:-1],
    "empty": lambda data: b"",
    "no text": lambda data: b"\xff",
    "of something else": lambda data: b"{}",
    "at no time": lambda data: re.sub(rb'"started_at":"[^"]*"', b'"started_at":"noon"', data),
}


async def harmed(bench: Bench, harm: str = "torn", **changes: Any) -> StoredCall:
    """A stored call whose record has been damaged since."""
    call = await bench.keep(await bench.journal(**changes))
    await bench.index.put([entry_of(call)])
    data = HARMS[harm](await bench.storage.read("transcripts", call.record_key))
    await bench.storage.put_bytes("transcripts", call.record_key, data, "application/json")
    return call


@pytest.mark.parametrize("harm", HARMS)
async def test_rebuilding_keeps_the_row(bench: Bench, harm: str) -> None:
    call = await harmed(bench, harm)
    found = await rebuild_index(bench.index, bench.storage, bench.data / "journal", "me")
    assert (found.stored, found.removed, found.unreadable) == (0, 0, 1)
    assert await bench.rows() == {call.record.session_id: entry_of(call)}


async def test_the_next_start_goes_on_behind_it(bench: Bench) -> None:
    """Behind calls of the process before, and behind those that were stored lately."""
    now = datetime.now(UTC).timestamp()
    bad = [await harmed(bench, started_at=now - 1), await harmed(bench, started_at=now - 2)]
    me = server_id(bench.data)
    live = [replace(entry_of(call), status="live", server_id=me, record_key=None) for call in bad]
    await bench.index.forget([call.record.session_id for call in bad])
    await bench.index.put(live[:1])
    late = await bench.keep(await bench.journal(started_at=now))
    await bench.indexer.start()
    assert await bench.until(late.record.session_id, "stored") == entry_of(late)
    await bench.until(live[0].session_id, "lost")
    # One that is mended takes the place of what was thought.
    data = await bench.storage.read("transcripts", late.record_key)
    mended = data.replace(late.record.session_id.encode(), live[0].session_id.encode())
    await bench.storage.put_bytes("transcripts", bad[0].record_key, mended, "application/json")
    await rebuild_index(bench.index, bench.storage, bench.data / "journal", me)
    await bench.until(live[0].session_id, "stored")


async def test_an_erasure_says_that_it_is_left_and_keeps_the_row(bench: Bench) -> None:
    call = await harmed(bench, from_number=THEIRS)
    eraser = NumberEraser(
        bench.storage,
        bench.data,
        on_changed=index_changes(bench.index, bench.data),
        forget_rows=index_forgetting(bench.index, bench.storage, bench.data),
    )
    proof, _ = await eraser.erase(THEIRS)
    assert [left.what for left in proof.pending] == [call.record_key] and proof.index_rows == []
    assert await bench.rows() == {call.record.session_id: entry_of(call)}
    await bench.storage.delete("transcripts", call.record_key)
    proof, _ = await eraser.erase(THEIRS)
    assert proof.complete and proof.index_rows == [call.record.session_id]
    assert await bench.rows() == {}
