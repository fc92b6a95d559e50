"""Encryption by the real MinIO: asked for, done, and readable again by those who may."""

import asyncio
import base64
import hashlib
import secrets
from pathlib import Path

import pytest
import urllib3
from minio import S3Error
from pydantic import SecretStr

from config.errors import StorageError
from storage.minio_options import Encryption, EncryptionKind
from tests.minio import KMS_KEY, S3Server
from tests.unit.storage.wires import opened

_HEADER = "X-Amz-Server-Side-Encryption"
_MARK = b"what the caller said, in the clear"
SIZES = {"one part": 100_000, "three parts": 12 * 1024 * 1024 + 5}


def customer_key() -> SecretStr:
    return SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())


def encryption(kind: EncryptionKind) -> Encryption:
    return Encryption(
        kind=kind,
        kms_key_id=KMS_KEY if kind == "sse-kms" else None,
        customer_key=customer_key() if kind == "sse-c" else None,
    )


def recording(folder: Path, size: int) -> tuple[Path, str]:
    data = (_MARK * (size // len(_MARK) + 1))[:size]
    source = folder / "call.wav"
    source.write_bytes(data)
    return source, hashlib.sha256(data).hexdigest()


def on_disk(server: S3Server, bucket: str) -> bytes:
    files = (server.folder / "data" / bucket).rglob("*")
    return b"".join(file.read_bytes() for file in files if file.is_file())


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("kind", ["none", "sse-s3", "sse-kms", "sse-c"])
async def test_what_lies_on_the_disk_and_what_comes_back(
    minio_tls: S3Server, tmp_path: Path, kind: EncryptionKind, size: int
) -> None:
    source, digest = recording(tmp_path, size)
    async with opened(minio_tls, encryption=encryption(kind)) as made:
        info = await made.put_file("recordings", "2026/a.wav", source, "audio/wav", {"a": "b"})
        assert (info.size_bytes, info.metadata) == (size, {"a": "b"})
        assert await made.sha256("recordings", "2026/a.wav") == digest
        middle = await made.read("recordings", "2026/a.wav", start=size - 9, length=9)
        assert middle == source.read_bytes()[-9:]
        stored = await asyncio.to_thread(on_disk, minio_tls, made._options.buckets["recordings"])
    assert len(stored) >= size
    assert (_MARK in stored) is (kind == "none")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize(("kind", "told"), [("sse-s3", "AES256"), ("sse-kms", "aws:kms")])
async def test_minio_says_how_and_a_link_opens_it(
    minio: S3Server, tmp_path: Path, kind: EncryptionKind, told: str, size: int
) -> None:
    source, digest = recording(tmp_path, size)
    async with opened(minio, encryption=encryption(kind)) as made:
        await made.put_file("recordings", "a.wav", source, "audio/wav")
        bucket = made._options.buckets["recordings"]
        found = await asyncio.to_thread(minio.client().stat_object, bucket, "a.wav")
        assert found.metadata is not None and found.metadata[_HEADER] == told
        if size > made._options.part_bytes or kind == "sse-kms":
            # So the hash that the keeper compares has to be made from the bytes that come back.
            assert found.etag != hashlib.md5(source.read_bytes()).hexdigest()
        if kind == "sse-kms":
            assert found.metadata[f"{_HEADER}-Aws-Kms-Key-Id"].endswith(KMS_KEY)
        link = await made.link("recordings", "a.wav", seconds=60, download_name="call.wav")
        answer = await asyncio.to_thread(urllib3.request, "GET", link)
        assert (answer.status, hashlib.sha256(answer.data).hexdigest()) == (200, digest)
        assert answer.headers[_HEADER] == told


async def test_without_the_key_of_sse_c_nothing_opens(minio_tls: S3Server) -> None:
    async with opened(minio_tls, encryption=encryption("sse-c")) as made:
        await made.put_bytes("recordings", "a", b"said", "text/plain")
        buckets = made._options.buckets
        bare = minio_tls.client()
        with pytest.raises(S3Error):
            await asyncio.to_thread(bare.get_object, buckets["recordings"], "a")
        with pytest.raises(StorageError) as caught:
            await made.link("recordings", "a", seconds=60)
        assert caught.value.code == "storage_not_offered"
        for other in (Encryption(), encryption("sse-c")):
            async with opened(minio_tls, buckets=buckets, encryption=other) as stranger:
                for read in (stranger.stat, stranger.read, stranger.sha256):
                    with pytest.raises(StorageError) as caught:
                        await read("recordings", "a")
                    assert caught.value.code == "storage_denied"
                    assert "MINIO_SSE_CUSTOMER_KEY" in caught.value.message
                assert [i.key async for i in stranger.list_objects("recordings")] == ["a"]
        assert await made.read("recordings", "a") == b"said"


async def test_a_key_server_without_that_key_is_told_in_health_too(minio: S3Server) -> None:
    unknown = Encryption(kind="sse-kms", kms_key_id="no-such-key")
    async with opened(minio, encryption=unknown) as made:
        await made.health()
        with pytest.raises(StorageError, match="key with given key ID does not exist") as caught:
            await made.put_bytes("recordings", "a", b"1", "text/plain")
        assert caught.value.code == "storage_failed"
        with pytest.raises(StorageError, match="key with given key ID does not exist"):
            await made.health()
        with pytest.raises(StorageError) as caught:
            await made.stat("recordings", "a")
        assert caught.value.code == "storage_not_found"
