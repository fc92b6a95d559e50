"""The one interface behind which recordings, transcripts and call records are kept.

A store holds objects in two kinds of place (``recordings`` and ``transcripts``; a call's record
lies beside its transcript). Keys come from our own ids and dates, never from a carrier:
``2026/11/21/<session uuid>.wav``. All methods are coroutines that leave the event loop free, and
all have deadlines.

Error codes of :class:`~config.errors.StorageError`:

    storage_not_found      no such object
    storage_invalid        a key, range or piece of metadata that no store accepts
    storage_unavailable    cannot be reached, is slow or is full; trying again may help
    storage_denied         credentials or permissions are wrong; an operator must act
    storage_not_offered    this store cannot do that at all, as it is set up
    storage_failed         anything else that the store answered
"""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from config.errors import StorageError

StorageKind = Literal["recordings", "transcripts"]
STORAGE_KINDS: tuple[StorageKind, ...] = ("recordings", "transcripts")

#: How much a reader is handed at a time, in bytes.
BLOCK_BYTES = 256 * 1024
#: Longest life of a link that opens an object without a key; S3 itself would allow a week.
MAX_LINK_SECONDS = 24 * 3600
#: Most objects in one page of a listing.
MAX_PAGE_OBJECTS = 1000

_MAX_KEY_CHARS = 512
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_PREFIX = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)*(?:[A-Za-z0-9][A-Za-z0-9._-]*)?")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What a store knows of one object.

    Attributes:
        url: Where it lies, for people and backends (``minio://bucket/key``, ``file:///…``).
        metadata: Lower-case names to values in any script (:mod:`storage.metadata`); empty in
            listings.
    """

    kind: StorageKind
    key: str
    size_bytes: int
    modified_at: datetime
    url: str
    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)


class Storage(ABC):
    """Puts and gets whole objects; every write replaces what the key held, atomically."""

    #: ``filesystem`` or ``minio``: for health pages and metrics.
    name: str

    @abstractmethod
    async def put_file(
        self,
        kind: StorageKind,
        key: str,
        path: Path,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store a file from disk without holding it in memory.

        Raises:
            StorageError: See the module; after an error the old object, if any, stands.
        """

    @abstractmethod
    async def put_bytes(
        self,
        kind: StorageKind,
        key: str,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store a small object from memory; otherwise as :meth:`put_file`."""

    @abstractmethod
    def open(
        self, kind: StorageKind, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream an object, or ``length`` bytes of it from ``start``, in blocks.

        A range that reaches beyond the end gives what there is. The iterator holds a file or
        a connection until it is exhausted or closed (``contextlib.aclosing``).

        Raises:
            StorageError: On the first step: ``storage_not_found``, or ``storage_invalid``
                where ``start`` is negative or not inside the object.
        """

    @abstractmethod
    async def stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        """What is stored under ``key``; ``storage_not_found`` where nothing is."""

    @abstractmethod
    async def sha256(self, kind: StorageKind, key: str) -> str:
        """Hash of what the store gives back, read in full: proof that it was kept."""

    @abstractmethod
    async def delete(self, kind: StorageKind, key: str) -> None:
        """Remove an object; nothing happens where there is none."""

    @abstractmethod
    def list_objects(
        self, kind: StorageKind, prefix: str = "", *, after: str = ""
    ) -> AsyncIterator[ObjectInfo]:
        """Objects whose key begins with ``prefix`` and comes after ``after``, in order of keys."""

    @abstractmethod
    async def health(self) -> None:
        """Find out within seconds whether objects could be stored now.

        Raises:
            StorageError: They could not; the message says why.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of threads and connections; the store is not used afterwards."""

    async def page(
        self, kind: StorageKind, prefix: str = "", *, after: str = "", limit: int = 100
    ) -> list[ObjectInfo]:
        """The first ``limit`` objects of a listing; the next page is ``after`` the last's key.

        Raises:
            StorageError: ``storage_invalid`` for a limit below 1 or over ``MAX_PAGE_OBJECTS``.
        """
        if not 1 <= limit <= MAX_PAGE_OBJECTS:
            raise StorageError("storage_invalid", f"a page has 1 to {MAX_PAGE_OBJECTS} objects")
        found: list[ObjectInfo] = []
        listing = self.list_objects(kind, prefix, after=after)
        async for info in listing:
            found.append(info)
            if len(found) == limit:
                break
        return found

    async def link(
        self,
        kind: StorageKind,
        key: str,
        *,
        seconds: float,
        download_name: str | None = None,
    ) -> str:
        """An address that opens one object for whoever has it, for a short time.

        Args:
            seconds: How long it works, 1 to ``MAX_LINK_SECONDS``.
            download_name: Name of the file that a browser is told to save.

        Raises:
            StorageError: ``storage_not_offered``: this store makes no such links, and the
                object has to be passed on; ``storage_not_found``; ``storage_invalid``.
        """
        raise StorageError(
            "storage_not_offered", f"the store {self.name} gives no links to what it keeps"
        )

    async def read(
        self, kind: StorageKind, key: str, *, start: int = 0, length: int | None = None
    ) -> bytes:
        """Like :meth:`open`, in one piece: for small objects and short ranges."""
        return b"".join([block async for block in self.open(kind, key, start=start, length=length)])


def check_key(key: str) -> str:
    """Return ``key`` if every store can take it; it can never leave the store's folder.

    Raises:
        StorageError: ``storage_invalid``.
    """
    if not is_key(key):
        raise StorageError("storage_invalid", f"not a storage key: {key[:80]!r}")
    return key


def is_key(text: str) -> bool:
    """Whether every store can take it as a key, or as one of the names in a key."""
    return len(text) <= _MAX_KEY_CHARS and _KEY.fullmatch(text) is not None


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` if it can begin a key (it may be empty or end in a slash)."""
    if len(prefix) > _MAX_KEY_CHARS or not _PREFIX.fullmatch(prefix):
        raise StorageError("storage_invalid", f"not a storage prefix: {prefix[:80]!r}")
    return prefix


def check_range(start: int, length: int | None) -> None:
    """Refuse ranges that mean nothing.

    Raises:
        StorageError: ``storage_invalid``.
    """
    if start < 0 or (length is not None and length < 1):
        raise StorageError("storage_invalid", f"no such range: {start}+{length}")


def check_link(seconds: float, download_name: str | None) -> None:
    """Refuse links that live too long and names that no header can hold.

    Raises:
        StorageError: ``storage_invalid``.
    """
    if not 1 <= seconds <= MAX_LINK_SECONDS:
        raise StorageError("storage_invalid", f"a link lives 1 to {MAX_LINK_SECONDS} seconds")
    if download_name is not None and not _FILE_NAME.fullmatch(download_name):
        raise StorageError("storage_invalid", f"not a file name: {download_name[:80]!r}")


def not_found(what: str) -> StorageError:
    """The error for an object (``kind/key``) that is not there."""
    return StorageError("storage_not_found", f"nothing is stored as {what}")


def open_source(path: Path) -> BinaryIO:
    """Open the file that is to be stored.

    Raises:
        StorageError: ``storage_invalid``: it cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError("storage_invalid", f"cannot read {path}: {error.strerror}") from error
