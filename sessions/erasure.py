"""Erases what is kept of the calls of one telephone number, and proves it.

Recording and transcript go wholly. The record stays without what tells of a person: the number,
the carrier's ids, what was noted word for word. The proof names no number; it names calls by
our own ids, and every file by its hash before it was deleted.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import msgspec

from config.errors import StorageError
from config.phone import normalise_number
from sessions.deletion import (
    DeletedFile,
    delete_files,
    delete_object,
    now_text,
    read_record,
    without,
    write_record,
)
from sessions.erasure_disk import (
    JOURNAL,
    ErasedJournal,
    JournalsErased,
    LocalFile,
    Pending,
    answered_of,
    erase_journals,
    erase_reports,
    erase_session_files,
    journal_waits,
    journals_of,
    reports_of,
    same_number,
)
from sessions.index_changes import ChangeRow, ForgetRows, RowsForgotten
from sessions.journal_format import RECORDS, JournalHeader
from sessions.record import CallRecord, CarrierRecording, DegradedRecord, NoticeRecord
from sessions.record_lock import RecordLock
from sessions.spool import BROKEN_PREFIX
from storage.base import ObjectInfo, Storage, StorageKind

#: What is said to be left where the index of calls could not be changed.
INDEX = "index of calls"
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
        index_rows: Calls of which nothing but a row of the index was left.
    """

    erasure_id: str
    begun_at: str
    ended_at: str
    complete: bool
    calls: list[ErasedCall]
    journals: list[ErasedJournal]
    reports: list[LocalFile]
    pending: list[Pending]
    index_rows: list[str] = []
    removed_from_records: tuple[str, ...] = PERSONAL
    version: int = 1


@dataclass(slots=True)
class _Erasure:
    """What one run has done so far."""

    wanted: str
    journals: JournalsErased
    calls: list[ErasedCall] = field(default_factory=list)
    reports: list[LocalFile] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    #: Calls that cannot be erased now: they keep their number, so that they are found again.
    spared: set[str] = field(default_factory=set)

    @property
    def session_ids(self) -> set[str]:
        calls = {call.session_id for call in self.calls}
        return calls | {journal.session_id for journal in self.journals.erased}

    def index_left(self, reason: str | None) -> None:
        """Say once that the index may still hold the number; None where all went well."""
        left = None if reason is None else Pending(what=INDEX, reason=reason)
        if left is not None and left not in self.pending:
            self.pending.append(left)


