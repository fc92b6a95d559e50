"""A note in the data folder: the index lacks calls, or has some that it should not.

Whoever could not put something into the index puts it down, the server or a command beside it.
The server goes through the store and the journals, and takes it away when it is done.
"""

import asyncio
import contextlib
from pathlib import Path

_FILE = "index_incomplete"


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
        return await asyncio.to_thread((self._data / _FILE).exists)

    async def put_down(self) -> None:
        """Have the next start look for what this one could not write."""
        self.is_ours = True
        await asyncio.to_thread(put_down_note, self._data)

    async def take_away(self) -> None:
        """The index is complete."""
        self.is_ours = False
        with contextlib.suppress(OSError):
            await asyncio.to_thread((self._data / _FILE).unlink, missing_ok=True)


def put_down_note(data: Path) -> None:
    """Have the server whose data folder that is mend its index, now or at its next start.

    A disk that will not have it loses only that. Blocks.
    """
    with contextlib.suppress(OSError):
        (data / _FILE).touch()
