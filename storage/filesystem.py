"""Keeps objects as plain files under one folder: the default, which needs no other service.

    <root>/recordings/2026/11/21/<uuid>.wav
    <root>/meta/recordings/2026/11/21/<uuid>.wav.json      content type and metadata

A file appears under its name only when it is whole and on the disk.
"""

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
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
    check_metadata,
    check_prefix,
    check_range,
    not_found,
    open_source,
)
from storage.threads import StoreThreads

_CALL_SECONDS = 30.0
_COPY_SECONDS = 600.0
_PART = ".part-"
_PAGE_OBJECTS = 500


class _Meta(msgspec.Struct, frozen=True):
    content_type: str = "application/octet-stream"
    metadata: dict[str, str] = {}


class FilesystemStorage(Storage):
    """A store in a local folder.

    Args:
        root: The folder; made when first written to.
        threads: How many files are worked on at once.
    """

    name = "filesystem"

    def __init__(self, root: Path, *, threads: int = 4) -> None:
        self._root = root.absolute()
        self._threads = StoreThreads("filesystem", threads)

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
        return await self._threads.run(_COPY_SECONDS, self._put, kind, check_key(key), copy, meta)

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
        return await self._threads.run(_COPY_SECONDS, self._put, kind, check_key(key), write, meta)

    async def open(
        self, kind: StorageKind, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        check_range(start, length)
        run = self._threads.run
        file = await run(_CALL_SECONDS, self._open, kind, check_key(key), start)
        left = length
        try:
            while left is None or left > 0:
                size = BLOCK_BYTES if left is None else min(left, BLOCK_BYTES)
                block = await run(_CALL_SECONDS, _read, file, size)
                if not block:
                    return
                left = None if left is None else left - len(block)
                yield block
        finally:
            file.close()

    async def stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        return await self._threads.run(_CALL_SECONDS, self._stat, kind, check_key(key))

    async def sha256(self, kind: StorageKind, key: str) -> str:
        return await self._threads.run(_COPY_SECONDS, self._digest, kind, check_key(key))

    async def delete(self, kind: StorageKind, key: str) -> None:
        await self._threads.run(_CALL_SECONDS, self._delete, kind, check_key(key))

    async def list_objects(
        self, kind: StorageKind, prefix: str = "", *, after: str = ""
    ) -> AsyncIterator[ObjectInfo]:
        found = self._found(kind, check_prefix(prefix), check_prefix(after))
        while page := await self._threads.run(_CALL_SECONDS, _page, found):
            for info in page:
                yield info

    async def health(self) -> None:
        await self._threads.run(_CALL_SECONDS, self._probe)

    async def close(self) -> None:
        self._threads.close()

    def _path(self, kind: StorageKind, key: str) -> Path:
        folder = self._root / kind
        path = folder / key
        # A key cannot climb out by its letters; a symbolic link laid in the folder could.
        if not path.resolve().is_relative_to(folder.resolve()):
            raise StorageError("storage_invalid", f"{kind}/{key} leads out of the store")
        return path

    def _meta_path(self, kind: StorageKind, key: str) -> Path:
        return self._root / "meta" / kind / f"{key}.json"

    def _put(
        self, kind: StorageKind, key: str, write: Callable[[BinaryIO], None], meta: _Meta
    ) -> ObjectInfo:
        with _StorageErrors(kind, key, writing=True):
            path = self._path(kind, key)
            encoded = msgspec.json.encode(meta)
            _replace(self._meta_path(kind, key), lambda file: _discard(file.write(encoded)))
            _replace(path, write)
            return self._stat(kind, key)

    def _open(self, kind: StorageKind, key: str, start: int) -> BinaryIO:
        with _StorageErrors(kind, key):
            file = self._path(kind, key).open("rb")
            size = os.fstat(file.fileno()).st_size
            if start and start >= size:
                file.close()
                raise StorageError("storage_invalid", f"{kind}/{key} ends before byte {start}")
            file.seek(start)
            return file

    def _stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        with _StorageErrors(kind, key):
            path = self._path(kind, key)
            facts = path.stat()
            if not path.is_file():
                raise not_found(f"{kind}/{key}")
            try:
                meta = msgspec.json.decode(self._meta_path(kind, key).read_bytes(), type=_Meta)
            except (FileNotFoundError, msgspec.DecodeError):
                meta = _Meta()
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
        with _StorageErrors(kind, key), self._path(kind, key).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _delete(self, kind: StorageKind, key: str) -> None:
        with _StorageErrors(kind, key):
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
        with _StorageErrors("storage folder", str(self._root), writing=True):
            for kind in STORAGE_KINDS:
                _replace(self._root / "meta" / kind / "health.probe", lambda _: None)


class _StorageErrors:
    """Maps the errors of the operating system, once."""

    def __init__(self, kind: str, key: str, *, writing: bool = False) -> None:
        self._what = f"{kind}/{key}"
        self._writing = writing

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OSError):
            return
        missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
        if missing and not self._writing:
            raise not_found(self._what) from error
        denied = isinstance(error, PermissionError)
        code = "storage_denied" if denied else "storage_unavailable"
        raise StorageError(code, f"{self._what}: {error.strerror or error}") from error


def _read(file: BinaryIO, size: int) -> bytes:
    with _StorageErrors("file", file.name):
        return file.read(size)


def _page(found: Iterator[ObjectInfo]) -> list[ObjectInfo]:
    with _StorageErrors("listing", ""):
        return list(islice(found, _PAGE_OBJECTS))


def _discard(_written: int) -> None:
    return None


def _replace(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file beside ``path``, bring it to the disk, and put it in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=_PART, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _walk(root: Path, folder: Path, prefix: str, after: str) -> Iterator[str]:
    """Keys under ``folder`` that begin with ``prefix`` and follow ``after``, in order."""
    try:
        # Sorted as keys sort: a folder counts with its slash ("a/" is after "a-b" and "a.b").
        entries = sorted(folder.iterdir(), key=lambda p: p.name + "/" * p.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        key = entry.relative_to(root).as_posix()
        if entry.name.startswith(_PART):
            continue
        if entry.is_dir():
            inside = f"{key}/"
            # A folder whose every key comes before ``after`` is not even looked into.
            passed = inside < after and not after.startswith(inside)
            if not passed and (inside.startswith(prefix) or prefix.startswith(inside)):
                yield from _walk(root, entry, prefix, after)
        elif key.startswith(prefix) and key > after:
            yield key
