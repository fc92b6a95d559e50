"""Files that appear under their name only when they are whole and on the disk.

Each is written in the folder ``.parts`` of its root, where no key can lead, synced, and put in
its place; then its folder is synced, and the folders that had to be made for it.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

#: Mode of a folder that only its owner can look into.
PRIVATE = 0o700

_PARTS = ".parts"
#: Far longer than any file takes to be written, in seconds.
_ABANDONED_SECONDS = 24 * 3600


@contextlib.contextmanager
def part_in(root: Path, write: Callable[[BinaryIO], object]) -> Iterator[Path]:
    """A synced file that ``write`` has filled; gone afterwards, unless :func:`place` took it.

    Args:
        root: On the file system where the file shall lie.

    Raises:
        OSError: What the disk answered.
    """
    parts = root / _PARTS
    make_folder(parts)
    handle, name = tempfile.mkstemp(dir=parts)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def place(part: Path, path: Path) -> None:
    """Put a part in its place, in one step, and see that this step is on the disk."""
    make_folder(path.parent)
    os.replace(part, path)
    sync_folder(path.parent)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it, each synced: a file is lost with its folder's name.

    Args:
        mode: Of this folder, less the process's mask.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode, exist_ok=True)
    sync_folder(folder.parent)


def sweep(root: Path) -> None:
    """Remove the parts that a process which was killed has left behind, a day later."""
    oldest = time.time() - _ABANDONED_SECONDS
    with contextlib.suppress(OSError):
        for part in (root / _PARTS).iterdir():
            if part.lstat().st_mtime < oldest:
                part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder outlive the machine."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
