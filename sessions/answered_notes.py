"""Notes of calls that were answered and have no journal yet, as small files in the data folder.

    answered/<process uuid>/lock                  held while the process lives
    answered/<process uuid>/<session uuid>.json   the header of the journal that is to come

Written without being synced, as journals are: they outlive the process, not the machine.
Everything here blocks: run it in a thread.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from sessions.journal_format import HEADER_VERSION, JournalHeader, encode_json
from sessions.journal_seal import JournalKey, check_version
from sessions.sealed_file import sealed, unsealed

FOLDER: Final = "answered"
LOCK_NAME: Final = "lock"
_NEW: Final = ".new-"
_PART: Final = ".part-"


class OwnedNotes:
    """A folder of notes that this process owns: its own, or that of a dead one.

    Args:
        path: The folder.
        handle: Of its lock, held.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle

    def notes(self) -> list[Path]:
        """Every note, in order of their names."""
        return sorted(self.path.glob("[!.]*.json"))

    def let_go(self) -> None:
        """Own it no more; one without notes is removed."""
        with contextlib.suppress(OSError):
            if not self.notes():
                shutil.rmtree(self.path)
        os.close(self._handle)


def own_new(root: Path) -> OwnedNotes:
    """A folder for this process.

    Raises:
        OSError: The disk would not have it.
    """
    name = str(uuid4())
    # Seen by others only once it is locked.
    new = root / f"{_NEW}{name}"
    new.mkdir(mode=0o700, parents=True)
    handle = -1
    try:
        handle = os.open(new / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(root / name)
    except OSError:
        if handle >= 0:
            os.close(handle)
        shutil.rmtree(new, ignore_errors=True)
        raise
    return OwnedNotes(root / name, handle)


def is_owned(path: Path) -> bool:
    """Whether a process that lives owns the folder of notes."""
    try:
        handle = os.open(path / LOCK_NAME, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def own_abandoned(root: Path) -> Iterator[OwnedNotes]:
    """The folders of dead processes, each owned by the time it is given."""
    if not root.is_dir():
        return
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            yield OwnedNotes(path, handle)


def forget_note(root: Path, session_id: str) -> None:
    """Remove the note of a call, in whichever process's folder it lies.

    Raises:
        OSError: The disk would not let it go.
    """
    for path in root.glob(f"[!.]*/{session_id}.json"):
        path.unlink(missing_ok=True)


def write_note(path: Path, header: JournalHeader, key: JournalKey | None) -> None:
    """Put a note down, wholly or not at all.

    Raises:
        OSError: The disk would not have it.
    """
    part = path.with_name(f"{_PART}{path.name}")
    part.write_bytes(sealed(key, path.name, encode_json(header)))
    part.replace(path)


def read_note(path: Path) -> JournalHeader:
    """What a note holds.

    Raises:
        FileNotFoundError: There is none any more.
        msgspec.MsgspecError: It is no note.
        JournalKeyError: It is sealed with a key that is not known here.
        JournalVersionError: A newer version of the server wrote it.
        StorageError: It is sealed, and was changed.
        OSError: It cannot be read.
    """
    data = unsealed(path.name, path.read_bytes())
    check_version(data, HEADER_VERSION, f"note {path.name}")
    return msgspec.json.decode(data, type=JournalHeader)
