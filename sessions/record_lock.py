"""One change of a stored record at a time, whichever process of this data folder makes it.

A record is read, changed and written back as a whole. ``main.py erase`` does so beside a running
server: without a lock of both, a late notice would put an erased record back.
"""

import asyncio
import fcntl
import os
import weakref
from pathlib import Path
from typing import Final

from loguru import logger

from config.errors import StorageError

LOCK_NAME: Final = "records.lock"
#: How long another process may take for one record: a store that hangs has deadlines of its own.
PATIENCE_SECONDS: Final = 300.0
_FIRST_PAUSE_SECONDS: Final = 0.005
_LONGEST_PAUSE_SECONDS: Final = 0.2


class RecordLock:
    """Held while a stored record is changed; an asynchronous context manager.

    The system takes it back when the process dies. A disk that has no room for the file costs
    the exclusion of other processes, not the change.

    Args:
        data: The data folder that the processes share; made when first needed.
        patience_seconds: See :data:`PATIENCE_SECONDS`.
    """

    def __init__(self, data: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._path = data / LOCK_NAME
        self._patience_seconds = patience_seconds
        self._ours = asyncio.Lock()
        self._handle: _Handle | None = None
        self._warned = False

    async def __aenter__(self) -> None:
        """Wait for the lock, without holding up the loop.

        Raises:
            StorageError: Another process does not let go of it (``records_locked``).
        """
        await self._ours.acquire()
        try:
            await self._lock()
        except BaseException:
            self._ours.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        """Let go of it."""
        if self._handle is not None:
            fcntl.flock(self._handle.number, fcntl.LOCK_UN)
        self._ours.release()

    def locked(self) -> bool:
        """Whether this process holds it, or waits for it."""
        return self._ours.locked()

    async def _lock(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._patience_seconds
        pause = _FIRST_PAUSE_SECONDS
        while not await self._try():
            if asyncio.get_running_loop().time() >= deadline:
                raise StorageError(
                    "records_locked",
                    f"another process holds {self._path} for {self._patience_seconds:.0f} s: is "
                    "an erase under way that hangs?",
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _try(self) -> bool:
        try:
            # Somebody may have deleted the file: others would lock another by its name.
            if self._handle is None or not os.fstat(self._handle.number).st_nlink:
                await asyncio.to_thread(self._open)
            assert self._handle is not None
            fcntl.flock(self._handle.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if not self._warned:
                self._warned = True
                logger.warning(
                    "{} cannot be used: do not run erase beside this: {}", self._path, error
                )
        return True

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = _Handle(self._path)


class _Handle:
    """The open file, closed with whoever has it."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self.number)
