"""SQLite and PostgreSQL keep the same promises to the index of calls."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from config.errors import StorageError
from storage.index.calls import CallIndex
from storage.index.entry import CallFilter, IndexedCall, Place
from tests.postgres import PostgresServer
from tests.until import until

EVERY = CallFilter()


@pytest.fixture
async def index(address: SecretStr | None, tmp_path: Path) -> AsyncIterator[CallIndex]:
    made = CallIndex(tmp_path / "calls.db", address)
    assert await made.open()
    yield made
    await made.close()


def a_call(number: int = 0, **changes: object) -> IndexedCall:
    values: dict[str, object] = {
        "session_id": str(UUID(int=number)),
        "agent_id": "helpline",
        "direction": "inbound",
        "started_at_ms": 1_793_514_600_000 + number * 1000,
        "status": "stored",
        **changes,
    }
    return IndexedCall(**values)  # type: ignore[arg-type]


FULL = a_call(
    carrier_call_id="6d1f-कॉल",
    from_number="+919812345678",
    to_number="+911140000000",
    ended_at_ms=1_793_514_642_500,
    end_cause="caller_hangup",
    recording_key="2026/11/01/x.wav",
    transcript_key="2026/11/01/x.json",
    record_key="records/2026/11/01/x.json",
)


async def numbers(index: CallIndex, wanted: CallFilter) -> list[int]:
    return [UUID(call.session_id).int for call in await index.page(wanted, 100)]


async def test_a_row_comes_back_as_it_was_put(index: CallIndex) -> None:
    await index.put([FULL])
    assert await index.find(FULL.session_id) == FULL
    assert await index.of_carrier("6d1f-कॉल", 10) == [FULL]
    assert await index.find(str(uuid4())) is None
    assert await index.of_carrier("nobody", 10) == []


async def test_what_is_there_stays_when_it_is_opened_again(
    index: CallIndex, address: SecretStr | None, tmp_path: Path
) -> None:
    await index.put([FULL])
    other = CallIndex(tmp_path / "calls.db", address)
    assert not await other.open()
    assert await other.find(FULL.session_id) == FULL
    await other.close()


async def test_servers_that_start_together_make_the_tables_once(
    address: SecretStr | None, tmp_path: Path
) -> None:
    if address is None:
        pytest.skip("a file of SQLite has one server")
    several = [CallIndex(tmp_path / "calls.db", address) for _ in range(4)]
    assert sorted(await asyncio.gather(*(each.open() for each in several))) == [False] * 3 + [True]
    for each in several:
        await each.close()


async def test_a_row_never_goes_back(index: CallIndex) -> None:
    live, ended = replace(FULL, status="live"), replace(FULL, status="ended", server_id="a")
    for entry, expected in ((live, live), (FULL, FULL), (ended, FULL), (live, FULL)):
        await index.put([entry])
        assert await index.find(FULL.session_id) == expected
    found = replace(FULL, end_cause="silence")
    await index.put([live, found, ended])
    assert await index.find(FULL.session_id) == found


async def test_when_a_call_began_is_never_changed(index: CallIndex) -> None:
    await index.put([FULL])
    await index.put([replace(FULL, started_at_ms=5)])
    assert await index.find(FULL.session_id) == FULL


async def test_filters(index: CallIndex) -> None:
    await index.put(
        [
            a_call(0, agent_id="other"),
            a_call(1, from_number="+91981"),
            a_call(2, to_number="+91981", end_cause="silence"),
            a_call(3, status="live"),
            a_call(4, status="ended", end_cause="silence"),
        ]
    )
    began = a_call(0).started_at_ms
    assert await numbers(index, EVERY) == [4, 3, 2, 1, 0]
    assert await numbers(index, CallFilter(agent_id="other")) == [0]
    assert await numbers(index, CallFilter(number="+91981")) == [2, 1]
    assert await numbers(index, CallFilter(status="live")) == [3]
    assert await numbers(index, CallFilter(end_cause="silence")) == [4, 2]
    assert await numbers(index, CallFilter(end_cause="silence", status="stored")) == [2]
    assert await numbers(index, CallFilter(started_from_ms=began + 3000)) == [4, 3]
    assert await numbers(index, CallFilter(started_before_ms=began + 1000)) == [0]
    assert await numbers(index, CallFilter(agent_id="x' OR '1'='1")) == []


async def test_pages_hold_every_call_once_while_calls_come_in(index: CallIndex) -> None:
    # Many begin in the same millisecond, as in a load test.
    calls = [a_call(n, started_at_ms=1000 + n // 7, agent_id="a") for n in range(1200)]
    random.Random(4).shuffle(calls)
    await index.put(calls)
    come, is_read = 0, False

    async def calls_come_in() -> None:
        nonlocal come
        while not is_read:
            await index.put([a_call(100_000 + come, started_at_ms=5000 + come, agent_id="a")])
            come += 1

    coming = asyncio.create_task(calls_come_in())
    seen: list[IndexedCall] = []
    before: Place | None = None
    while page := await index.page(CallFilter(agent_id="a"), 37, before):
        seen += page
        before = page[-1].place
        await until(lambda so_far=come: come > so_far or coming.done())  # type: ignore[misc]
    is_read = True
    await coming
    assert [c.place for c in seen] == sorted((c.place for c in seen), reverse=True)
    assert {c.session_id for c in seen} >= {c.session_id for c in calls}
    assert len({c.session_id for c in seen}) == len(seen)


async def test_several_calls_of_one_carrier_id(index: CallIndex) -> None:
    calls = [a_call(n, carrier_call_id="same") for n in range(5)]
    await index.put([*calls, a_call(9, carrier_call_id="other")])
    assert await index.of_carrier("same", 3) == [calls[4], calls[3], calls[2]]


async def test_going_through_all_and_forgetting(index: CallIndex) -> None:
    await index.put([a_call(n) for n in range(12)])
    first = await index.after("", 10)
    rest = await index.after(first[-1].session_id, 10)
    assert [UUID(c.session_id).int for c in (*first, *rest)] == list(range(12))
    await index.forget([c.session_id for c in first])
    await index.forget([str(uuid4())])
    await index.forget([])
    assert await numbers(index, EVERY) == [11, 10]


async def test_calls_that_a_server_holds(index: CallIndex) -> None:
    await index.put([a_call(1, server_id="a", status="live"), a_call(2, server_id="b")])
    assert [c.server_id for c in await index.held_by("a")] == ["a"]


async def test_many_rows_at_once(index: CallIndex) -> None:
    await index.put([a_call(n) for n in range(3000)])
    await index.put([])
    assert len(await index.page(EVERY, 5000)) == 3000


async def test_tables_of_another_version(index: CallIndex) -> None:
    await index.put([FULL])
    await _set_version(index, 0)
    assert await index.open()
    assert await index.find(FULL.session_id) is None
    await _set_version(index, 99)
    with pytest.raises(StorageError) as caught:
        await index.open()
    assert caught.value.code == "index_newer"


async def _set_version(index: CallIndex, version: int) -> None:
    async with index._engine.begin() as connection:
        await connection.execute(text(f"UPDATE call_index_schema SET version = {version}"))


async def test_a_broken_file_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    file.write_bytes(b"this is no database" * 1000)
    index = CallIndex(file)
    with pytest.raises(StorageError) as caught:
        await index.open()
    assert caught.value.code == "index_corrupt"
    await index.set_aside()
    assert await index.open()
    assert (tmp_path / "calls.db.broken").exists()
    await index.close()


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    index = CallIndex(tmp_path / "calls.db")
    await index.open()
    await index.put([FULL])
    files = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
    modes = {path.name: path.stat().st_mode & 0o777 for path in files}
    assert modes == dict.fromkeys(("calls.db", "calls.db-wal", "calls.db-shm"), 0o600)
    await index.close()


async def test_a_database_that_is_away_and_comes_back(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    secret = SecretStr(postgres.database())
    index = CallIndex(tmp_path / "none.db", secret)
    await index.open()
    postgres.stop()
    with pytest.raises(StorageError) as caught:
        await index.put([FULL])
    assert caught.value.code == "index_unavailable"
    assert postgres.password not in str(caught.value) and FULL.from_number not in str(caught.value)  # type: ignore[operator]
    postgres.start()
    await index.put([FULL])
    assert await index.find(FULL.session_id) == FULL
    await index.close()
    assert not (tmp_path / "none.db").exists()
