"""What has a day to be deleted on is deleted then, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from config.agent import AgentConfig
from config.errors import StorageError
from sessions.deletion import read_record, write_record
from sessions.deletion_notes import due_day
from sessions.journal_header import _retention_days
from sessions.keeper import RecordKeeper
from sessions.record import CallRecord, NoticeRecord
from sessions.retention import CLOCK_KEY, RetentionSweeper, SweepResult
from storage.base import StorageKind
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import write_call
from tests.virtual_time import virtual_time


class Stubborn(FilesystemStorage):
    """A store that can refuse to delete."""

    refuses = False

    async def delete(self, kind: StorageKind, key: str) -> None:
        if self.refuses:
            raise StorageError("storage_unavailable", "not now")
        await super().delete(kind, key)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Stubborn]:
    made = Stubborn(tmp_path / "store")
    yield made
    await made.close()


async def keep(storage: FilesystemStorage, root: Path, **days: int) -> CallRecord:
    keeper = RecordKeeper(storage, root)
    await keeper.start()
    folder = await write_call(root, header(retention_days=days), "caller_hangup")
    stored = await keeper.finish(folder)
    await keeper.close()
    return stored.record


async def keys(storage: FilesystemStorage) -> set[str]:
    return {
        info.key.rpartition(".")[2] if "retention" not in info.key else "note"
        for kind in ("recordings", "transcripts")
        async for info in storage.list_objects(kind)
        if info.key != CLOCK_KEY
    }


def sweeper(storage: FilesystemStorage, day: str, **more: object) -> RetentionSweeper:
    today = lambda: date.fromisoformat(day)  # noqa: E731
    return RetentionSweeper(storage, asyncio.Lock(), today=today, **more)  # type: ignore[arg-type]


async def believe(storage: FilesystemStorage, day: str) -> None:
    """As if there had been a sweep on that day."""
    clock = msgspec.json.encode({"swept": day})
    await storage.put_bytes("transcripts", CLOCK_KEY, clock, "application/json")


async def test_each_part_on_its_day(storage: Stubborn, tmp_path: Path) -> None:
    changes: list[tuple[str, str | None]] = []

    async def changed(_id: str, _key: str, record: CallRecord | None) -> None:
        changes.append((_id, record.recording.state if record else None))

    record = await keep(storage, tmp_path / "j", recording=1, transcript=30, record=90)
    assert record.delete_after == {
        "recording": "2026-11-02",
        "transcript": "2026-12-01",
        "record": "2027-01-30",
    }
    everything = {"wav", "json", "txt", "vtt", "note"}
    for day, deleted, left in (
        ("2026-11-01", 0, everything),
        ("2026-11-02", 1, everything - {"wav"}),
        ("2026-11-30", 0, everything - {"wav"}),
        ("2026-12-05", 1, {"json", "note"}),
        ("2027-01-30", 1, set()),
    ):
        await believe(storage, day)
        result = await sweeper(storage, day, on_changed=changed).sweep()
        assert result == SweepResult(deleted=deleted), day
        assert await keys(storage) == left, day
    assert [state for _, state in changes] == ["deleted", "deleted", None]
    assert {session_id for session_id, _ in changes} == {record.session_id}


async def test_without_a_number_of_days_nothing_is_ever_deleted(
    storage: Stubborn, tmp_path: Path
) -> None:
    record = await keep(storage, tmp_path / "j")
    assert record.delete_after == {}
    before = await keys(storage)
    assert await sweeper(storage, "2099-01-01").sweep() == SweepResult()
    assert await keys(storage) == before == {"wav", "json", "txt", "vtt"}
    assert not await storage.page("transcripts", "retention/")


async def test_what_cannot_be_deleted_stays_due(storage: Stubborn, tmp_path: Path) -> None:
    await keep(storage, tmp_path / "j", recording=1)
    storage.refuses = True
    assert await sweeper(storage, "2026-12-01").sweep() == SweepResult(failed=1)
    assert {"wav", "note"} <= await keys(storage)
    storage.refuses = False
    assert await sweeper(storage, "2026-12-01").sweep() == SweepResult(deleted=1)
    assert not {"wav", "note"} & await keys(storage)


class AskedLock(asyncio.Lock):
    """Tells when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def acquire(self) -> Literal[True]:
        if self.locked():
            self.asked.set()
        return await super().acquire()


async def test_a_record_that_others_change_meanwhile_keeps_both_changes(
    storage: Stubborn, tmp_path: Path
) -> None:
    record = await keep(storage, tmp_path / "j", recording=1)
    key, amending = f"records/2026/11/01/{record.session_id}.json", AskedLock()
    today = date.fromisoformat("2026-11-02")
    async with asyncio.timeout(20):
        async with amending:
            sweep = asyncio.create_task(
                RetentionSweeper(storage, amending, today=lambda: today).sweep()
            )
            asked = asyncio.create_task(amending.asked.wait())
            await asyncio.wait((sweep, asked), return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            late = NoticeRecord(at_ms=1200.0, name="hangup", detail="16")
            told = msgspec.structs.replace(record, notices=[late])
            await write_record(storage, key, told)
        assert await sweep == SweepResult(deleted=1)
    left = await read_record(storage, key)
    assert left is not None
    assert (left.recording.state, left.notices) == ("deleted", [late])


async def test_a_note_of_a_call_that_is_gone_goes_too(storage: Stubborn, tmp_path: Path) -> None:
    record = await keep(storage, tmp_path / "j", recording=1)
    await storage.delete("transcripts", f"records/2026/11/01/{record.session_id}.json")
    assert await sweeper(storage, "2026-12-01").sweep() == SweepResult()
    assert "note" not in await keys(storage)


async def test_objects_that_are_no_notes_are_left_alone(storage: Stubborn) -> None:
    for key in ("retention/2026/13/45/x.recording", "retention/readme"):
        assert due_day(key) is None
        await storage.put_bytes("transcripts", key, b"{", "text/plain")
    bad = "retention/2026/01/01/00000000-0000-0000-0000-000000000000.recording"
    await storage.put_bytes("transcripts", bad, b"{", "text/plain")
    assert await sweeper(storage, "2026-12-01").sweep() == SweepResult(failed=1)
    assert await keys(storage) == {"note"}


@virtual_time
async def test_once_a_day_and_sooner_after_a_failure(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path)
    swept: list[float] = []
    loop = asyncio.get_running_loop()

    class Counting(RetentionSweeper):
        async def sweep(self) -> SweepResult:
            swept.append(loop.time())
            if len(swept) == 2:
                raise StorageError("storage_unavailable", "away")
            return SweepResult()

    counting = Counting(storage, asyncio.Lock(), pause_seconds=6 * 3600)
    begun = loop.time()
    counting.start()
    await asyncio.sleep(13 * 3600 + 1)
    await counting.close()
    await storage.close()
    assert [round((at - begun) / 3600) for at in swept] == [0, 6, 7, 13]


def test_the_agents_file_says_how_many_days() -> None:
    agent = AgentConfig.model_construct(
        recording=AgentConfig.model_fields["recording"].annotation(  # type: ignore[misc]
            retention_days=7, record_retention_days=365
        )
    )
    assert _retention_days(agent) == {"recording": 7, "record": 365}
