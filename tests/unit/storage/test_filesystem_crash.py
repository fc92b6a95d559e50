"""Killed, full, raced: what lies under a name is whole, and says of itself what is true."""

import asyncio
import contextlib
import hashlib
import os
import resource
import shutil
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from config.errors import StorageError
from storage import filesystem, whole_files
from storage.filesystem import FilesystemStorage

MIB = 1024 * 1024

# Puts one key again and again, each time with other content that its metadata speaks of.
_WRITER = """
import asyncio, hashlib, sys
from pathlib import Path
from storage.filesystem import FilesystemStorage

async def main(root):
    store = FilesystemStorage(Path(root))
    number = 0
    while True:
        number += 1
        data = bytes([number % 256]) * (700_000 + number)
        about = {"sha256": hashlib.sha256(data).hexdigest()}
        await store.put_bytes("recordings", "2026/a.wav", data, "audio/wav", about)
        print(number, flush=True)

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemStorage]:
    made = FilesystemStorage(tmp_path / "store")
    yield made
    await made.close()


def parts(root: Path) -> list[Path]:
    return [file for folder in root.rglob(".parts") for file in folder.iterdir()]


async def test_killed_at_any_moment_a_name_holds_a_whole_file_and_its_own_metadata(
    tmp_path: Path,
) -> None:
    root = tmp_path / "store"
    left = 0
    for kill in range(25):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITER, str(root), stdout=asyncio.subprocess.PIPE
        )
        assert writer.stdout is not None
        # After its first file, at a moment that is another each time.
        assert await writer.stdout.readline()
        await asyncio.sleep(kill * 0.0007)
        writer.kill()
        await writer.communicate()
        store = FilesystemStorage(root)
        info = await store.stat("recordings", "2026/a.wav")
        data = await store.read("recordings", "2026/a.wav")
        assert len(data) == info.size_bytes > 700_000
        assert info.content_type == "audio/wav"
        assert info.metadata == {"sha256": hashlib.sha256(data).hexdigest()}
        assert [i.key async for i in store.list_objects("recordings")] == ["2026/a.wav"]
        await store.close()
        left = len(parts(root))
    assert left, "no kill met a file that was being written"

    # A day later they are taken away by whoever writes next.
    day_ago = time.time() - 25 * 3600
    for part in parts(root):
        os.utime(part, (day_ago, day_ago))
    fresh = root / "recordings" / ".parts" / "of-another-process"
    fresh.write_bytes(b"half")
    store = FilesystemStorage(root)
    await store.put_bytes("recordings", "b", b"1", "text/plain")
    assert parts(root) == [fresh]
    await store.close()


@pytest.mark.parametrize("step", ["place_meta", "place_object"])
async def test_a_crash_between_two_steps_keeps_old_metadata_with_the_old_file(
    store: FilesystemStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await store.put_bytes("recordings", "a", b"old", "text/old", {"version": "1"})
    real = whole_files.place
    done: list[Path] = []

    def place(part: Path, path: Path) -> None:
        if len(done) == ["place_meta", "place_object"].index(step):
            raise OSError(5, "Input/output error")
        done.append(path)
        real(part, path)

    monkeypatch.setattr(filesystem, "place", place)
    with pytest.raises(StorageError):
        await store.put_bytes("recordings", "a", b"newer", "text/new", {"version": "2"})
    monkeypatch.undo()
    info = await store.stat("recordings", "a")
    assert (info.size_bytes, info.content_type, info.metadata) == (3, "text/old", {"version": "1"})
    await store.put_bytes("recordings", "a", b"newest", "text/newest", {"version": "3"})
    assert (await store.stat("recordings", "a")).metadata == {"version": "3"}
    assert parts(tmp_path) == []


async def test_writers_of_one_key_take_turns_from_metadata_to_object(
    store: FilesystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Semaphore(0)

    class Watched:
        """Tells when somebody asks for it."""

        def __init__(self) -> None:
            self._lock = threading.Lock()

        def __enter__(self) -> None:
            asked.release()
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    lock = Watched()
    monkeypatch.setattr(store, "_lock", lambda kind, key: lock)
    real, placed = whole_files.place, 0

    def place(part: Path, path: Path) -> None:
        nonlocal placed
        placed += 1
        first = placed == 1
        real(part, path)
        if first:  # Between its metadata and its object, until the other one wants its turn too.
            asked.acquire(timeout=5)
            asked.acquire(timeout=5)

    monkeypatch.setattr(filesystem, "place", place)
    await asyncio.gather(
        *(store.put_bytes("recordings", "k", bytes(n), f"audio/x-{n}") for n in (1, 2))
    )
    info = await store.stat("recordings", "k")
    assert info.content_type == f"audio/x-{info.size_bytes}"


async def test_metadata_of_what_is_written_often_does_not_grow(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    sizes = []
    for _ in range(5):
        await store.put_bytes("recordings", "a", b"1", "text/plain", {"version": "1"})
        text = (tmp_path / "store/meta/recordings/a.json").read_text()
        sizes.append(text.count("version"))
    assert sizes == [1, 2, 2, 2, 2]


async def test_a_restored_copy_keeps_its_metadata(store: FilesystemStorage, tmp_path: Path) -> None:
    await store.put_bytes("recordings", "a", b"old", "text/old", {"version": "1"})
    await store.put_bytes("recordings", "a", b"new", "text/new", {"version": "2"})
    copy = tmp_path / "copy"
    await asyncio.to_thread(shutil.copytree, tmp_path / "store", copy)
    restored = FilesystemStorage(copy)
    assert (await restored.stat("recordings", "a")).metadata == {"version": "2"}
    await restored.close()


@contextlib.contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond; a full disk answers like that, with another word."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("old", [None, b"what was there"])
async def test_a_disk_that_takes_no_more_leaves_no_half(
    store: FilesystemStorage, tmp_path: Path, old: bytes | None
) -> None:
    if old is not None:
        await store.put_bytes("recordings", "a", old, "text/plain")
    source = tmp_path / "call.wav"
    source.write_bytes(bytes(3 * MIB))
    with largest_file(MIB), pytest.raises(StorageError) as caught:
        await store.put_file("recordings", "a", source, "audio/wav")
    assert caught.value.code == "storage_unavailable"
    assert "File too large" in caught.value.message
    assert parts(tmp_path) == []
    if old is None:
        with pytest.raises(StorageError, match="nothing is stored"):
            await store.stat("recordings", "a")
    else:
        assert await store.read("recordings", "a") == old
        assert (await store.stat("recordings", "a")).content_type == "text/plain"
    await store.put_file("recordings", "a", source, "audio/wav")
    assert (await store.stat("recordings", "a")).size_bytes == 3 * MIB


async def test_everything_is_synced_before_its_name_counts(
    store: FilesystemStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    root = tmp_path / "store"
    real_fsync, real_replace = os.fsync, os.replace

    def name(path: Path) -> str:
        text = str(path.relative_to(tmp_path)) if path.is_relative_to(tmp_path) else str(path)
        return "/".join("part" if len(n) > 8 and n[:3] == "tmp" else n for n in text.split("/"))

    def fsync(handle: int) -> None:
        real_fsync(handle)
        facts = os.fstat(handle)
        kind = "folder" if stat.S_ISDIR(facts.st_mode) else "file"
        assert facts.st_size, "synced before it was written"
        steps.append(f"sync {kind} {name(Path(os.readlink(f'/proc/self/fd/{handle}')))}")

    def replace(old: Path, new: Path) -> None:
        real_replace(old, new)
        steps.append(f"place {name(new)}")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    await store.put_bytes("recordings", "2026/11/a", b"1", "text/plain")
    monkeypatch.undo()
    assert root.is_dir()
    assert steps == [
        "sync folder .",
        "sync folder store",
        "sync folder store/recordings",
        "sync file store/recordings/.parts/part",
        "sync folder store",
        "sync folder store/meta",
        "sync folder store/meta/recordings",
        "sync file store/meta/recordings/.parts/part",
        "sync folder store/meta/recordings",
        "sync folder store/meta/recordings/2026",
        "place store/meta/recordings/2026/11/a.json",
        "sync folder store/meta/recordings/2026/11",
        "sync folder store/recordings",
        "sync folder store/recordings/2026",
        "place store/recordings/2026/11/a",
        "sync folder store/recordings/2026/11",
    ]


@pytest.mark.parametrize("where", ["recordings", "meta/recordings"])
async def test_a_link_never_leads_a_write_or_a_deletion_out(
    store: FilesystemStorage, tmp_path: Path, where: str
) -> None:
    await store.put_bytes("recordings", "a", b"1", "text/plain")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_bytes(b"theirs")
    (outside / "x.json").write_bytes(b"{}")
    (tmp_path / "store" / where / "link").symlink_to(outside)
    for call in (
        store.put_bytes("recordings", "link/x", b"ours", "text/plain"),
        store.delete("recordings", "link/x"),
    ):
        with pytest.raises(StorageError) as caught:
            await call
        assert caught.value.code == "storage_invalid"
    assert (outside / "x").read_bytes() == b"theirs"
    assert (outside / "x.json").read_bytes() == b"{}"
    assert len(list(outside.iterdir())) == 2


async def test_links_and_strangers_files_are_not_listed(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    await store.put_bytes("recordings", "2026/a", b"1", "text/plain")
    root = tmp_path / "store" / "recordings"
    (root / "loop").symlink_to(root)
    (root / "out").symlink_to(tmp_path)
    for name in (".hidden", "a b", "ключ", "lost+found"):
        (root / name).write_bytes(b"x")
    keys = [info.key async for info in store.list_objects("recordings")]
    assert keys == ["2026/a"]
    for key in keys:
        assert await store.read("recordings", key) == b"1"


async def test_a_disk_that_hangs_in_a_write_keeps_no_reader_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilesystemStorage(tmp_path / "store", threads=1)
    await store.put_bytes("recordings", "a", b"sound", "audio/wav")
    hangs, goes_on, real = threading.Event(), threading.Event(), whole_files.place

    def place(part: Path, path: Path) -> None:
        hangs.set()
        goes_on.wait(30)
        real(part, path)

    monkeypatch.setattr(filesystem, "place", place)
    writing = asyncio.create_task(store.put_bytes("recordings", "b", b"more", "audio/wav"))
    try:
        async with asyncio.timeout(30):
            await asyncio.to_thread(hangs.wait)
            assert await store.read("recordings", "a") == b"sound"
            assert [info.key async for info in store.list_objects("recordings")] == ["a"]
    finally:
        goes_on.set()
    assert (await writing).size_bytes == 4
    await store.close()
