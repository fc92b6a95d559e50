"""Where a call's files lie while they are made and sent: in its journal's folder, or nowhere.

    <journal>/built/     of a journal in the clear: kept for the next try where sending fails
    no name at all       of a sealed journal: the system takes such a file back when it is closed,
                         also where the process is killed

All of it blocks: run it in a thread.
"""

import contextlib
import os
import shutil
import tempfile
import weakref
from abc import ABC, abstractmethod
from pathlib import Path, PosixPath

from sessions.journal_seal import is_sealed

FOLDER = "built"


class BuiltFiles(ABC):
    """The files of one call.

    Attributes:
        lasting: They are still there at the next try.
    """

    lasting: bool

    @abstractmethod
    def path(self, name: str) -> Path:
        """Where the file of that name is to be written, and read again.

        Raises:
            OSError: The disk would not have it.
        """

    @abstractmethod
    def close(self) -> None:
        """This try is over. Whoever still has a path can go on with it."""


class NamedFiles(BuiltFiles):
    """In the folder of a journal that lies in the clear itself."""

    lasting = True

    def __init__(self, journal: Path) -> None:
        self._folder = journal / FOLDER

    def path(self, name: str) -> Path:
        """See :class:`BuiltFiles`."""
        self._folder.mkdir(exist_ok=True)
        return self._folder / name

    def close(self) -> None:
        """See :class:`BuiltFiles`; they stay for the next try."""


class _OpenPath(PosixPath):
    """The path of a file without a name, which stays open as long as anyone has its path.

    A thread that nobody waits for any more may open it late: by then its number must not have
    become another file's.
    """

    handle: "_Handle"


class _Handle:
    def __init__(self, folder: Path) -> None:
        with tempfile.TemporaryFile(dir=folder) as file:
            self.number = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.number)


class NamelessFiles(BuiltFiles):
    """On the disk of a sealed journal, under no name."""

    lasting = False

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._handles: dict[str, _Handle] = {}

    def path(self, name: str) -> Path:
        """See :class:`BuiltFiles`."""
        handle = self._handles.get(name)
        if handle is None:
            handle = self._handles[name] = _Handle(self._journal)
        path = _OpenPath(f"/dev/fd/{handle.number}")
        path.handle = handle
        return path

    def close(self) -> None:
        """See :class:`BuiltFiles`."""
        self._handles.clear()


def built_files(journal: Path) -> BuiltFiles:
    """Where the files of the journal in ``journal`` are made."""
    return NamelessFiles(journal) if is_sealed(journal) else NamedFiles(journal)


def remove_clear(journal: Path) -> None:
    """Take away what a sealed journal has in the clear, left by a server of an older version."""
    with contextlib.suppress(OSError):
        if is_sealed(journal) and (journal / FOLDER).is_dir():
            shutil.rmtree(journal / FOLDER, ignore_errors=True)
