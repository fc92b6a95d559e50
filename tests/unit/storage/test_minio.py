"""MinIO away, silent, refusing or talking nonsense: an error in time, and never more than that."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from pydantic import SecretStr

from config.errors import StorageError
from storage.minio import MinioStorage
from tests.minio import S3Server, free_port, s3_server
from tests.unit.storage.wires import line_to, serving


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@asynccontextmanager
async def store(server: S3Server, **changes: object) -> AsyncIterator[MinioStorage]:
    made = MinioStorage(server.options(**changes))
    try:
        yield made
    finally:
        await made.close()


async def put_code(made: MinioStorage) -> str:
    with pytest.raises(StorageError) as caught:
        await made.put_bytes("recordings", "k", b"x", "text/plain")
    assert made._options.secret_key.get_secret_value() not in caught.value.message
    return caught.value.code


async def test_nothing_is_connected_before_first_use() -> None:
    away = {"endpoint": f"127.0.0.1:{free_port()}"}
    server = S3Server(folder=None)  # type: ignore[arg-type]
    async with store(server, **away) as made:
        assert await put_code(made) == "storage_unavailable"
        with pytest.raises(StorageError):
            await made.health()


async def test_away_then_back(s3: S3Server) -> None:
    buckets = {kind: f"{kind}-{uuid4().hex[:8]}" for kind in ("recordings", "transcripts")}
    async with store(s3, buckets=buckets) as made:
        await made.put_bytes("recordings", "before", b"1", "text/plain")
        s3.stop()
        assert await put_code(made) == "storage_unavailable"
        # Started again, moto has forgotten the bucket; MinIO has not.
        s3.start()
        await made.put_bytes("recordings", "after", b"2", "text/plain")
        assert await made.read("recordings", "after") == b"2"
        await made.health()


async def test_a_line_that_broke_once_is_no_refusal_that_health_tells_of(s3: S3Server) -> None:
    async with line_to(s3, cut_after_bytes=0) as line, store(s3, endpoint=line.endpoint) as made:
        assert await put_code(made) == "storage_unavailable"
        line.mend()
        await made.health()


async def test_a_bucket_removed_behind_our_back(s3: S3Server) -> None:
    buckets = {kind: f"{kind}-{uuid4().hex[:8]}" for kind in ("recordings", "transcripts")}
    async with store(s3, buckets=buckets) as made:
        await made.put_bytes("recordings", "a", b"1", "text/plain")
        await made.delete("recordings", "a")
        await asyncio.to_thread(made._client.remove_bucket, buckets["recordings"])
        await made.put_bytes("recordings", "b", b"2", "text/plain")
        assert (await made.stat("recordings", "b")).url == f"minio://{buckets['recordings']}/b"


async def test_a_wrong_key_is_told_apart(minio: S3Server) -> None:
    # On MinIO alone: moto's server looks at no signatures.
    wrong = {"secret_key": SecretStr(secrets.token_hex(20))}
    async with store(minio, **wrong) as made:
        assert await put_code(made) == "storage_denied"
        with pytest.raises(StorageError) as caught:
            await made.health()
        assert caught.value.code == "storage_denied"


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[str]:
    """A server that says the same to everybody, or nothing at all."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()

    async with serving(handle) as endpoint:
        yield endpoint


def reply(status: str, body: bytes, kind: str = "application/xml") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "storage_unavailable"),
        (b"", "storage_unavailable"),
        (reply("200 OK", b"<html>a login page</html>", "text/html"), "storage_failed"),
        (reply("500 Oops", b""), "storage_unavailable"),
        (reply("503 Slow", b"<Error><Code>SlowDown</Code></Error>"), "storage_unavailable"),
        (reply("403 No", b"<Error><Code>AccessDenied</Code></Error>"), "storage_denied"),
        (reply("400 Bad", b"<Error><Code>Weird"), "storage_failed"),
        (reply("400 Bad", b"\xff\xfe nonsense", "text/plain"), "storage_failed"),
    ],
)
async def test_answers_that_are_not_s3(answer: bytes, code: str) -> None:
    server = S3Server(folder=None)  # type: ignore[arg-type]
    async with answering(answer) as endpoint, store(server, endpoint=endpoint) as made:
        assert await put_code(made) == code


async def test_silence_has_a_deadline_and_health_does_not_queue_behind_it() -> None:
    server = S3Server(folder=None)  # type: ignore[arg-type]
    limits = {"read_seconds": 30.0, "call_seconds": 0.3, "health_seconds": 0.2, "threads": 1}
    async with answering(None) as endpoint, store(server, endpoint=endpoint, **limits) as made:
        async with asyncio.timeout(30):
            hanging = [asyncio.create_task(put_code(made)) for _ in range(3)]
            with pytest.raises(StorageError) as caught:
                await made.health()
            assert caught.value.message.startswith("minio-health gave no answer")
            assert await asyncio.gather(*hanging) == ["storage_unavailable"] * 3
    for thread in threading.enumerate():
        if thread.name.startswith("minio"):
            await asyncio.to_thread(thread.join, 10)
