"""Long recordings go up in parts; a line that breaks leaves neither half an object nor parts."""

import asyncio
import contextlib
import hashlib
from pathlib import Path

import pytest
from minio import Minio, S3Error

from config.errors import StorageError
from storage.minio import MinioStorage
from storage.minio_client import MinioClient
from tests.minio import NO_MINIO, S3Server, find_minio, s3_server
from tests.unit.storage.wires import line_to, opened, serving

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    data = hashlib.shake_256(b"forty minutes").digest(40 * MIB)
    source = tmp_path_factory.mktemp("recording") / "call.wav"
    source.write_bytes(data)
    return source, hashlib.sha256(data).hexdigest()


async def uploads(server: S3Server, made: MinioStorage, key: str) -> list[str | None]:
    """Uploads in parts that MinIO still keeps; it lists them for a whole key only."""
    found = await asyncio.to_thread(
        server.client()._list_multipart_uploads, made._options.buckets["recordings"], prefix=key
    )
    return [upload.upload_id for upload in found.uploads]


async def test_cut_in_the_middle_then_whole(minio: S3Server, recording: tuple[Path, str]) -> None:
    source, digest = recording
    async with line_to(minio) as line, opened(minio, endpoint=line.endpoint) as made:
        await made.put_bytes("recordings", "first", b"1", "text/plain")
        line.cut_after_bytes = line.passed_bytes + 20 * MIB
        with pytest.raises(StorageError) as caught:
            await made.put_file("recordings", "call.wav", source, "audio/wav")
        assert caught.value.code == "storage_unavailable"
        # Nobody could be told to forget the first parts: the line is still cut.
        assert len(await uploads(minio, made, "call.wav")) == 1
        assert made._client.left_behind() == 1
        line.mend()
        with pytest.raises(StorageError) as caught:
            await made.stat("recordings", "call.wav")
        assert caught.value.code == "storage_not_found"
        assert [i.key async for i in made.list_objects("recordings")] == ["first"]

        info = await made.put_file("recordings", "call.wav", source, "audio/wav")
        assert info.size_bytes == 40 * MIB
        assert await made.sha256("recordings", "call.wav") == digest
        assert await uploads(minio, made, "call.wav") == []
        assert made._client.left_behind() == 0


async def test_minio_killed_in_the_middle_then_back(recording: tuple[Path, str]) -> None:
    if find_minio() is None:
        pytest.skip(NO_MINIO)
    source, digest = recording
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(s3_server("minio"))
        line = await stack.enter_async_context(line_to(server, pause_seconds=0.002))
        made = await stack.enter_async_context(opened(server, endpoint=line.endpoint))
        task = asyncio.create_task(made.put_file("recordings", "call.wav", source, "audio/wav"))
        while line.passed_bytes < 20 * MIB:  # noqa: ASYNC110 - the store sends
            await asyncio.sleep(0.001)
        line.pause_seconds = 3600.0  # However long the kill takes, not all is sent before it.
        await asyncio.to_thread(server.stop)
        with pytest.raises(StorageError) as caught:
            await task
        line.pause_seconds = 0.0
        assert caught.value.code == "storage_unavailable"
        await asyncio.to_thread(server.start)
        assert [i async for i in made.list_objects("recordings")] == []
        await made.put_file("recordings", "call.wav", source, "audio/wav")
        assert await made.sha256("recordings", "call.wav") == digest
        assert await uploads(server, made, "call.wav") == []


async def test_what_a_crash_left_behind_minio_removes_by_itself() -> None:
    if find_minio() is None:
        pytest.skip(NO_MINIO)
    sooner = {
        "MINIO_API_STALE_UPLOADS_EXPIRY": "1s",
        "MINIO_API_STALE_UPLOADS_CLEANUP_INTERVAL": "1s",
    }
    with s3_server("minio", environment=sooner) as server:
        async with opened(server) as made:
            await made.put_bytes("recordings", "a", b"1", "text/plain")
            bucket = made._options.buckets["recordings"]
            # Not by a rule of the bucket, as on S3: MinIO knows no such rule and refuses it.
            with pytest.raises(S3Error) as caught:
                await asyncio.to_thread(made._buckets._set_rule, bucket)
            assert caught.value.code == "InvalidArgument"
            assert await asyncio.to_thread(made._client.get_bucket_lifecycle, bucket) is None
            headers: dict[str, str | list[str] | tuple[str]] = {}
            await asyncio.to_thread(
                server.client()._create_multipart_upload, bucket, "dead", headers
            )
            async with asyncio.timeout(60):
                while await uploads(server, made, "dead"):  # noqa: ASYNC110 - MinIO tells nobody
                    await asyncio.sleep(0.2)


async def test_what_cannot_be_taken_back_now_is_remembered_and_what_is_gone_is_not(
    minio: S3Server,
) -> None:
    busy = b"<Error><Code>OperationAborted</Code></Error>"
    head = "HTTP/1.1 409 Busy\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.format(len(busy)).encode() + busy)
        await writer.drain()

    async with serving(refuse) as endpoint, opened(minio, endpoint=endpoint) as made:
        client = made._client
        await asyncio.to_thread(client._abort_multipart_upload, "recordings", "a", "1")
        assert client.left_behind() == 1
    async with opened(minio) as made:
        client = made._client
        # No such bucket, then no such upload.
        bucket = made._options.buckets["recordings"]
        await asyncio.to_thread(client._abort_multipart_upload, bucket, "a", "1")
        await made.put_bytes("recordings", "a", b"1", "text/plain")
        await asyncio.to_thread(client._abort_multipart_upload, bucket, "a", "1")
        assert client.left_behind() == 0


def test_what_the_client_builds_on_is_still_there() -> None:
    own = MinioClient._abort_multipart_upload
    assert Minio._abort_multipart_upload is not own
    names = Minio._abort_multipart_upload.__code__.co_varnames[:4]
    assert (
        names
        == own.__code__.co_varnames[:4]
        == (
            "self",
            "bucket_name",
            "object_name",
            "upload_id",
        )
    )
    assert "_abort_multipart_upload" in Minio.put_object.__code__.co_names
