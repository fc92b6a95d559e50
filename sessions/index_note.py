"""A note in the data folder: the index lacks calls, or has some that it should not.

Whoever could not put something into the index puts it down, the server or a command beside it.
The server goes through the store and the journals, and takes it away when it is done. That of a
command is a file of its own: the server knows what it could not write itself, and nothing of
what a command could not.

    index_incomplete    the server's; taken away once what it says is no longer so
    index_outdated      a command's; taken away only to go through the store
"""

import asyncio
import contextlib
from pathlib import Path

_FILE = "index_incomplete"
_OUTSIDE_FILE = "index_outdated"


class IncompleteNote:
    """The note of one data folder, as its server uses it.

    Attributes:
        is_ours: This process has put it down, and knows what is lacking.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self.is_ours = False

    async def exists(self) -> bool:
        """Whether it has been put down, by anybody."""
        return await asyncio.to_thread(self._exists)

    async def is_from_outside(self) -> bool:
        """Whether anybody but this process has put one down."""
        return await asyncio.to_thread(self._is_from_outside)

    async def put_down(self) -> None:
        """Have the next start look for what this one could not write."""
        self.is_ours = True
        await asyncio.to_thread(_touch, self._data / _FILE)

    async def take_over(self) -> None:
        """Make what others ask for ours; what they ask for from now on is to be done anew."""
        await self.put_down()
        with contextlib.suppress(OSError):
            await asyncio.to_thread((self._data / _OUTSIDE_FILE).unlink, missing_ok=True)

    async def take_away(self) -> None:
        """The index is complete, as far as this process knows."""
        self.is_ours = False
        with contextlib.suppress(OSError):
            await asyncio.to_thread((self._data / _FILE).unlink, missing_ok=True)

    def _exists(self) -> bool:
        return any(_is_there(self._data / name) for name in (_FILE, _OUTSIDE_FILE))

    def _is_from_outside(self) -> bool:
        if _is_there(self._data / _OUTSIDE_FILE):
            return True
        return not self.is_ours and _is_there(self._data / _FILE)


def put_down_note(data: Path) -> None:
    """Have the server whose data folder that is mend its index, now or at its next start.

    For commands beside it. A disk that will not have it loses only that. Blocks.
    """
    _touch(data / _OUTSIDE_FILE)


def _is_there(path: Path) -> bool:
    """Also of a disk that fails: what it holds is looked for again the next time."""
    try:
        return path.exists()
    except OSError:
        return False


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.touch()
