"""Which recordings of a carrier's are still to be fetched, as small files in the data folder.

    carrier/<session uuid>.json     until the recording is stored, or never will be
    carrier/.part-<session uuid>    a file that is being fetched

Everything here blocks: run it in a thread.
"""

import contextlib
from pathlib import Path

import msgspec

from sessions.outbox.folder import write_durably
from storage.whole_files import PRIVATE, make_folder

FOLDER = "carrier"
_PART = ".part-"


class CarrierNote(msgspec.Struct, frozen=True, kw_only=True):
    """One recording that a carrier makes.

    Attributes:
        record_key: Of the call's record, in the kind ``transcripts``; there is none at first.
        began_at: Wall clock, seconds since 1970.
        recording_id: The carrier's; empty until it has said so.
        trouble: Why there is none.
    """

    session_id: str
    record_key: str
    began_at: float
    recording_id: str = ""
    trouble: str = ""


def write_note(folder: Path, note: CarrierNote) -> None:
    """Put a note down so that it outlives the machine.

    Raises:
        OSError: The disk would not have it.
    """
    make_folder(folder, PRIVATE)
    write_durably(folder / f"{note.session_id}.json", msgspec.json.encode(note))


def read_note(folder: Path, session_id: str) -> CarrierNote | None:
    """The note of a call; None where there is none (any more), or nothing that can be read.

    Raises:
        OSError: The disk would not give it.
    """
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / f"{session_id}.json").read_bytes(), type=CarrierNote)
    return None


def remove_note(folder: Path, session_id: str) -> None:
    """Nothing is to be fetched any more."""
    (folder / f"{session_id}.json").unlink(missing_ok=True)


def noted(folder: Path) -> list[str]:
    """The calls that notes are of; clears away what an earlier process had begun to fetch."""
    if not folder.is_dir():
        return []
    for part in folder.glob(f"{_PART}*"):
        part.unlink(missing_ok=True)
    return sorted(path.stem for path in folder.glob("[!.]*.json"))


def part_path(folder: Path, session_id: str) -> Path:
    """Where a file is put while it is fetched."""
    return folder / f"{_PART}{session_id}"
