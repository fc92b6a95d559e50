"""Finds a call and what is kept of it, wherever that lies now: in a live session, in a journal
on disk, or in the store.

Error codes of the :class:`~config.errors.StorageError` raised here, besides the store's and the
index's own:

    storage_corrupt   there is such a part, and it cannot be read
    call_live         the call goes on: its parts are made when it has ended
    call_not_ready    it has ended, and its parts are being made; ask again in a moment
    call_elsewhere    another server has it, until it is stored
    carrier_pending   the carrier has not handed its recording over yet
    kept_no_more      there was such a part, and it has been deleted
    nothing_kept      there never was such a part
"""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from config.errors import StorageError
from sessions.deletion import read_record
from sessions.index_entries import live_entry
from sessions.index_rebuild import journal_entry, stored_row
from sessions.journal_format import Part
from sessions.kept_sound import KeptSound, SpooledSound, StoredSound
from sessions.manager import SessionManager
from sessions.record import CallRecord
from sessions.session import CallSession
from sessions.spooled import SpooledCall, find_spooled
from sessions.transcript import Transcript
from storage.base import Storage
from storage.index.calls import CallIndex
from storage.index.entry import VERSIONS, IndexedCall, plain

#: Calls with the same carrier's id that are told of.
MAX_SAME_ID = 50
#: Who made a recording: this server, or the carrier.
SoundSource = Literal["server", "carrier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlaces:
    """Where calls are looked for.

    Attributes:
        root: Folder of the journals.
        server_id: Of this server, as rows of the index name it.
    """

    index: CallIndex
    storage: Storage
    manager: SessionManager
    root: Path
    server_id: str


class CallLookup:
    """Looks calls up; holds nothing itself."""

    def __init__(self, places: CallPlaces) -> None:
        self._places = places

    async def find(self, call_id: str) -> list[IndexedCall]:
        """The call of our id, or those of the carrier's, the latest first.

        What this server knows by itself is found without the index too.

        Raises:
            StorageError: Nothing was found, and the index does not answer.
        """
        found: dict[str, IndexedCall] = {}
        trouble: StorageError | None = None
        try:
            for row in await self._indexed(call_id):
                found[row.session_id] = row
        except StorageError as error:
            trouble = error
        for known in await self._known_here(call_id):
            newest = await self._newest(known, found.get(known.session_id), trouble is None)
            if newest is not None:
                found[newest.session_id] = newest
        if not found and trouble is not None:
            raise trouble
        return sorted(found.values(), key=lambda row: row.place, reverse=True)

    def session(self, call: IndexedCall) -> CallSession | None:
        """The live session of a call, if it has one here."""
        return self._places.manager.find(call.session_id)

    async def record(self, call: IndexedCall) -> CallRecord:
        """A call's record: as it is stored, or so far.

        Raises:
            StorageError: See the module.
        """
        spooled = None if call.record_key else await self._spooled(call)
        if spooled is not None:
            return spooled.record()
        return await self._stored_record(call)

    async def transcript(self, call: IndexedCall) -> Transcript:
        """What was said and heard in a call, or so far.

        Raises:
            StorageError: See the module.
        """
        spooled = None if call.record_key else await self._spooled(call)
        if spooled is not None:
            return spooled.transcript()
        record = await self._stored_record(call)
        file = record.transcript
        if file is None:
            if record.erased_at or _is_due(record, "transcript"):
                raise StorageError("kept_no_more", "the transcript of this call was deleted")
            raise StorageError("nothing_kept", "there is no transcript of this call")
        data = await self._places.storage.read(file.kind, file.key)
        try:
            return msgspec.json.decode(data, type=Transcript)
        except msgspec.MsgspecError as error:
            raise StorageError("storage_corrupt", f"{file.key} is no transcript") from error

    async def recording(self, call: IndexedCall, source: SoundSource = "server") -> KeptSound:
        """A call's sound, ready to be read; its ``close`` must be called.

        Raises:
            StorageError: See the module.
        """
        if source == "carrier":
            return await self._carriers(call)
        if self.session(call) is not None:
            raise StorageError("call_live", "the call goes on; its recording is made at its end")
        spooled = None if call.record_key else await self._spooled(call)
        if spooled is None:
            record = await self._stored_record(call)
            if record.recording.file is None:
                raise _no_sound(record)
            return StoredSound(self._places.storage, record.recording.file)
        if spooled.built is None:
            raise StorageError("call_not_ready", "the recording of this call is being made")
        if spooled.built.recording is None:
            raise _no_sound(spooled.built.record)
        try:
            return await SpooledSound.open(spooled.folder, spooled.built.recording)
        except FileNotFoundError:  # Stored in this very moment.
            raise StorageError("call_not_ready", "the recording is being stored") from None

    async def _carriers(self, call: IndexedCall) -> KeptSound:
        """What the carrier recorded."""
        theirs = (await self.record(call)).carrier_recording
        if theirs is None:
            raise StorageError("nothing_kept", "the carrier was not asked to record this call")
        if theirs.state == "pending" and self.session(call) is not None:
            raise StorageError("call_live", "the call goes on; the carrier's file comes afterwards")
        if theirs.file is not None:
            return StoredSound(self._places.storage, theirs.file)
        if theirs.state == "pending":
            raise StorageError("carrier_pending", "the carrier has not handed it over yet")
        if theirs.state == "deleted":
            raise StorageError("kept_no_more", "the carrier's recording of this call was deleted")
        raise StorageError("nothing_kept", f"there is no recording of the carrier: {theirs.detail}")

    async def _newest(
        self, known: IndexedCall, row: IndexedCall | None, has_index: bool
    ) -> IndexedCall | None:
        """What holds now of a call that is known here; None where nothing is kept of it any more.

        What was stored may have been changed or deleted since, perhaps by another process: the
        index and the store know, the memory of this one does not.
        """
        if known.status != "stored":
            return known if row is None or row.version < VERSIONS["stored"] else row
        if row is not None:
            return known if row.version < known.version else row
        if has_index:
            with contextlib.suppress(StorageError):
                return await stored_row(self._places.storage, known)
        return known

    async def _indexed(self, call_id: str) -> list[IndexedCall]:
        index, wanted = self._places.index, plain(call_id)
        if wanted is None:
            return []
        own = await index.find(wanted)
        return [own] if own is not None else await index.of_carrier(wanted, MAX_SAME_ID)

    async def _known_here(self, call_id: str) -> list[IndexedCall]:
        """What needs no index: live calls, those stored lately, and journals."""
        places = self._places
        live = [live_entry(s, places.server_id) for s in places.manager if call_id in s.keys]
        stored = places.manager.stored(call_id)
        if stored is not None:
            return [*live, stored]
        if live:
            return live
        journal = await asyncio.to_thread(self._journal, call_id)
        return [] if journal is None else [journal]

    def _journal(self, call_id: str) -> IndexedCall | None:
        spooled = find_spooled(self._places.root, call_id)
        return journal_entry(spooled.folder, self._places.server_id) if spooled else None

    async def _spooled(self, call: IndexedCall) -> SpooledCall | None:
        return await asyncio.to_thread(find_spooled, self._places.root, call.session_id)

    async def _stored_record(self, call: IndexedCall) -> CallRecord:
        places, key = self._places, call.record_key
        if key is None:
            if call.status == "lost":
                raise StorageError("nothing_kept", "nothing was found of this call")
            if call.server_id not in (None, places.server_id):
                raise StorageError("call_elsewhere", "another server has this call")
            # Neither in the store's part of the index nor in a journal: stored just now.
            row = await stored_row(places.storage, call)
            key = row.record_key if row else None
        if key is None:
            raise StorageError("call_not_ready", "the record of this call is being made")
        record = await read_record(places.storage, key)
        if record is None:
            raise StorageError("storage_not_found", f"{key} is not in the store")
        return record


def _is_due(record: CallRecord, part: Part) -> bool:
    """Whether a part's time is up, as its agent's file had it."""
    day = record.delete_after.get(part)
    return day is not None and day <= datetime.now(UTC).date().isoformat()


def _no_sound(record: CallRecord) -> StorageError:
    if record.recording.state == "deleted":
        return StorageError("kept_no_more", "the recording of this call was deleted")
    reason = {
        "off": "its agent records no sound",
        "empty": "no sound came or went",
        "failed": "no recording could be made",
    }.get(record.recording.state, "it is not kept any more")
    return StorageError("nothing_kept", f"there is no recording of this call: {reason}")
