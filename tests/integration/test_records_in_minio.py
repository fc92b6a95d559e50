"""Calls end while MinIO is away; all arrive when it is back, with equal hashes."""

import asyncio
import hashlib
import time
from pathlib import Path

import pytest

from bot.events import CallEnded
from config.errors import StorageError
from sessions.journal_writer import JournalWriter
from sessions.keeper import KeeperOptions, RecordKeeper, StoredCall
from sessions.waiting import Backoff
from storage.minio import MinioStorage
from tests.minio import s3_server
from tests.unit.sessions.journals import header, numbered, packets

CALLS = 30


async def test_calls_wait_for_minio(tmp_path: Path) -> None:
    with s3_server() as server:
        server.stop()
        storage = MinioStorage(server.options())
        told: list[StoredCall] = []
        options = KeeperOptions(backoff=Backoff(first_seconds=0.05, longest_seconds=0.2))
        keeper = RecordKeeper(storage, tmp_path, options=options, on_stored=told.append)
        await keeper.start()
        writer = JournalWriter(tmp_path)
        writer.start()
        calls = [writer.open(header(started_at=time.time())) for _ in range(CALLS)]
        for number, call in enumerate(calls):
            for i, data in enumerate(packets(numbered(4000, first=number * 100))):
                call.caller_audio(i * 20.0, data)
            call.event(CallEnded(at_ms=500.0, cause="caller_hangup"))
            assert (await call.close()).complete
        ends = await asyncio.gather(
            *(keeper.finish(call.folder) for call in calls), return_exceptions=True
        )
        assert all(isinstance(end, StorageError) for end in ends)
        assert keeper.stats().waiting == CALLS

        server.start()
        async with asyncio.timeout(60):
            while keeper.stats().waiting:  # noqa: ASYNC110 - the keeper's tasks empty it
                await asyncio.sleep(0.05)
        assert {call.record.session_id for call in told} == {call.folder.name for call in calls}
        for stored in told:
            file = stored.record.recording.file
            assert file is not None and file.url == f"minio://recordings/{file.key}"
            data = await storage.read("recordings", file.key)
            assert hashlib.sha256(data).hexdigest() == file.sha256
        records = [i async for i in storage.list_objects("transcripts", "records/")]
        assert len(records) == CALLS
        with pytest.raises(StorageError):
            await keeper.finish(calls[0].folder)
        await keeper.close()
        await writer.close()
        await storage.close()
