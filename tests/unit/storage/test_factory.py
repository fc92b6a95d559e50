"""The settings choose the store."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from config.errors import ConfigError
from config.sections import StorageSettings
from config.settings import Settings
from sessions.carrier_files import CarrierOptions
from storage.factory import build_storage
from storage.filesystem import FilesystemStorage
from storage.minio import MinioStorage


async def test_files_by_default(tmp_path: Path) -> None:
    store = build_storage(Settings(data_dir=tmp_path))
    assert isinstance(store, FilesystemStorage)
    info = await store.put_bytes("recordings", "a", b"1", "text/plain")
    assert info.url == (tmp_path / "storage/recordings/a").as_uri()
    await store.close()


async def test_minio_where_it_is_asked_for() -> None:
    settings = StorageSettings(
        kind="minio",
        minio_access_key=SecretStr("user"),
        minio_secret_key=SecretStr("password"),
        recordings_bucket="sound",
    )
    store = build_storage(Settings(storage=settings))
    assert isinstance(store, MinioStorage)
    assert store._options.buckets == {"recordings": "sound", "transcripts": "transcripts"}
    assert "password" not in repr(store._options)
    await store.close()


async def test_every_upload_has_a_thread_of_its_own() -> None:
    settings = StorageSettings(
        kind="minio",
        minio_access_key=SecretStr("user"),
        minio_secret_key=SecretStr("password"),
        uploads_at_once=16,
    )
    store = build_storage(Settings(storage=settings))
    assert isinstance(store, MinioStorage)
    # And the two files of the carrier's that are fetched at once.
    assert store._options.threads == 16 + CarrierOptions().at_once == 18
    await store.close()


def test_minio_without_keys() -> None:
    settings = StorageSettings.model_construct(kind="minio", minio_access_key=None)
    with pytest.raises(ConfigError, match="MINIO_ACCESS_KEY"):
        build_storage(Settings.model_construct(storage=settings))
