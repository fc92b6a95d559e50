"""Parts, encryption and links of MinIO."""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from minio.datatypes import Object
from pydantic import SecretStr, ValidationError

from config.errors import ConfigError, StorageError
from config.sections import StorageSettings
from config.settings import Settings
from storage import minio as minio_module
from storage.factory import build_storage
from storage.minio import MinioStorage
from storage.minio_options import Encryption
from tests.minio import S3Server, s3_server
from tests.unit.storage.wires import opened

KEYS = {"minio_access_key": SecretStr("user"), "minio_secret_key": SecretStr("password")}
CUSTOMER_KEY = SecretStr(base64.b64encode(bytes(range(32))).decode())


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Server]:
    with s3_server("moto") as server:
        yield server


async def test_an_upload_that_breaks_off_leaves_no_parts(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "call.wav"
    source.write_bytes(bytes(12 * 1024 * 1024))
    async with opened(s3, part_bytes=5 * 1024 * 1024) as made:
        # The file is shorter than it was said to be: the third part does not come.
        monkeypatch.setattr(minio_module, "_size", lambda path: 14 * 1024 * 1024)
        with pytest.raises(StorageError) as caught:
            await made.put_file("recordings", "call.wav", source, "audio/wav")
        assert caught.value.code == "storage_unavailable"
        bucket = made._options.buckets["recordings"]
        left = await asyncio.to_thread(made._client._list_multipart_uploads, bucket)
        assert left.uploads == []
        with pytest.raises(StorageError, match="nothing is stored"):
            await made.stat("recordings", "call.wav")


async def test_a_bucket_of_ours_forgets_broken_uploads_on_s3(moto: S3Server) -> None:
    async with opened(moto) as made:
        await made.put_bytes("recordings", "a", b"1", "text/plain")
        bucket = made._options.buckets["recordings"]
        rules = await asyncio.to_thread(made._client.get_bucket_lifecycle, bucket)
        assert rules is not None
        abort = rules.rules[0].abort_incomplete_multipart_upload
        assert abort is not None and abort.days_after_initiation == 1
        assert rules.rules[0].rule_filter is not None
        assert rules.rules[0].rule_filter.prefix == ""
        assert rules.rules[0].expiration is None


@pytest.mark.parametrize(
    ("encryption", "header"),
    [
        (Encryption(), None),
        (Encryption(kind="sse-s3"), "AES256"),
        (Encryption(kind="sse-kms", kms_key_id="alias/calls"), "aws:kms"),
    ],
)
async def test_encryption_is_asked_for(
    moto: S3Server, encryption: Encryption, header: str | None
) -> None:
    # What MinIO does with it is in test_minio_encryption.py.
    async with opened(moto, encryption=encryption) as made:
        await made.put_bytes("recordings", "a", b"1", "text/plain")
        bucket = made._options.buckets["recordings"]
        found = await asyncio.to_thread(made._client.stat_object, bucket, "a")
        assert found.metadata is not None
        assert found.metadata.get("x-amz-server-side-encryption") == header
        assert await made.read("recordings", "a") == b"1"


async def test_an_upload_that_is_shorter_than_it_was_is_refused(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(s3) as made:
        real = made._client.stat_object

        def half(*args: Any, **kwargs: Any) -> Object:
            return replace(real(*args, **kwargs), size=2)

        monkeypatch.setattr(made._client, "stat_object", half)
        with pytest.raises(StorageError, match="recordings/a: 2 of 4 bytes are there"):
            await made.put_bytes("recordings", "a", b"four", "text/plain")


async def test_another_writers_object_in_place_of_ours_is_no_short_upload(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is written again by whoever has later news of its call."""
    async with opened(s3) as made:
        real = made._client.stat_object

        def theirs(*args: Any, **kwargs: Any) -> Object:
            return replace(real(*args, **kwargs), size=2, etag="theirs")

        monkeypatch.setattr(made._client, "stat_object", theirs)
        stored = await made.put_bytes("recordings", "a", b"four", "text/plain")
        assert stored.size_bytes == 2


def test_the_key_of_sse_c_never_goes_over_plain_http(s3: S3Server) -> None:
    encryption = Encryption(kind="sse-c", customer_key=CUSTOMER_KEY)
    with pytest.raises(ConfigError, match="needs TLS: set MINIO_SECURE=true"):
        MinioStorage(s3.options(encryption=encryption))
    with pytest.raises(ValidationError, match="so it needs TLS"):
        StorageSettings(kind="minio", encryption="sse-c", customer_key=CUSTOMER_KEY, **KEYS)  # type: ignore[arg-type]


async def test_the_key_of_sse_c_goes_with_every_reading_and_opens_by_no_link(s3: S3Server) -> None:
    encryption = Encryption(kind="sse-c", customer_key=CUSTOMER_KEY)
    async with opened(s3, encryption=encryption, secure=True) as made:
        assert made._read_key is not None
        assert CUSTOMER_KEY.get_secret_value() in made._read_key.headers().values()
        assert CUSTOMER_KEY.get_secret_value() not in repr(made._options)
        with pytest.raises(StorageError) as caught:
            await made.link("recordings", "a", seconds=60)
        assert caught.value.code == "storage_not_offered"


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(b"x" * 16).decode(), "%%%"])
def test_a_malformed_key_is_not_shown(key: str) -> None:
    with pytest.raises(ConfigError, match="32 bytes in base64") as caught:
        Encryption(kind="sse-c", customer_key=SecretStr(key)).headers(secure=True)
    assert not key or key not in caught.value.message


def test_kms_needs_the_name_of_its_key() -> None:
    with pytest.raises(ConfigError, match="kms_key_id"):
        Encryption(kind="sse-kms").headers(secure=True)
    with pytest.raises(ValidationError, match="kms_key_id"):
        StorageSettings(kind="minio", encryption="sse-kms", **KEYS)  # type: ignore[arg-type]


async def test_a_link_is_signed_for_the_address_that_browsers_see(s3: S3Server) -> None:
    async with opened(s3, public_endpoint="https://files.example.in") as made:
        await made.put_bytes("recordings", "2026/a.wav", b"1", "audio/wav")
        url = urlsplit(await made.link("recordings", "2026/a.wav", seconds=90))
        bucket = made._options.buckets["recordings"]
    assert (url.scheme, url.netloc) == ("https", "files.example.in")
    assert url.path == f"/{bucket}/2026/a.wav"
    query = parse_qs(url.query)
    assert query["X-Amz-Expires"] == ["90"]
    assert query["X-Amz-SignedHeaders"] == ["host"]
    assert s3.secret_key not in url.query


async def test_the_settings_reach_the_store(tmp_path: Path) -> None:
    settings = StorageSettings(
        kind="minio",
        minio_region="ap-south-1",
        minio_secure=True,
        public_endpoint="https://files.example.in/",
        encryption="sse-c",
        customer_key=CUSTOMER_KEY,
        **KEYS,  # type: ignore[arg-type]
    )
    made = build_storage(Settings(data_dir=tmp_path, storage=settings))
    assert isinstance(made, MinioStorage)
    assert made._options.region == "ap-south-1"
    assert made._options.public_endpoint == "https://files.example.in"
    assert made._options.encryption.kind == "sse-c"
    await made.close()
    with pytest.raises(ValidationError, match="has no path"):
        StorageSettings(public_endpoint="https://example.in/files")
