"""Keeps objects as plain files under one folder: the default, which needs no other service.

    <root>/recordings/2026/11/21/<uuid>.wav
    <root>/meta/recordings/2026/11/21/<uuid>.wav.json      content type and metadata

A file appears under its name only when it is whole and on the disk. Its metadata is there before
it, together with that of the file it replaces: a crash in between loses neither.
"""

import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from config.errors import StorageError
from storage.base import (
    BLOCK_BYTES,
    STORAGE_KINDS,
    ObjectInfo,
    Storage,
    StorageKind,
    check_key,
    check_prefix,
    check_range,
    is_key,
    not_found,
    open_source,
)
from storage.filesystem_errors import FilesystemErrors
from storage.metadata import check_metadata
from storage.threads import StoreThreads
from storage.whole_files import part_in, place, sweep

_CALL_SECONDS = 30.0
_COPY_SECONDS = 600.0
_PAGE_OBJECTS = 500


class _Meta(msgspec.Struct, frozen=True):
    content_type: str = "application/octet-stream"
    metadata: dict[str, str] = {}
    inode: int = 0
    previous: "_Meta | None" = None

    def of(self, inode: int) -> "_Meta":
        """What is said of the file with this inode; of a restored backup, what was said last."""
        older = self.previous
        return older if older is not None and older.inode == inode != self.inode else self


