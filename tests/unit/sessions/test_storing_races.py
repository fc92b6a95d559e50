"""What happens to a call in the very moment in which it is stored."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.errors import StorageError
from sessions.keeper import RecordKeeper
from sessions.record import CallRecord, CarrierRecording
from sessions.retention import RetentionSweeper
from storage.base import ObjectInfo, StorageKind
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import FAST, ShakyStorage, write_call
from tests.unit.sessions.test_keeper_again import died_before_it_removed_the_journal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "journal"


class Slow(ShakyStorage):
    """A store in which something happens as one object is written or read."""

    at: tuple[str, str] | None = None
    meanwhile: asyncio.Task[Any] | None = None
    happens: Callable[[], Coroutine[Any, Any, Any]]

    async def put_bytes(self, kind: StorageKind, key: str, *rest: Any) -> ObjectInfo:
        info = await super().put_bytes(kind, key, *rest)
        await self._reached("put", key)
        return info

    async def read(self, kind: StorageKind, key: str, **rest: Any) -> bytes:
        data = await super().read(kind, key, **rest)
        await self._reached("read", key)
        return data

    async def _reached(self, what: str, key: str) -> None:
        if self.meanwhile is None and self.at is not None:
            wanted, part = self.at
            if what == wanted and part in key:
                self.meanwhile = asyncio.create_task(self.happens())
                await asyncio.sleep(0.05)


async def test_what_is_due_as_its_call_is_stored_is_deleted_all_the_same(
    root: Path, tmp_path: Path
) -> None:
    """A sweep between a call's notes and its record takes no note for one of a call long gone."""
    storage = Slow(tmp_path / "store")
    storage.at = ("put", "retention/")
    folder = await write_call(root, header(retention_days={"recording": 1}), "caller_hangup")
    keeper = RecordKeeper(storage, root, options=FAST)
    sweeper = RetentionSweeper(storage, keeper.amending, today=lambda: date(2026, 11, 30))
    storage.happens = sweeper.sweep
    record = (await keeper.finish(folder)).record
    assert storage.meanwhile is not None
    assert (await storage.meanwhile).deleted == 1
    assert record.recording.file is not None
    with pytest.raises(StorageError, match="nothing is stored"):
        await storage.stat("recordings", record.recording.file.key)
    await keeper.close()
    await storage.close()


async def test_what_is_told_while_a_call_is_stored_again_is_not_lost(
    root: Path, tmp_path: Path
) -> None:
    storage = Slow(tmp_path / "store")
    key, record = await died_before_it_removed_the_journal(storage, root)
    told = CarrierRecording(state="stored", recording_id="r-1")
    keeper = RecordKeeper(storage, root, options=FAST)

    async def tell() -> None:
        async with keeper.amending:
            stands = msgspec.json.decode(await storage.read("transcripts", key), type=CallRecord)
            changed = msgspec.structs.replace(stands, carrier_recording=told)
            encoded = msgspec.json.encode(changed)
            await storage.put_bytes("transcripts", key, encoded, "application/json")

    storage.at, storage.happens = ("read", key), tell
    await keeper.finish(root / record.session_id)
    assert storage.meanwhile is not None
    await storage.meanwhile
    stands = msgspec.json.decode(await storage.read("transcripts", key), type=CallRecord)
    assert stands.carrier_recording == told
    await keeper.close()
    await storage.close()
