"""The reports of one receiver on disk. Everything here blocks: run it in a thread.

<outbox>/<receiver>/<name>.json           waits
<outbox>/<receiver>/rejected/<name>.json  refused for good; beside it why, as <name>.txt
"""

import contextlib
import heapq
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sessions.journal_seal import JournalKey
from sessions.outbox.report import Report, lane_of
from sessions.sealed_file import sealed, unsealed
from storage.whole_files import PRIVATE, make_folder, sync_folder

REJECTED = "rejected"
_PART = ".part-"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What waits.

    Attributes:
        first: The names that come first, in order, and when each was written (wall clock,
            seconds); not all where there are many.
        count: All of them.
    """

    first: tuple[tuple[str, float], ...]
    count: int


class ReportFolder:
    """Where one receiver's reports wait.

    Args:
        path: Made when it is first written to.
        key: Seals what is written, where given.
    """

    def __init__(self, path: Path, key: JournalKey | None = None) -> None:
        self.path = path
        self._key = key

    def write(self, name: str, report: Report) -> bool:
        """Put a report down, whole; one of that name is replaced. Its name waits for :meth:`sync`.

        Returns:
            Whether there was none of that name.

        Raises:
            OSError: The disk would not have it; what was there before still is.
        """
        make_folder(self.path, PRIVATE)
        target = self.path / name
        is_new = not target.exists()
        write_whole(target, sealed(self._key, name, msgspec.json.encode(report)))
        return is_new

    def sync(self) -> None:
        """Have what was put down outlive the machine.

        Raises:
            OSError: The disk may lose it; it lies there even so.
        """
        sync_folder(self.path)

    def read(self, name: str) -> Report:
        """A report that waits.

        Raises:
            FileNotFoundError: It waits no more.
            msgspec.MsgspecError: It is no report.
            JournalKeyError: It is sealed with a key that is not known here.
            StorageError: It is sealed, and was changed.
            OSError: It cannot be read.
        """
        return read_report(self.path / name)

    def remove(self, name: str) -> None:
        """It has been delivered."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / name).unlink()

    def reject(self, name: str, reason: str) -> None:
        """Put a report that nobody will take aside, with the reason, for a person to look at."""
        aside = self.path / REJECTED
        make_folder(aside, PRIVATE)
        with contextlib.suppress(FileNotFoundError):
            write_durably((aside / name).with_suffix(".txt"), f"{reason}\n".encode())
            os.replace(self.path / name, aside / name)

    def rejected(self) -> int:
        """How many lie aside."""
        with contextlib.suppress(FileNotFoundError):
            return sum(entry.name.endswith(".json") for entry in os.scandir(self.path / REJECTED))
        return 0

    def look(self, most: int, without: Collection[str] = ()) -> Inventory:
        """What waits, at most so many names of it.

        Args:
            without: Names that do not count.
        """
        count = 0

        def waiting() -> Iterator[tuple[str, float]]:
            nonlocal count
            with contextlib.suppress(FileNotFoundError), os.scandir(self.path) as entries:
                for entry in entries:
                    if entry.name in without or lane_of(entry.name) is None:
                        continue
                    try:
                        written_at = entry.stat().st_mtime
                    except FileNotFoundError:  # Another process took it away: only this one.
                        continue
                    count += 1
                    yield entry.name, written_at

        first = tuple(heapq.nsmallest(most, waiting()))
        return Inventory(first, count)

    def clear_parts(self) -> None:
        """Remove what an earlier process began to write and did not finish."""
        for part in self.path.glob(f"{_PART}*"):
            part.unlink(missing_ok=True)


def read_report(path: Path) -> Report:
    """A report, sealed or not, that waits or was refused; raises as :meth:`ReportFolder.read`."""
    return msgspec.json.decode(unsealed(path.name, path.read_bytes()), type=Report)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that it is there wholly or not at all, also after the power fails.

    Raises:
        OSError: The disk would not have it, or may lose it.
    """
    write_whole(path, data)
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there wholly or not at all; only its folder is not synced yet.

    Raises:
        OSError: The disk would not have it; what was there before still is.
    """
    part = path.with_name(f"{_PART}{path.name}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
