"""Calls end while MinIO is away; all arrive when it is back, with equal hashes."""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.events import CallEnded
from config.errors import StorageError
from sessions.journal_writer import JournalWriter
from sessions.keeper import KeeperOptions, RecordKeeper, StoredCall
from sessions.waiting import Backoff
from storage.minio import MinioStorage
from storage.minio_options import Encryption, EncryptionKind
from tests.certificates import make_certificate
from tests.minio import KMS_KEY, NO_MINIO, find_minio, s3_server
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


@pytest.mark.parametrize("kind", ["none", "sse-s3", "sse-kms", "sse-c"])
async def test_a_call_of_an_agent_with_a_hindi_name_under_every_encryption(
    tmp_path: Path, kind: EncryptionKind
) -> None:
    if find_minio() is None:
        pytest.skip(NO_MINIO)
    encryption = Encryption(
        kind=kind,
        kms_key_id=KMS_KEY if kind == "sse-kms" else None,
        customer_key=(
            SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())
            if kind == "sse-c"
            else None
        ),
    )
    name = "किसान सहायक"
    with s3_server("minio", tls=make_certificate(tmp_path / "certificates")) as server:
        storage = MinioStorage(server.options(encryption=encryption))
        keeper = RecordKeeper(storage, tmp_path / "data")
        await keeper.start()
        writer = JournalWriter(tmp_path / "data")
        writer.start()
        call = writer.open(header(started_at=time.time(), agent_name=name, labels={"नाम": name}))
        for i, data in enumerate(packets(numbered(4000))):
            call.caller_audio(i * 20.0, data)
        call.event(CallEnded(at_ms=500.0, cause="caller_hangup"))
        assert (await call.close()).complete
        stored = await keeper.finish(call.folder)
        # The keeper compares hashes under each of them before the journal goes.
        assert not call.folder.exists()
        file = stored.record.recording.file
        assert file is not None
        data = await storage.read("recordings", file.key)
        assert hashlib.sha256(data).hexdigest() == file.sha256
        record = json.loads(await storage.read("transcripts", stored.record_key))
        assert (record["agent_name"], record["labels"]) == (name, {"नाम": name})
        assert (await storage.stat("recordings", file.key)).metadata["agent-id"] == "helpline"
        await keeper.close()
        await writer.close()
        await storage.close()
