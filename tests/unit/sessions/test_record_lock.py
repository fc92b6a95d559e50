"""A record is changed by one at a time, also where ``main.py erase`` runs beside a server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.errors import StorageError
from sessions.deletion import read_record
from sessions.erasure import NumberEraser
from sessions.keeper import RecordKeeper
from sessions.record_lock import LOCK_NAME, RecordLock
from storage.base import ObjectInfo
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import write_call

THEIRS = "+919800000011"
HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class SlowStorage(FilesystemStorage):
    """A store that takes its time to write a record."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.writing, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def put_bytes(self, kind: Any, key: str, *rest: Any) -> ObjectInfo:
        if key.startswith("records/") and not self.go_on.is_set():
            self.writing.set()
            await self.go_on.wait()
        return await super().put_bytes(kind, key, *rest)


@asynccontextmanager
async def a_holder(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that has the lock until its input ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and await process.stdout.readline() == b"held\n"
        yield process
    finally:
        await process.communicate(b"")


async def test_a_late_notice_brings_nothing_back_that_was_erased(tmp_path: Path) -> None:
    storage = SlowStorage(tmp_path / "store")
    keeper = RecordKeeper(storage, tmp_path / "journal")
    try:
        head = header(from_number=THEIRS, carrier_call_id="cid")
        folder = await write_call(tmp_path / "journal", head, "caller_hangup")
        stored = await keeper.finish(folder)
        storage.go_on.clear()
        # The server has read the record and is about to write it back.
        notice = asyncio.create_task(keeper.amend(stored.record_key, "hangup", "late"))
        await storage.writing.wait()
        # The command has a lock of its own, as in another process.
        erasing = asyncio.create_task(NumberEraser(storage, tmp_path).erase(THEIRS))
        done, _ = await asyncio.wait((notice, erasing), timeout=0.3)
        assert not done
        storage.go_on.set()
        await notice
        proof, _ = await erasing
        assert proof.complete and [call.session_id for call in proof.calls] == [head.session_id]
        # And one that is later still.
        await keeper.amend(stored.record_key, "transfer", f"to {THEIRS}")
        record = await read_record(storage, stored.record_key)
        assert record is not None and record.erased_at is not None
        assert (record.from_number, record.carrier_call_id) == (None, None)
        assert THEIRS.encode() not in await storage.read("transcripts", stored.record_key)
    finally:
        await keeper.close()
        await storage.close()


async def test_another_process_is_waited_for_beside_the_loop(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).touch()
    lock, turns = RecordLock(tmp_path), 0
    async with a_holder(tmp_path / LOCK_NAME) as process:
        waiting = asyncio.create_task(lock.__aenter__())
        async with asyncio.timeout(20):
            while turns < 50:
                await asyncio.sleep(0.001)
                turns += 1
            assert not waiting.done()
            process.kill()  # The system takes the lock back.
            await waiting
    await lock.__aexit__()
    assert not lock.locked()


async def test_a_process_that_never_lets_go_is_told_of(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).touch()
    lock = RecordLock(tmp_path, patience_seconds=0.05)
    async with a_holder(tmp_path / LOCK_NAME):
        with pytest.raises(StorageError, match="another process holds") as error:
            async with lock:
                pass
    assert error.value.code == "records_locked"
    async with lock:  # Nothing is left locked.
        pass


async def test_who_gives_up_waiting_leaves_it_free(tmp_path: Path) -> None:
    one, other = RecordLock(tmp_path), RecordLock(tmp_path)
    async with one:
        waiting = asyncio.create_task(other.__aenter__())
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(20):
        await other.__aenter__()
    await other.__aexit__()


async def test_a_lock_file_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    one, other = RecordLock(tmp_path / "data"), RecordLock(tmp_path / "data")
    async with one:
        pass
    os.unlink(tmp_path / "data" / LOCK_NAME)
    async with one:
        waiting = asyncio.create_task(other.__aenter__())
        await asyncio.wait((waiting,), timeout=0.05)
        assert not waiting.done()
    await waiting
    await other.__aexit__()


async def test_a_disk_that_will_not_have_it_stops_no_change(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with RecordLock(tmp_path / "file"):
        pass
