"""Erases what is kept of the calls of one telephone number, and proves it.

Recording and transcript go wholly. The record stays without what tells of a person: the number,
the carrier's ids, what was noted word for word. The proof names no number; it names calls by
our own ids, and every file by its hash before it was deleted.
"""

import asyncio
import contextlib
import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import msgspec

from bot.events import CallStarted
from config.errors import ConfigError, StorageError
from config.phone import normalise_number
from sessions.carrier_notes import FOLDER as CARRIER_NOTES
from sessions.deletion import (
    DeletedFile,
    delete_files,
    now_text,
    read_record,
    without,
    write_record,
)
from sessions.journal_format import read_events, read_header
from sessions.record import CallRecord, CarrierRecording, DegradedRecord, NoticeRecord
from sessions.retention import OnChanged
from sessions.spool import BROKEN_PREFIX, JournalBusyError, locked, remove
from storage.base import ObjectInfo, Storage

RECORDS = "records/"
#: What a record loses, besides its files.
PERSONAL = (
    "from_number or to_number",
    "carrier_call_id",
    "carrier_stream_id",
    "carrier_recording.recording_id",
    "labels.subject",
    "notices.detail",
    "degraded.detail",
)


class LocalFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file on this server's disk that is no more."""

    name: str
    size_bytes: int
    sha256: str


class ErasedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was stored.

    Attributes:
        record_sha256_before: Of the record as it was.
        record_sha256_after: Of the record that is left.
    """

    session_id: str
    started_at: str
    record_key: str
    deleted: list[DeletedFile]
    record_sha256_before: str
    record_sha256_after: str


class ErasedJournal(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waited on this server's disk to be stored, and now never will be."""

    session_id: str
    deleted: list[LocalFile]


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be erased now: run it again."""

    what: str
    reason: str


class ErasureProof(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, when, and what could not be.

    Attributes:
        complete: Nothing of the number is left that this server knows of.
        reports: Files of reports to others that were not delivered yet, and notes of recordings
            that were still to be fetched from the carrier.
    """

    erasure_id: str
    begun_at: str
    ended_at: str
    complete: bool
    calls: list[ErasedCall]
    journals: list[ErasedJournal]
    reports: list[LocalFile]
    pending: list[Pending]
    removed_from_records: tuple[str, ...] = PERSONAL
    version: int = 1


class NumberEraser:
    """Erases by number.

    Args:
        storage: Where calls are.
        data: The data folder: of journals and of reports to others.
        on_changed: Awaited after each record's change, to keep an index right.
    """

    def __init__(
        self, storage: Storage, data: Path, *, on_changed: OnChanged | None = None
    ) -> None:
        self._storage = storage
        self._data = data
        self._on_changed = on_changed

    async def find(self, number: str) -> list[str]:
        """The keys of the records of a number's calls, and the names of its journals."""
        wanted = normalise_number(number)
        keys = [info.key async for info in self._records() if await self._is_of(info.key, wanted)]
        journals = await asyncio.to_thread(_journals_of, self._data / "journal", wanted)
        return [*keys, *(f"journal/{folder.name}" for folder, reason in journals if not reason)]

    async def erase(self, number: str) -> tuple[ErasureProof, str]:
        """Erase everything of a number, and store the proof.

        Returns:
            The proof, and its key in the kind ``transcripts``.

        Raises:
            ConfigError: It is no telephone number.
            StorageError: The records cannot be listed, or the proof cannot be stored.
        """
        wanted = normalise_number(number)
        begun_at, pending = now_text(), list[Pending]()
        # Journals first: one that is stored meanwhile is found among the records.
        journals, left = await asyncio.to_thread(_erase_journals, self._data / "journal", wanted)
        pending += left
        if self._on_changed is not None:
            for journal in journals:
                await self._on_changed(journal.session_id, "", None)
        calls: list[ErasedCall] = []
        async for info in self._records():
            try:
                if (call := await self._erase_call(info.key, wanted)) is not None:
                    calls.append(call)
            except StorageError as error:
                pending.append(Pending(what=info.key, reason=error.message))
        ids = {call.session_id for call in calls} | {journal.session_id for journal in journals}
        reports = await asyncio.to_thread(_erase_reports, self._data / "outbox", ids)
        reports += await asyncio.to_thread(_erase_reports, self._data / CARRIER_NOTES, ids)
        proof = ErasureProof(
            erasure_id=str(uuid4()),
            begun_at=begun_at,
            ended_at=now_text(),
            complete=not pending,
            calls=calls,
            journals=journals,
            reports=reports,
            pending=pending,
        )
        key = f"erasures/{begun_at[:10].replace('-', '/')}/{proof.erasure_id}.json"
        data = msgspec.json.encode(proof)
        await self._storage.put_bytes("transcripts", key, data, "application/json")
        return proof, key

    def _records(self) -> AsyncIterator[ObjectInfo]:
        return self._storage.list_objects("transcripts", RECORDS)

    async def _is_of(self, key: str, wanted: str) -> bool:
        record = await read_record(self._storage, key)
        return record is not None and bool(_sides(record, wanted))

    async def _erase_call(self, key: str, wanted: str) -> ErasedCall | None:
        record = await read_record(self._storage, key)
        if record is None or not _sides(record, wanted):
            return None
        before = await self._storage.sha256("transcripts", key)
        deleted = await delete_files(self._storage, record, "record")
        # Last, so that a try that breaks off is found by its number again.
        left = impersonal(without(record, "record"), wanted)
        after = await write_record(self._storage, key, left)
        if self._on_changed is not None:
            await self._on_changed(record.session_id, key, left)
        return ErasedCall(
            session_id=record.session_id,
            started_at=record.started_at,
            record_key=key,
            deleted=deleted,
            record_sha256_before=before,
            record_sha256_after=after,
        )


