"""Files appear whole or not at all, and never outside their folder."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

from config.errors import StorageError
from storage.filesystem import FilesystemStorage


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemStorage]:
    made = FilesystemStorage(tmp_path / "store")
    yield made
    await made.close()


def files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


async def test_where_files_lie(store: FilesystemStorage, tmp_path: Path) -> None:
    info = await store.put_bytes("recordings", "2026/11/21/a.wav", b"RIFF", "audio/wav")
    assert files(tmp_path) == [
        "store/meta/recordings/2026/11/21/a.wav.json",
        "store/recordings/2026/11/21/a.wav",
    ]
    assert info.url == (tmp_path / "store/recordings/2026/11/21/a.wav").as_uri()
    await store.delete("recordings", "2026/11/21/a.wav")
    assert files(tmp_path) == []


async def test_a_link_out_of_the_store_is_not_followed(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    await store.put_bytes("recordings", "a", b"1", "text/plain")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (tmp_path / "store/recordings/link").symlink_to(outside)
    for call in (store.stat, store.read, store.sha256, store.delete):
        with pytest.raises(StorageError) as caught:
            await call("recordings", "link/secret")
        assert caught.value.code == "storage_invalid"
    with pytest.raises(StorageError):
        await store.put_bytes("recordings", "link/new", b"x", "text/plain")
    assert files(outside) == ["secret"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
async def test_a_write_that_fails_leaves_the_old_object(
    store: FilesystemStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    await store.put_bytes("recordings", "a", b"old", "text/plain")

    def fail(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(StorageError) as caught:
        await store.put_bytes("recordings", "a", b"new", "text/plain")
    monkeypatch.undo()
    assert caught.value.code == "storage_unavailable"
    assert "No space left" in caught.value.message
    assert await store.read("recordings", "a") == b"old"
    assert len(files(tmp_path)) == 2


async def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = FilesystemStorage(tmp_path / "file" / "store")
    with pytest.raises(StorageError) as caught:
        await made.health()
    assert caught.value.code == "storage_unavailable"
    with pytest.raises(StorageError) as caught:
        await made.put_bytes("recordings", "a", b"x", "text/plain")
    assert caught.value.code == "storage_unavailable"
    await made.close()


async def test_lost_metadata_loses_no_object(store: FilesystemStorage, tmp_path: Path) -> None:
    await store.put_bytes("recordings", "a", b"1", "audio/wav", {"x": "y"})
    meta = tmp_path / "store/meta/recordings/a.json"
    meta.write_bytes(b"{")
    assert (await store.stat("recordings", "a")).content_type == "application/octet-stream"
    meta.unlink()
    assert await store.read("recordings", "a") == b"1"


async def test_half_written_files_are_not_listed(store: FilesystemStorage, tmp_path: Path) -> None:
    await store.put_bytes("recordings", "a", b"1", "text/plain")
    (tmp_path / "store/recordings/.part-x").write_bytes(b"half")
    assert [info.key async for info in store.list_objects("recordings")] == ["a"]
