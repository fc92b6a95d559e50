"""A recording that can be read from any place on, wherever it lies."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sessions.build import BuiltFile, built_path
from sessions.record import StoredFile
from storage.base import BLOCK_BYTES, Storage


class KeptSound(ABC):
    """One recording.

    Attributes:
        sha256: Of the whole, the same wherever it lies.
        suffix: Of a file that holds it, such as ``.wav`` or ``.carrier.mp3``.
    """

    def __init__(self, file: BuiltFile | StoredFile) -> None:
        self.key = file.key
        self.size_bytes = file.size_bytes
        self.sha256 = file.sha256
        self.content_type = file.content_type
        self.suffix = "".join(PurePosixPath(file.key).suffixes)

    @abstractmethod
    def blocks(self, start: int, length: int) -> AsyncIterator[bytes]:
        """``length`` bytes from ``start``; both lie inside, and ``length`` is not 0.

        Raises:
            StorageError: On any step.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of it."""


class StoredSound(KeptSound):
    """A recording in the store."""

    def __init__(self, storage: Storage, file: StoredFile) -> None:
        super().__init__(file)
        self._storage = storage
        self.kind = file.kind

    async def blocks(self, start: int, length: int) -> AsyncIterator[bytes]:
        """See :class:`KeptSound`."""
        opened = self._storage.open(self.kind, self.key, start=start, length=length)
        async with aclosing(opened) as blocks:  # type: ignore[type-var]
            async for block in blocks:
                yield block

    async def close(self) -> None:
        """See :class:`KeptSound`; whoever reads it lets go of the store."""


class SpooledSound(KeptSound):
    """A recording that waits on disk to be stored; it may be removed while it is read."""

    def __init__(self, file: BuiltFile, handle: BinaryIO) -> None:
        super().__init__(file)
        self._handle = handle

    @classmethod
    async def open(cls, folder: Path, file: BuiltFile) -> "SpooledSound":
        """Take hold of a built recording.

        Raises:
            FileNotFoundError: It has been stored in between.
        """
        path = built_path(folder, file)
        return cls(file, await asyncio.to_thread(path.open, "rb"))

    async def blocks(self, start: int, length: int) -> AsyncIterator[bytes]:
        """See :class:`KeptSound`."""
        await asyncio.to_thread(self._handle.seek, start)
        left = length
        while left > 0:
            block = await asyncio.to_thread(self._handle.read, min(left, BLOCK_BYTES))
            if not block:
                return
            left -= len(block)
            yield block

    async def close(self) -> None:
        """See :class:`KeptSound`."""
        await asyncio.to_thread(self._handle.close)
