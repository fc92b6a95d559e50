"""Takes parts of stored calls out of the store, and says what was there.

Files go first and the record is changed last: what is interrupted is found again by the next
try, since the record still names it. A bucket that keeps versions only hides what is deleted;
its own rule has to remove the hidden ones.
"""

from datetime import UTC, datetime

import msgspec

from config.errors import StorageError
from sessions.journal_format import Part
from sessions.record import CallRecord, StoredFile
from storage.base import Storage, StorageKind


class DeletedFile(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was in the store and is no more.

    Attributes:
        sha256: Of what was there, read before it was deleted.
    """

    kind: StorageKind
    key: str
    size_bytes: int
    sha256: str


async def delete_object(storage: Storage, kind: StorageKind, key: str) -> DeletedFile | None:
    """Delete one object and look whether it is gone.

    Returns:
        What it was; None where there was none.

    Raises:
        StorageError: It could not be deleted, or is still there.
    """
    try:
        info = await storage.stat(kind, key)
        digest = await storage.sha256(kind, key)
    except StorageError as error:
        if error.code == "storage_not_found":
            return None
        raise
    await storage.delete(kind, key)
    try:
        await storage.stat(kind, key)
    except StorageError as error:
        if error.code != "storage_not_found":
            raise
        return DeletedFile(kind=kind, key=key, size_bytes=info.size_bytes, sha256=digest)
    raise StorageError("storage_failed", f"{kind}/{key} is still there after it was deleted")


async def read_record(storage: Storage, record_key: str) -> CallRecord | None:
    """A stored record; None where there is none.

    Raises:
        StorageError: It cannot be read, or is no record (``storage_corrupt``).
    """
    try:
        data = await storage.read("transcripts", record_key)
        return msgspec.json.decode(data, type=CallRecord)
    except StorageError as error:
        if error.code == "storage_not_found":
            return None
        raise
    except msgspec.MsgspecError as error:
        raise StorageError("storage_corrupt", f"{record_key} is no call record") from error


def carrier_key(record: CallRecord) -> str:
    """Where the carrier's own recording of a call lies, in the kind ``recordings``."""
    return f"{record.started_at[:10].replace('-', '/')}/{record.session_id}.carrier.mp3"


def files_of(record: CallRecord, part: Part) -> list[StoredFile]:
    """The files that belong to a part of a call; the record itself is none of them."""
    sound = [record.recording.file]
    text = [record.transcript, record.transcript_text, record.transcript_vtt]
    chosen = {"recording": sound, "transcript": text, "record": [*sound, *text]}[part]
    return [file for file in chosen if file is not None]


def without(record: CallRecord, part: Part) -> CallRecord:
    """The record once a part of its call is gone."""
    if part in ("recording", "record") and record.recording.file is not None:
        sound = msgspec.structs.replace(record.recording, state="deleted", file=None)
        record = msgspec.structs.replace(record, recording=sound)
    if part in ("recording", "record") and record.carrier_recording is not None:
        theirs = msgspec.structs.replace(record.carrier_recording, state="deleted", file=None)
        record = msgspec.structs.replace(record, carrier_recording=theirs)
    if part in ("transcript", "record"):
        record = msgspec.structs.replace(
            record, transcript=None, transcript_text=None, transcript_vtt=None
        )
    return record


async def delete_files(storage: Storage, record: CallRecord, part: Part) -> list[DeletedFile]:
    """Delete the files of a part of a call; those that are gone already are passed over.

    Raises:
        StorageError: Some are still there; the next try goes on.
    """
    found = [await delete_object(storage, f.kind, f.key) for f in files_of(record, part)]
    if part in ("recording", "record") and record.carrier_recording is not None:
        # Named in the record or not yet: it may have come a moment ago.
        found.append(await delete_object(storage, "recordings", carrier_key(record)))
    return [file for file in found if file is not None]


async def write_record(storage: Storage, record_key: str, record: CallRecord) -> str:
    """Put a changed record in the place of the old one, and compare.

    Returns:
        The hash of what is stored now.

    Raises:
        StorageError: It could not be stored, or came back changed.
    """
    data = msgspec.json.encode(record)
    metadata = (await storage.stat("transcripts", record_key)).metadata
    await storage.put_bytes("transcripts", record_key, data, "application/json", metadata)
    if await storage.read("transcripts", record_key) != data:
        raise StorageError("storage_corrupt", f"{record_key} came back changed")
    return await storage.sha256("transcripts", record_key)


def now_text() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
