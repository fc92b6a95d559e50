"""The folder of journals, as the keeper sees it: which wait to be finished, and whose they are.

A journal belongs to whoever holds the lock on its media file: the writer while the call lives,
then the keeper that finishes it. The system drops the lock when a process dies.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from loguru import logger

from sessions.built_files import remove_clear
from sessions.journal_format import GONE_PREFIX, MEDIA_NAME, NEW_PREFIX
from storage.whole_files import sync_folder

#: Journals that nothing can be made of are put aside under this name, never deleted.
BROKEN_PREFIX = ".broken-"

_ABANDONED_SECONDS = 60.0


class JournalBusyError(Exception):
    """The journal belongs to a live call or to another process."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Own the journal in ``folder`` for a while.

    Raises:
        JournalBusyError: Someone else does.
        FileNotFoundError: There is no such journal.
    """
    handle = os.open(folder / MEDIA_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalBusyError(folder.name) from None
        if not folder.exists():
            raise FileNotFoundError(folder)  # Finished by someone else in between.
        yield
    finally:
        os.close(handle)


def unfinished(root: Path) -> list[Path]:
    """Journals under ``root`` that nobody owns, oldest first.

    Clears away half-removed ones, and what lies in the clear beside a sealed one.
    """
    return [folder for _, folder in unfinished_since(root)]


def unfinished_since(root: Path) -> list[tuple[float, Path]]:
    """The same, each with the wall clock of its call's end."""
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(FileNotFoundError):
        for entry in root.iterdir():
            with contextlib.suppress(OSError, JournalBusyError):
                if entry.name.startswith(GONE_PREFIX):
                    shutil.rmtree(entry, ignore_errors=True)
                elif entry.name.startswith(NEW_PREFIX):
                    _clear_abandoned(entry)
                elif _is_session(entry.name) and entry.is_dir():
                    with locked(entry):
                        remove_clear(entry)
                        found.append((ended_at(entry), entry))
                elif entry.name.startswith(BROKEN_PREFIX):
                    remove_clear(entry)
    return sorted(found)


def ended_at(folder: Path) -> float:
    """Wall clock of the last sound of the journal in ``folder``: when its call ended.

    Raises:
        FileNotFoundError: There is no such journal.
    """
    return (folder / MEDIA_NAME).stat().st_mtime


def remove(folder: Path) -> None:
    """Remove a finished journal; a crash in the middle leaves nothing that looks like one.

    Nor does a machine that loses its power: a part of it that came back would be taken for a
    call that broke off.
    """
    gone = folder.with_name(GONE_PREFIX + folder.name)
    folder.rename(gone)
    with contextlib.suppress(OSError):  # The call is safe all the same.
        sync_folder(folder.parent)
    shutil.rmtree(gone, ignore_errors=True)


def set_aside(folder: Path, why: object = "no recording could be made of it") -> None:
    """Keep a journal that cannot be used out of the way, for a person to look at."""
    aside = folder.with_name(BROKEN_PREFIX + folder.name)
    folder.rename(aside)
    logger.error("ALERT: a journal is kept aside as {} for a person to look at: {}", aside, why)


def _clear_abandoned(entry: Path) -> None:
    """A journal that was never more than begun holds nothing."""
    if time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS:
        with locked(entry):
            shutil.rmtree(entry, ignore_errors=True)


def _is_session(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
