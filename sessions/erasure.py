"""Erases what is kept of the calls of one telephone number, and proves it.

Recording and transcript go wholly. The record stays without what tells of a person: the number,
the carrier's ids, what was noted word for word. The proof names no number; it names calls by
our own ids, and every file by its hash before it was deleted.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import msgspec

from config.errors import StorageError
from config.phone import normalise_number
from sessions.deletion import (
    DeletedFile,
    delete_files,
    now_text,
    read_record,
    without,
    write_record,
)
from sessions.erasure_disk import (
    ErasedJournal,
    LocalFile,
    Pending,
    answered_of,
    erase_journals,
    erase_reports,
    journals_of,
    reports_of,
    same_number,
)
from sessions.record import CallRecord, CarrierRecording, DegradedRecord, NoticeRecord
from sessions.record_lock import RecordLock
from sessions.retention import OnChanged
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


class ErasureProof(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, when, and what could not be.

    Attributes:
        complete: Nothing of the number is left that this server knows of.
        reports: Files of reports to others that were not delivered yet, notes of recordings
            that were still to be fetched from the carrier, and notes of calls that a dead
            process had answered.
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

    A server that uses the same data folder may run: each record is changed under its lock.
    """

    def __init__(
        self, storage: Storage, data: Path, *, on_changed: OnChanged | None = None
    ) -> None:
        self._storage = storage
        self._data = data
        self._on_changed = on_changed
        self._changing = RecordLock(data)

    async def find(self, number: str) -> list[str]:
        """What would be erased: keys of records, journals, and reports on this server's disk.

        What cannot be read, and may be the number's, is named with the reason.

        Raises:
            ConfigError: It is no telephone number.
            StorageError: The records cannot be listed.
        """
        wanted, found, ids, data = normalise_number(number), list[str](), set[str](), self._data
        async for info in self._records():
            try:
                record = await read_record(self._storage, info.key)
            except StorageError as error:
                found.append(f"{info.key} ({error.message})")
                continue
            if record is not None and _sides(record, wanted):
                found.append(info.key)
                ids.add(record.session_id)
        for folder, reason in await asyncio.to_thread(journals_of, data / "journal", wanted):
            found.append(f"journal/{folder.name}" + (f" ({reason})" if reason else ""))
            ids.add(folder.name)
        reports, unread = await asyncio.to_thread(reports_of, data, wanted, ids, frozenset[str]())
        notes, rings = await asyncio.to_thread(answered_of, data, wanted)
        reports, unread = reports + notes, unread + rings
        found += [str(path.relative_to(data)) for path in reports]
        return found + [f"{each.what} ({each.reason})" for each in unread]

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
        # What becomes a journal first, then journals: one that is stored meanwhile is found
        # among the records.
        notes, rings = await asyncio.to_thread(answered_of, self._data, wanted)
        answered = await asyncio.to_thread(erase_reports, self._data, notes)
        pending += rings
        journals, left = await asyncio.to_thread(erase_journals, self._data / "journal", wanted)
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
        spared = {Path(each.what).name for each in left}
        paths, unread = await asyncio.to_thread(reports_of, self._data, wanted, ids, spared)
        reports = await asyncio.to_thread(erase_reports, self._data, paths)
        pending += unread
        proof = ErasureProof(
            erasure_id=str(uuid4()),
            begun_at=begun_at,
            ended_at=now_text(),
            complete=not pending,
            calls=calls,
            journals=journals,
            reports=answered + reports,
            pending=pending,
        )
        key = f"erasures/{begun_at[:10].replace('-', '/')}/{proof.erasure_id}.json"
        data = msgspec.json.encode(proof)
        await self._storage.put_bytes("transcripts", key, data, "application/json")
        return proof, key

    def _records(self) -> AsyncIterator[ObjectInfo]:
        return self._storage.list_objects("transcripts", RECORDS)

    async def _erase_call(self, key: str, wanted: str) -> ErasedCall | None:
        record = await read_record(self._storage, key)
        if record is None or not _sides(record, wanted):
            return None
        async with self._changing:
            return await self._erase_locked(key, wanted)

    async def _erase_locked(self, key: str, wanted: str) -> ErasedCall | None:
        # Read anew: others may have changed it since.
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
    return {side for side, number in numbers.items() if same_number(number, wanted)}
