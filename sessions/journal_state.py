"""Whether a journal holds all that its call handed over, as far as that could be told.

A disk that is full cannot be told anything that needs room, and a process that is killed tells
nothing. So each journal has one small file of fixed size, made with it and changed in place:
``failing`` while something waits that the disk would not have, or was lost; and how long the
media file was when the call ended. Journals of older versions have none.
"""

import contextlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATE_NAME: Final = "state.bin"
_LAYOUT: Final = struct.Struct("<BQ")


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the writer of a journal said last.

    Attributes:
        failing: Something is missing that had been handed over.
        media_bytes: Size of the media file at the end of the call; 0 before.
    """

    failing: bool = False
    media_bytes: int = 0


def write_state(folder: Path, state: JournalState) -> None:
    """Change the state in place, which needs no room on the disk.

    Raises:
        OSError: The disk would not have even that.
    """
    handle = os.open(folder / STATE_NAME, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(handle, _LAYOUT.pack(state.failing, state.media_bytes), 0)
    finally:
        os.close(handle)


def read_state(folder: Path) -> JournalState:
    """What is written; nothing is amiss where there is no such file."""
    with contextlib.suppress(FileNotFoundError, struct.error):
        failing, media_bytes = _LAYOUT.unpack((folder / STATE_NAME).read_bytes())
        return JournalState(bool(failing), media_bytes)
    return JournalState()