class NumberEraser:
    """Erases by number.

    Args:
        storage: Where calls are.
        data: The data folder: of journals and of reports to others.
        on_changed: Awaited after each record's change, to keep an index right.
        forget_rows: Awaited at the end, for what only an index still knows.

    A server that uses the same data folder may run: each record is changed under its lock.
    """

    def __init__(
        self,
        storage: Storage,
        data: Path,
        *,
        on_changed: ChangeRow | None = None,
        forget_rows: ForgetRows | None = None,
    ) -> None:
        self._storage = storage
        self._data = data
        self._on_changed = on_changed
        self._forget_rows = forget_rows
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
        for folder, reason in await asyncio.to_thread(journals_of, data / JOURNAL, wanted):
            found.append(f"{JOURNAL}/{folder.name}" + (f" ({reason})" if reason else ""))
            if not reason:
                ids.add(folder.name.removeprefix(BROKEN_PREFIX))
        reports, unread = await asyncio.to_thread(reports_of, data, wanted, ids, frozenset[str]())
        notes, rings = await asyncio.to_thread(answered_of, data, wanted)
        reports, unread = reports + notes, unread + rings
        found += [str(path.relative_to(data)) for path in reports]
        return found + [f"{each.what} ({each.reason})" for each in unread]

    async def erase(
        self, number: str, known_left: Sequence[Pending] = ()
    ) -> tuple[ErasureProof, str]:
        """Erase everything of a number, and store the proof.

        Args:
            known_left: What is known beforehand to be left.

        Returns:
            The proof, and its key in the kind ``transcripts``.

        Raises:
            ConfigError: It is no telephone number.
            StorageError: The records cannot be listed, or the proof cannot be stored.
        """
        wanted, begun_at = normalise_number(number), now_text()
        # What becomes a journal first, then journals: one that is stored meanwhile is found
        # among the records.
        notes, rings = await asyncio.to_thread(answered_of, self._data, wanted)
        answered = await asyncio.to_thread(erase_reports, self._data, notes)
        loop = asyncio.get_running_loop()

        def erase_stored(header: JournalHeader) -> list[DeletedFile]:
            return asyncio.run_coroutine_threadsafe(self._erase_stored(header), loop).result()

        journals = await asyncio.to_thread(erase_journals, self._data, wanted, erase_stored)
        run = _Erasure(wanted, journals, reports=answered + journals.reports)
        run.pending = [*known_left, *rings, *journals.pending]
        run.spared = set(journals.may_be_stored)
        if self._on_changed is not None:
            for journal in journals.erased:
                run.index_left(await self._on_changed(journal.session_id, "", None))
        async for info in self._records():
            try:
                await self._erase_call(info.key, run)
            except StorageError as error:
                run.pending.append(Pending(what=info.key, reason=error.message))
            except OSError as error:
                why = f"its reports cannot be removed: {type(error).__name__}"
                run.pending.append(Pending(what=info.key, reason=why))
        paths, unread = await asyncio.to_thread(
            reports_of, self._data, wanted, run.session_ids, run.spared
        )
        run.reports += await asyncio.to_thread(erase_reports, self._data, paths)
        run.pending += unread
        rows = RowsForgotten([])
        if self._forget_rows is not None:
            rows = await self._forget_rows(wanted)
            run.index_left(rows.failure)
        proof = ErasureProof(
            erasure_id=str(uuid4()),
            begun_at=begun_at,
            ended_at=now_text(),
            complete=not run.pending,
            calls=run.calls,
            journals=journals.erased,
            reports=run.reports,
            pending=run.pending,
            index_rows=rows.session_ids,
        )
        key = f"erasures/{begun_at[:10].replace('-', '/')}/{proof.erasure_id}.json"
        data = msgspec.json.encode(proof)
        await self._storage.put_bytes("transcripts", key, data, "application/json")
        return proof, key

    async def _erase_stored(self, header: JournalHeader) -> list[DeletedFile]:
        """Delete what a try to store a call has stored of it before it broke off."""
        kinds: tuple[StorageKind, ...] = ("recordings", "transcripts")
        try:
            prefix = f"{header.key}."
        except (OverflowError, ValueError, OSError):
            return []  # Nor could any try store it.
        found = [
            await delete_object(self._storage, kind, info.key)
            for kind in kinds
            for info in await self._storage.page(kind, prefix)
        ]
        return [file for file in found if file is not None]

    def _records(self) -> AsyncIterator[ObjectInfo]:
        return self._storage.list_objects("transcripts", RECORDS)

    async def _erase_call(self, key: str, run: _Erasure) -> None:
        record = await read_record(self._storage, key)
        if record is None or not _sides(record, run.wanted):
            return
        session_id = record.session_id
        if session_id in run.journals.busy:
            return
        # Of one that began or ended meanwhile, reports are still to come, and the journal that
        # is there would be stored again. One that cannot be read holds up nothing.
        if session_id not in run.journals.unread and await asyncio.to_thread(
            journal_waits, self._data, session_id
        ):
            run.spared.add(session_id)
            run.pending.append(Pending(what=key, reason="the call is being stored"))
            return
        async with self._changing:
            await self._erase_locked(key, run)

    async def _erase_locked(self, key: str, run: _Erasure) -> None:
        # Read anew: others may have changed it since.
        record = await read_record(self._storage, key)
        if record is None or not _sides(record, run.wanted):
            return
        before = await self._storage.sha256("transcripts", key)
        deleted = await delete_files(self._storage, record, "record")
        # Not all reports name the number: without the record nothing tells whose they are.
        run.reports += await asyncio.to_thread(erase_session_files, self._data, record.session_id)
        # Last, so that a try that breaks off is found by its number again.
        left = impersonal(without(record, "record"), run.wanted)
        after = await write_record(self._storage, key, left)
        run.calls.append(
            ErasedCall(
                session_id=record.session_id,
                started_at=record.started_at,
                record_key=key,
                deleted=deleted,
                record_sha256_before=before,
                record_sha256_after=after,
            )
        )
        if self._on_changed is not None:
            run.index_left(await self._on_changed(record.session_id, key, left))


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
