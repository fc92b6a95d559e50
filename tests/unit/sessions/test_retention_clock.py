"""A clock that leaps deletes nothing at once; time that has really passed does, soon."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from loguru import logger

from config.errors import StorageError
from sessions.retention import CLOCK_KEY, RetentionSweeper, SweepResult
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.test_retention import Stubborn, keep, keys
from tests.virtual_time import virtual_time

DELETED, NOTHING, HELD = SweepResult(deleted=1), SweepResult(), SweepResult(held=True)


class Server:
    """One process after the other, on the same store, and the clock of their machine."""

    def __init__(self, storage: FilesystemStorage) -> None:
        self.storage = storage
        self.day = date(2026, 11, 1)
        self.start()

    def start(self) -> None:
        """Nothing is known any more but what the store knows."""
        self.sweeper = RetentionSweeper(self.storage, asyncio.Lock(), today=lambda: self.day)

    async def sweep(self, day: date | str) -> SweepResult:
        self.day = date.fromisoformat(day) if isinstance(day, str) else day
        return await self.sweeper.sweep()


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Stubborn]:
    made = Stubborn(tmp_path / "store")
    yield made
    await made.close()


@pytest.fixture
async def server(storage: Stubborn, tmp_path: Path) -> Server:
    """With a recording that is due on 1 December."""
    await keep(storage, tmp_path / "j", recording=30)
    made = Server(storage)
    assert await made.sweep("2026-11-01") == NOTHING
    return made


@pytest.fixture(params=[False, True], ids=["one-process", "restarted-each-time"])
def restarts(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_a_leap_that_is_taken_back_deletes_nothing(server: Server, restarts: bool) -> None:
    for day, result in (
        ("2027-06-01", HELD),
        ("2027-06-02", HELD),
        ("2026-11-02", NOTHING),
        # The wait of the first leap is no proof of the second.
        ("2027-06-03", HELD),
        ("2026-11-04", NOTHING),
    ):
        if restarts:
            server.start()
        assert await server.sweep(day) == result, day
    assert "wav" in await keys(server.storage)


async def test_after_weeks_off_it_deletes_two_days_later(server: Server, restarts: bool) -> None:
    for day, result in (
        ("2027-06-01", HELD),
        ("2027-06-01", HELD),
        ("2027-06-02", HELD),
        ("2027-06-03", DELETED),
        ("2027-06-04", NOTHING),
    ):
        if restarts:
            server.start()
        assert await server.sweep(day) == result, day
    assert not {"wav", "note"} & await keys(server.storage)


@pytest.mark.parametrize("days", [1, 7])
async def test_a_week_off_is_no_leap(server: Server, days: int) -> None:
    day = server.day
    while day < date(2026, 12, 1):
        server.start()
        day += timedelta(days=days)
        assert await server.sweep(day) == (DELETED if day >= date(2026, 12, 1) else NOTHING)


async def test_a_second_leap_waits_anew(server: Server) -> None:
    assert await server.sweep("2026-11-20") == HELD
    assert await server.sweep("2027-06-01") == HELD
    assert await server.sweep("2027-06-02") == HELD
    assert await server.sweep("2026-11-21") == HELD
    assert await server.sweep("2026-11-23") == NOTHING


async def test_a_clock_that_was_behind_is_not_believed_at_once_when_it_is_set(
    server: Server,
) -> None:
    assert await server.sweep("2020-01-01") == NOTHING
    assert await server.sweep("2026-12-01") == HELD


async def test_another_server_whose_clock_is_behind_stops_no_deleting(server: Server) -> None:
    behind = Server(server.storage)
    for day, result in (
        ("2026-12-01", HELD),
        ("2026-12-02", HELD),
        ("2026-12-03", DELETED),
        ("2026-12-04", NOTHING),
    ):
        assert await behind.sweep("2020-01-01") == NOTHING
        assert await server.sweep(day) == result, day


async def test_why_nothing_is_deleted_is_said_once_and_how_to_have_it_done(
    server: Server,
) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING")
    try:
        assert await server.sweep("2027-06-01") == HELD
        assert await server.sweep("2027-06-01") == HELD
    finally:
        logger.remove(sink)
    (said,) = lines
    why = "before 2027-06-03: the clock says 2027-06-01, and the last sweep was on 2026-11-01"
    assert why in said
    assert f"delete the object {CLOCK_KEY} " in said
    await server.storage.delete("transcripts", CLOCK_KEY)
    server.start()
    assert await server.sweep("2027-06-01") == DELETED


async def test_a_note_that_says_nothing_is_none(server: Server) -> None:
    await server.storage.put_bytes("transcripts", CLOCK_KEY, b"{", "application/json")
    server.start()
    assert await server.sweep("2026-12-01") == DELETED


async def test_without_an_answer_of_the_store_nothing_is_deleted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bytes:
        raise StorageError("storage_unavailable", "away")

    monkeypatch.setattr(server.storage, "read", away)
    with pytest.raises(StorageError, match="away"):
        await server.sweep("2026-11-02")


@virtual_time
async def test_a_held_sweep_is_looked_at_again_within_the_hour(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path)
    looks: list[float] = []
    loop = asyncio.get_running_loop()

    class Held(RetentionSweeper):
        async def sweep(self) -> SweepResult:
            looks.append(loop.time())
            return SweepResult(held=len(looks) < 3)

    held = Held(storage, asyncio.Lock())
    begun = loop.time()
    held.start()
    await asyncio.sleep(5 * 3600)
    await held.close()
    await storage.close()
    assert [round((at - begun) / 3600) for at in looks] == [0, 1, 2]
