"""Puts the parts of one built call into the store, and does not believe it until it has looked."""

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import msgspec
from loguru import logger

from config.errors import StorageError
from sessions.build import BuiltCall, BuiltFile
from sessions.built_files import BuiltFiles
from sessions.deletion import read_record
from sessions.deletion_notes import deletion_notes
from sessions.record import CallRecord, NoticeRecord, StoredFile
from storage.base import ObjectInfo, Storage

_JSON = "application/json"
_METADATA_SAFE = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """A call that is safe: its record, with the places of all its parts.

    Attributes:
        transcript_text: The transcript for people, as stored.
        record_key: Of the record itself, in the kind ``transcripts``.
        record_url: Where it lies.
    """

    record: CallRecord
    transcript_text: str
    record_key: str
    record_url: str


class CallStorer:
    """Stores calls; holds nothing itself.

    Args:
        storage: Where they go.
        amending: Held while a record and its notes are written, as by whoever else changes them.
    """

    def __init__(self, storage: Storage, amending: AbstractAsyncContextManager[None]) -> None:
        self._storage = storage
        self._amending = amending

    async def store(self, built: BuiltCall, files: BuiltFiles) -> StoredCall:
        """Store every part, and the record last: where there is one, all it speaks of is there.

        What is left of a call never takes the place of the whole of it: a machine that lost its
        power may give back a part of a journal that had been stored and removed.

        Raises:
            StorageError: On any step; what was stored is stored again by the next try.
        """
        record = built.record
        if (whole := await self._stored_whole(record, built.record_key)) is not None:
            return whole
        if built.recording:
            file = await self._keep(files, built.recording, record)
            sound = msgspec.structs.replace(record.recording, file=file)
            record = msgspec.structs.replace(record, recording=sound)
        record = msgspec.structs.replace(
            record,
            transcript=await self._keep(files, built.transcript, record),
            transcript_text=await self._keep(files, built.transcript_text, record),
        )
        if built.transcript_vtt:  # Built by an older server, there is none.
            shown = await self._keep(files, built.transcript_vtt, record)
            record = msgspec.structs.replace(record, transcript_vtt=shown)
        # Whoever deletes finds a note and its record both, or neither; and nothing that others
        # tell between the look at an earlier record and the writing of this one is lost.
        async with self._amending:
            await self._note_deletions(record, built.record_key)
            record = await self._as_told_since(record, built.record_key)
            data = msgspec.json.encode(record)
            info = await self._storage.put_bytes(
                "transcripts", built.record_key, data, _JSON, _metadata(record)
            )
            if await self._storage.read("transcripts", built.record_key) != data:
                raise StorageError("storage_corrupt", f"{built.record_key} came back changed")
        text_path = files.path(built.transcript_text.name)
        text = await asyncio.to_thread(text_path.read_text, "utf-8")
        return StoredCall(
            record=record,
            transcript_text=text,
            record_key=built.record_key,
            record_url=info.url,
        )

    async def _stored_whole(self, record: CallRecord, record_key: str) -> StoredCall | None:
        """The call as it has been stored already, where this is a broken-off rest of it."""
        if record.end_cause != "crash":
            return None
        earlier = await self._earlier(record_key)
        if earlier is None or earlier.erased_at is not None:
            return None
        if earlier.end_cause == "crash" and earlier.duration_seconds <= record.duration_seconds:
            return None
        logger.warning(
            "call {}: a part of its journal came back; the call is stored as it was, with the "
            "cause {}",
            *(record.session_id, earlier.end_cause),
        )
        text = ""
        if (file := earlier.transcript_text) is not None:
            try:
                text = (await self._storage.read(file.kind, file.key)).decode("utf-8", "replace")
            except StorageError as error:
                if error.code != "storage_not_found":  # It may have been deleted since.
                    raise
        info = await self._storage.stat("transcripts", record_key)
        return StoredCall(
            record=earlier, transcript_text=text, record_key=record_key, record_url=info.url
        )

    async def _as_told_since(self, record: CallRecord, record_key: str) -> CallRecord:
        """With what was added to a record that an earlier try has stored already.

        A process that dies before it has removed the journal leaves such a one: the carrier's
        recording and its late notices are told once, and by others than the journal.
        """
        earlier = await self._earlier(record_key)
        # Of one that was erased meanwhile, the proof says that this call was left.
        if earlier is None or earlier.erased_at is not None:
            return record
        late = [notice for notice in earlier.notices if notice not in record.notices]
        return msgspec.structs.replace(
            record,
            notices=[*record.notices, *late],
            carrier_recording=earlier.carrier_recording or record.carrier_recording,
        )

    async def _earlier(self, record_key: str) -> CallRecord | None:
        """What is stored under the key; None where there is nothing, or nothing of any use."""
        try:
            return await read_record(self._storage, record_key)
        except StorageError as error:
            if error.code != "storage_corrupt":
                raise
            return None

    async def _note_deletions(self, record: CallRecord, record_key: str) -> None:
        """Before the record: a call that is kept is also one that will be deleted in time."""
        for key, note in deletion_notes(record, record_key):
            await self._storage.put_bytes("transcripts", key, note, _JSON)

    async def _keep(self, files: BuiltFiles, file: BuiltFile, record: CallRecord) -> StoredFile:
        metadata = {**_metadata(record), "sha256": file.sha256}
        path = files.path(file.name)
        info = await self._storage.put_file(file.kind, file.key, path, file.content_type, metadata)
        await self._verify(info, file)
        return StoredFile(
            kind=file.kind,
            key=file.key,
            url=info.url,
            content_type=file.content_type,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
        )

    async def _verify(self, info: ObjectInfo, file: BuiltFile) -> None:
        if info.size_bytes == file.size_bytes:
            found = await self._storage.sha256(file.kind, file.key)
            if found == file.sha256:
                return
        raise StorageError("storage_corrupt", f"{file.kind}/{file.key} came back changed")

    async def add_notice(self, record_key: str, name: str, detail: str) -> CallRecord:
        """Add a carrier's late notice to a stored record, once; to none that was erased.

        Returns:
            The record as it is stored now.

        Raises:
            StorageError: The record stands as it was.
        """
        stored = await self._storage.read("transcripts", record_key)
        record = msgspec.json.decode(stored, type=CallRecord)
        is_known = any(n.name == name and n.detail == detail for n in record.notices)
        if record.erased_at is None and not is_known:
            at_ms = record.duration_seconds * 1000
            notice = NoticeRecord(at_ms=at_ms, name=name, detail=detail)
            record = msgspec.structs.replace(record, notices=[*record.notices, notice])
            data = msgspec.json.encode(record)
            await self._storage.put_bytes("transcripts", record_key, data, _JSON, _metadata(record))
        return record


def _metadata(record: CallRecord) -> dict[str, str]:
    wanted = {"session-id": record.session_id, "agent-id": record.agent_id}
    return {name: value for name, value in wanted.items() if _METADATA_SAFE.fullmatch(value)}