def impersonal(record: CallRecord, wanted: str) -> CallRecord:
    """The record without what tells of the person with that number."""
    sides = _sides(record, wanted)
    return msgspec.structs.replace(
        record,
        from_number=None if "from" in sides else record.from_number,
        to_number=None if "to" in sides else record.to_number,
        carrier_call_id=None,
        carrier_stream_id=None,
        carrier_recording=_impersonal(record.carrier_recording),
        labels={name: value for name, value in record.labels.items() if name != "subject"},
        notices=[NoticeRecord(at_ms=n.at_ms, name=n.name, detail="") for n in record.notices],
        degraded=[
            DegradedRecord(
                at_ms=d.at_ms, stage=d.stage, kind=d.kind, provider=d.provider, detail=""
            )
            for d in record.degraded
        ],
        erased_at=now_text(),
    )


def _impersonal(theirs: CarrierRecording | None) -> CarrierRecording | None:
    if theirs is None:
        return None
    return msgspec.structs.replace(theirs, recording_id=None, detail="")


def _sides(record: CallRecord, wanted: str) -> set[str]:
    numbers = {"from": record.from_number, "to": record.to_number}
    return {side for side, number in numbers.items() if _same(number, wanted)}


def _same(number: str | None, wanted: str) -> bool:
    """Carriers write numbers in several ways: compared is what they mean."""
    if not number:
        return False
    try:
        return normalise_number(number) == wanted
    except ConfigError:
        return number == wanted


def _journals_of(root: Path, wanted: str) -> list[tuple[Path, str]]:
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
        if any(_same(number, wanted) for number in numbers):
            found.append((folder, ""))
    return found


def _erase_journals(root: Path, wanted: str) -> tuple[list[ErasedJournal], list[Pending]]:
    erased, pending = list[ErasedJournal](), list[Pending]()
    for folder, reason in _journals_of(root, wanted):
        name = folder.name.removeprefix(BROKEN_PREFIX)
        try:
            if reason:
                raise JournalBusyError(reason)
            with locked(folder):
                files = [_described(path, folder) for path in _files(folder)]
                if folder.name.startswith(BROKEN_PREFIX):
                    shutil.rmtree(folder)
                else:
                    remove(folder)
        except FileNotFoundError:
            continue  # It was stored in between; it is found among the records.
        except (JournalBusyError, OSError) as error:
            why = reason or f"the call is live or is being stored ({type(error).__name__})"
            pending.append(Pending(what=f"journal/{folder.name}", reason=why))
        else:
            erased.append(ErasedJournal(session_id=name, deleted=files))
    return erased, pending


def _erase_reports(root: Path, session_ids: set[str]) -> list[LocalFile]:
    """Reports and notes bear the call's id in their name, those refused for good too."""
    erased = []
    for path in _files(root):
        if any(session_id in path.name for session_id in session_ids):
            with contextlib.suppress(FileNotFoundError):
                erased.append(_described(path, root))
                path.unlink()
    return erased


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _described(path: Path, root: Path) -> LocalFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return LocalFile(
        name=str(path.relative_to(root)), size_bytes=path.stat().st_size, sha256=digest
    )