class FilesystemStorage(Storage):
    """A store in a local folder.

    Args:
        root: The folder; made when first written to.
        threads: How many files are worked on at once.
    """

    name = "filesystem"

    def __init__(self, root: Path, *, threads: int = 4) -> None:
        self._root = root.absolute()
        # Uploads to a disk that hangs must not make readers wait for a free thread.
        self._filing = StoreThreads("filesystem-filing", threads)
        self._reading = StoreThreads("filesystem", threads)
        # Metadata and object change together: one writer at a time for each of them.
        self._locks = tuple(threading.Lock() for _ in range(64))
        self._swept: set[Path] = set()

    async def put_file(
        self,
        kind: StorageKind,
        key: str,
        path: Path,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        def copy(target: BinaryIO) -> None:
            with open_source(path) as source:
                while block := source.read(BLOCK_BYTES):
                    target.write(block)

        meta = _Meta(content_type, check_metadata(metadata))
        return await self._filing.run(_COPY_SECONDS, self._put, kind, check_key(key), copy, meta)

    async def put_bytes(
        self,
        kind: StorageKind,
        key: str,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        def write(target: BinaryIO) -> None:
            target.write(data)

        meta = _Meta(content_type, check_metadata(metadata))
        return await self._filing.run(_COPY_SECONDS, self._put, kind, check_key(key), write, meta)

    async def open(
        self, kind: StorageKind, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        check_range(start, length)
        check_key(key)
        file: BinaryIO | None = None
        left = length

        def read() -> bytes:
            nonlocal file, left
            if file is None:
                file = self._open(kind, key, start)
            block = _read(file, BLOCK_BYTES if left is None else min(left, BLOCK_BYTES))
            left = None if left is None else left - len(block)
            return block

        def close() -> None:
            if file is not None:
                file.close()

        async with aclosing(self._reading.blocks(_CALL_SECONDS, read, close)) as blocks:
            async for block in blocks:
                yield block

    async def stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        return await self._reading.run(_CALL_SECONDS, self._stat, kind, check_key(key))

    async def sha256(self, kind: StorageKind, key: str) -> str:
        return await self._filing.run(_COPY_SECONDS, self._digest, kind, check_key(key))

    async def delete(self, kind: StorageKind, key: str) -> None:
        await self._reading.run(_CALL_SECONDS, self._delete, kind, check_key(key))

    async def list_objects(
        self, kind: StorageKind, prefix: str = "", *, after: str = ""
    ) -> AsyncIterator[ObjectInfo]:
        found = self._found(kind, check_prefix(prefix), check_prefix(after))
        while page := await self._reading.run(_CALL_SECONDS, _page, found):
            for info in page:
                yield info

    async def health(self) -> None:
        await self._filing.run(_CALL_SECONDS, self._probe)

    async def close(self) -> None:
        self._filing.close()
        self._reading.close()

    def _path(self, kind: StorageKind, key: str) -> Path:
        return _inside(self._root / kind, key)

    def _meta_path(self, kind: StorageKind, key: str) -> Path:
        return _inside(self._root / "meta" / kind, f"{key}.json")

    def _meta(self, kind: StorageKind, key: str, inode: int) -> _Meta:
        try:
            text = self._meta_path(kind, key).read_bytes()
            return msgspec.json.decode(text, type=_Meta).of(inode)
        except (FileNotFoundError, msgspec.DecodeError):
            return _Meta()

    def _lock(self, kind: StorageKind, key: str) -> threading.Lock:
        return self._locks[hash((kind, key)) % len(self._locks)]

    def _put(
        self, kind: StorageKind, key: str, write: Callable[[BinaryIO], object], meta: _Meta
    ) -> ObjectInfo:
        with FilesystemErrors(kind, key, writing=True):
            path, beside = self._path(kind, key), self._meta_path(kind, key)
            with self._part(self._root / kind, write) as part, self._lock(kind, key):
                encoded = msgspec.json.encode(self._replacing(kind, key, path, part, meta))
                with self._part(self._root / "meta" / kind, lambda f: f.write(encoded)) as about:
                    place(about, beside)
                place(part, path)
                return self._stat(kind, key)

    def _part(
        self, root: Path, write: Callable[[BinaryIO], object]
    ) -> AbstractContextManager[Path]:
        if root not in self._swept:
            self._swept.add(root)
            sweep(root)
        return part_in(root, write)

    def _replacing(self, kind: StorageKind, key: str, path: Path, part: Path, meta: _Meta) -> _Meta:
        """``meta`` of the file ``part``, and behind it that of the file it takes the place of."""
        previous = None
        if path.is_file():
            inode = path.stat().st_ino
            previous = msgspec.structs.replace(
                self._meta(kind, key, inode), inode=inode, previous=None
            )
        return msgspec.structs.replace(meta, inode=part.stat().st_ino, previous=previous)

    def _open(self, kind: StorageKind, key: str, start: int) -> BinaryIO:
        with FilesystemErrors(kind, key):
            file = self._path(kind, key).open("rb")
            size = os.fstat(file.fileno()).st_size
            if start and start >= size:
                file.close()
                raise StorageError("storage_invalid", f"{kind}/{key} ends before byte {start}")
            file.seek(start)
            return file

    def _stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        with FilesystemErrors(kind, key):
            path = self._path(kind, key)
            facts = path.stat()
            if not path.is_file():
                raise not_found(f"{kind}/{key}")
            meta = self._meta(kind, key, facts.st_ino)
            return ObjectInfo(
                kind=kind,
                key=key,
                size_bytes=facts.st_size,
                modified_at=datetime.fromtimestamp(facts.st_mtime, UTC),
                url=path.as_uri(),
                content_type=meta.content_type,
                metadata=meta.metadata,
            )

    def _digest(self, kind: StorageKind, key: str) -> str:
        with FilesystemErrors(kind, key), self._path(kind, key).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _delete(self, kind: StorageKind, key: str) -> None:
        with FilesystemErrors(kind, key), self._lock(kind, key):
            self._path(kind, key).unlink(missing_ok=True)
            self._meta_path(kind, key).unlink(missing_ok=True)

    def _found(self, kind: StorageKind, prefix: str, after: str) -> Iterator[ObjectInfo]:
        root = self._root / kind
        for key in _walk(root, root, prefix, after):
            try:
                facts = (root / key).stat()
            except FileNotFoundError:
                continue
            yield ObjectInfo(
                kind=kind,
                key=key,
                size_bytes=facts.st_size,
                modified_at=datetime.fromtimestamp(facts.st_mtime, UTC),
                url=(root / key).as_uri(),
            )

    def _probe(self) -> None:
        with FilesystemErrors("storage folder", str(self._root), writing=True):
            for kind in STORAGE_KINDS:
                for root in (self._root / kind, self._root / "meta" / kind):
                    with part_in(root, lambda file: file.write(b"probe")):
                        pass


def _read(file: BinaryIO, size: int) -> bytes:
    with FilesystemErrors("file", file.name):
        return file.read(size)


def _page(found: Iterator[ObjectInfo]) -> list[ObjectInfo]:
    with FilesystemErrors("listing", ""):
        return list(islice(found, _PAGE_OBJECTS))


def _inside(folder: Path, name: str) -> Path:
    """``name`` below ``folder``.

    Raises:
        StorageError: ``storage_invalid``: a symbolic link there leads out of the folder; a key
            cannot do so by its letters.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise StorageError("storage_invalid", f"{name} leads out of the store")
    return path


def _walk(root: Path, folder: Path, prefix: str, after: str) -> Iterator[str]:
    """Keys under ``folder`` that begin with ``prefix`` and follow ``after``, in order."""
    try:
        # Sorted as keys sort: a folder counts with its slash ("a/" is after "a-b" and "a.b").
        entries = sorted(folder.iterdir(), key=lambda p: p.name + "/" * p.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        key = entry.relative_to(root).as_posix()
        if entry.is_symlink() or not is_key(entry.name):
            continue  # Parts, links, and what others laid there: no key opens them.
        if entry.is_dir():
            inside = f"{key}/"
            # A folder whose every key comes before ``after`` is not even looked into.
            passed = inside < after and not after.startswith(inside)
            if not passed and (inside.startswith(prefix) or prefix.startswith(inside)):
                yield from _walk(root, entry, prefix, after)
        elif key.startswith(prefix) and key > after:
            yield key
