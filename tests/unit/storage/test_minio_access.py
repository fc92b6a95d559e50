"""Keys that may do less than everything: what fails says who has to allow what."""

import asyncio
import secrets
from collections.abc import Iterator
from uuid import uuid4

import pytest
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin
from pydantic import SecretStr

from config.errors import StorageError
from storage.minio import MinioStorage
from storage.minio_options import MinioOptions
from tests.minio import S3Server
from tests.unit.storage.wires import opened

BUCKETS = {"recordings": "sound", "transcripts": "text"}
OBJECTS = [f"arn:aws:s3:::{bucket}/*" for bucket in BUCKETS.values()]
PLACES = [f"arn:aws:s3:::{bucket}" for bucket in BUCKETS.values()]
ON_OBJECTS = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
Statement = dict[str, str | list[str]]
LIST: Statement = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": PLACES}


def options(server: S3Server, *statements: Statement) -> MinioOptions:
    """Options with the key of a new user who may do what the statements say."""
    provider = StaticProvider(server.access_key, server.secret_key)
    admin = MinioAdmin(endpoint=f"127.0.0.1:{server.port}", credentials=provider, secure=False)
    name, secret = f"user{uuid4().hex[:8]}", secrets.token_hex(16)
    admin.user_add(name, secret)
    admin.policy_add(name, policy={"Version": "2012-10-17", "Statement": list(statements)})
    admin.policy_set(name, user=name)
    return server.options(access_key=SecretStr(name), secret_key=SecretStr(secret), buckets=BUCKETS)


@pytest.fixture
def server(minio: S3Server) -> Iterator[S3Server]:
    yield minio
    client = minio.client()
    for bucket in BUCKETS.values():
        if client.bucket_exists(bucket):
            for item in client.list_objects(bucket, recursive=True):
                client.remove_object(bucket, item.object_name or "")
            client.remove_bucket(bucket)


async def errors(made: MinioStorage) -> tuple[StorageError, StorageError]:
    """Of an upload, and of health afterwards."""
    with pytest.raises(StorageError) as put:
        await made.put_bytes("recordings", "a", b"1", "text/plain")
    with pytest.raises(StorageError) as asked:
        await made.health()
    return put.value, asked.value


async def make_buckets(server: S3Server) -> None:
    for bucket in BUCKETS.values():
        await asyncio.to_thread(server.client().make_bucket, bucket)


async def test_no_bucket_and_no_right_to_make_it(server: S3Server) -> None:
    allowed: Statement = {"Effect": "Allow", "Action": ON_OBJECTS, "Resource": OBJECTS}
    given = await asyncio.to_thread(options, server, allowed, LIST)
    made = MinioStorage(given)
    # Known before anything is stored.
    with pytest.raises(StorageError, match="there is no bucket sound"):
        await made.health()
    put, asked = await errors(made)
    assert put.code == asked.code == "storage_denied"
    for error in (put, asked):
        assert "there is no bucket sound, and this key may not make it" in error.message
        assert "s3:CreateBucket" in error.message
    # Made by hand, it is used without a restart.
    await make_buckets(server)
    await made.put_bytes("recordings", "a", b"1", "text/plain")
    assert await made.read("recordings", "a") == b"1"
    assert [i.key async for i in made.list_objects("recordings")] == ["a"]
    await made.health()
    await made.delete("recordings", "a")
    await made.close()


async def test_what_the_documentation_asks_for_is_enough(server: S3Server) -> None:
    allowed: Statement = {"Effect": "Allow", "Action": ON_OBJECTS, "Resource": OBJECTS}
    make: Statement = {"Effect": "Allow", "Action": ["s3:CreateBucket"], "Resource": PLACES}
    made = MinioStorage(await asyncio.to_thread(options, server, allowed, LIST, make))
    await made.health()
    await made.put_bytes("recordings", "a", bytes(9 * 1024 * 1024), "text/plain")
    assert len(await made.sha256("recordings", "a")) == 64
    assert await made.link("recordings", "a", seconds=60)
    await made.health()
    await made.close()


async def test_a_key_that_may_read_and_not_write(server: S3Server) -> None:
    await make_buckets(server)
    allowed: Statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": OBJECTS}
    made = MinioStorage(await asyncio.to_thread(options, server, allowed, LIST))
    # Nothing has been refused yet, and a probe that writes would leave something behind.
    await made.health()
    put, asked = await errors(made)
    assert put.code == asked.code == "storage_denied"
    assert "AccessDenied (this key may not do that" in put.message
    assert "AccessDenied (this key may not do that" in asked.message
    await made.close()


async def test_a_key_that_is_not_known_and_one_that_is_wrong(server: S3Server) -> None:
    async with opened(server, access_key=SecretStr("nobody")) as made:
        put, asked = await errors(made)
        assert put.code == asked.code == "storage_denied"
    async with opened(server, secret_key=SecretStr(secrets.token_hex(20))) as made:
        put, asked = await errors(made)
        assert put.code == asked.code == "storage_denied"
        assert server.secret_key not in put.message + asked.message


async def test_a_link_stops_working(server: S3Server) -> None:
    async with opened(server) as made:
        await made.put_bytes("recordings", "a", b"1", "text/plain")
        link = await made.link("recordings", "a", seconds=1)

        def fetch() -> tuple[int, bytes]:
            answer = server.client()._http.request("GET", link)
            return answer.status, answer.data

        async with asyncio.timeout(30):
            while (answer := await asyncio.to_thread(fetch))[0] == 200:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert answer[0] == 403
        assert b"Request has expired" in answer[1]
        assert await made.read("recordings", "a") == b"1"
