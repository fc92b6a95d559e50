"""Finds and erases what this server's disk holds of a number: journals, reports to others, notes.

All of it blocks: run it in a thread.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bot.events import CallStarted
from config.errors import ConfigError, StorageError
from config.phone import normalise_number
from sessions.answered_notes import FOLDER as ANSWERED
from sessions.answered_notes import is_owned, read_note
from sessions.carrier_notes import FOLDER as CARRIER_NOTES
from sessions.deletion import DeletedFile
from sessions.journal_format import JournalHeader, read_events, read_header
from sessions.outbox.folder import read_report
from sessions.outbox.report import NAME
from sessions.spool import BROKEN_PREFIX, JournalBusyError, locked, remove

JOURNAL = "journal"
OUTBOX = "outbox"
EraseStored = Callable[[JournalHeader], list[DeletedFile]]


class LocalFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file on this server's disk that is no more."""

    name: str
    size_bytes: int
    sha256: str


class ErasedJournal(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waited on this server's disk to be stored, and now never will be.

    Attributes:
        stored: Files that a try to store it had brought into the store already.
    """

    session_id: str
    deleted: list[LocalFile]
    stored: list[DeletedFile] = []


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be erased now: run it again."""

    what: str
    reason: str


@dataclass(slots=True)
class JournalsErased:
    """What became of the journals of a number.

    Attributes:
        reports: Files of the erased calls' reports and notes.
        busy: Calls that are live or are being stored.
        unread: Calls whose journal may be the number's, and cannot be read.
        may_be_stored: Calls of both kinds whose journal still waits to be stored, so that what
            is told of them is to come. One that was kept aside is stored no more.
    """

    erased: list[ErasedJournal] = field(default_factory=list)
    reports: list[LocalFile] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    may_be_stored: set[str] = field(default_factory=set)


def same_number(number: str | None, wanted: str) -> bool:
    """Carriers write numbers in several ways: compared is what they mean."""
    if not number:
        return False
    try:
        return normalise_number(number) == wanted
    except ConfigError:
        return number == wanted


def journals_of(root: Path, wanted: str) -> list[tuple[Path, str]]:
    """Journals of a number, also those kept aside; and those nobody can tell of, with why."""
    if not root.is_dir():
        return []
    found: list[tuple[Path, str]] = []
    for folder in sorted(root.iterdir()):
        name = folder.name.removeprefix(BROKEN_PREFIX)
        if not folder.is_dir() or name.startswith("."):
            continue
        try:
            header = read_header(folder)
            events = read_events(folder)
        # A header that is damaged, or sealed with a key that is not known here.
        except (OSError, StorageError, msgspec.MsgspecError) as error:
            if (folder / "header.json").exists() or folder.name.startswith(BROKEN_PREFIX):
                found.append((folder, f"it cannot be read: {type(error).__name__}"))
            continue
        numbers = {header.from_number, header.to_number}
        for event in events:
            if isinstance(event, CallStarted):
                numbers |= {event.from_number, event.to_number}
        if any(same_number(number, wanted) for number in numbers):
            found.append((folder, ""))
    return found


def erase_journals(data: Path, wanted: str, erase_stored: EraseStored) -> JournalsErased:
    """Erase what is not stored yet of a number's calls, with the reports of these.

    Args:
        erase_stored: Takes what a try that broke off has brought into the store out of it; asked
            while nobody can store the call. Where it raises a StorageError, the journal stays.
    """
    done = JournalsErased()
    for folder, reason in journals_of(data / JOURNAL, wanted):
        name = folder.name.removeprefix(BROKEN_PREFIX)
        what, is_aside = f"{JOURNAL}/{folder.name}", folder.name != name
        if reason:
            done.unread.add(name)
            if not is_aside:
                done.may_be_stored.add(name)
            done.pending.append(Pending(what=what, reason=reason))
            continue
        try:
            with locked(folder):
                # Before the journal: nothing else tells whose they are.
                stored = erase_stored(read_header(folder))
                done.reports += erase_session_files(data, name)
                files = [_described(path, folder) for path in _files(folder)]
                if is_aside:
                    shutil.rmtree(folder)
                else:
                    remove(folder)
        except FileNotFoundError:
            continue  # It was stored in between; it is found among the records.
        except (JournalBusyError, OSError, StorageError, msgspec.MsgspecError) as error:
            why = f"the call is live or is being stored ({type(error).__name__})"
            if isinstance(error, StorageError):
                why = error.message
            done.busy.add(name)
            done.may_be_stored.add(name)
            done.pending.append(Pending(what=what, reason=why))
        else:
            done.erased.append(ErasedJournal(session_id=name, deleted=files, stored=stored))
    return done


def journal_waits(data: Path, session_id: str) -> bool:
    """Whether a call has a journal, live or kept aside: what is still told of it is to come.

    A journal is renamed when its call is stored, so the one kept aside is looked for last.
    """
    folder = data / JOURNAL / session_id
    return folder.exists() or folder.with_name(BROKEN_PREFIX + session_id).exists()


def reports_of(
    data: Path, wanted: str, session_ids: Set[str], spared: Set[str]
) -> tuple[list[Path], list[Pending]]:
    """Reports and notes of a number's calls, those refused for good too.

    Args:
        data: The data folder.
        session_ids: Calls known to be the number's: their files bear the id in their name.
            Others are read, since a call that found no line has nothing but its reports.
        spared: Calls that cannot be erased now, and are told of whole or not at all.

    Returns:
        Their paths; and those that may be the number's, and cannot be read.
    """
    found, unread = list[Path](), list[Pending]()
    for path in sorted(_told(data)):
        if any(session_id in path.name for session_id in spared):
            continue
        try:
            if any(session_id in path.name for session_id in session_ids) or (
                _report_names(path, wanted)
            ):
                found.append(path)
        except FileNotFoundError:
            continue  # Delivered in between.
        except (OSError, StorageError, msgspec.MsgspecError) as error:
            why = f"it cannot be read: {type(error).__name__}"
            unread.append(Pending(what=str(path.relative_to(data)), reason=why))
    reasons = [path.with_suffix(".txt") for path in found if path.suffix == ".json"]
    found += [path for path in reasons if path not in found and path.exists()]
    return found, unread


def erase_session_files(data: Path, session_id: str) -> list[LocalFile]:
    """Erase the reports and notes that bear a call's id in their name."""
    return erase_reports(data, sorted(path for path in _told(data) if session_id in path.name))


def answered_of(data: Path, wanted: str) -> tuple[list[Path], list[Pending]]:
    """Notes of a number's calls that a dead process had answered.

    Returns:
        Their paths; and those that cannot be erased now: a server that runs has them, or they
        cannot be read.
    """
    found, left = list[Path](), list[Pending]()
    for path in sorted((data / ANSWERED).glob("[!.]*/[!.]*.json")):
        why = ""
        try:
            header = read_note(path)
            if not any(same_number(n, wanted) for n in (header.from_number, header.to_number)):
                continue
            if is_owned(path.parent):
                why = "the call has been answered and is about to begin"
        except FileNotFoundError:
            continue  # Its journal is there by now.
        except (OSError, StorageError, msgspec.MsgspecError) as error:
            why = f"it cannot be read: {type(error).__name__}"
        if why:
            left.append(Pending(what=str(path.relative_to(data)), reason=why))
        else:
            found.append(path)
    return found, left


def erase_reports(data: Path, paths: list[Path]) -> list[LocalFile]:
    """Remove reports and notes, and say what they were."""
    erased = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            described = _described(path, data)
            path.unlink()
            erased.append(described)
    return erased


def _told(data: Path) -> Iterator[Path]:
    """All reports and notes; they go while they are looked for, and there may be many."""
    for root in (data / OUTBOX, data / CARRIER_NOTES):
        for folder, _, names in os.walk(root):
            yield from (Path(folder, name) for name in names)


def _report_names(path: Path, wanted: str) -> bool:
    """Whether a report names the number; other files do not."""
    if not NAME.fullmatch(path.name):
        return False
    body = msgspec.json.decode(read_report(path).body)
    return any(same_number(text, wanted) for text in _texts(body))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _described(path: Path, root: Path) -> LocalFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return LocalFile(
        name=str(path.relative_to(root)), size_bytes=path.stat().st_size, sha256=digest
    )
