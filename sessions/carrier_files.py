"""Fetches what a carrier has recorded once it is there, and stores it beside our recording.

The file comes some time after the call: it is asked for with growing pauses for as long as the
carrier keeps it. A note on disk (``carrier_notes``) stands for it until it is stored, and the
call's record says how that stands.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec
from loguru import logger

from config.errors import CallControlError, StorageError
from services.telephony.vobiz_files import FetchedFile
from sessions import metrics
from sessions.carrier_notes import CarrierNote, part_path, read_note, remove_note
from sessions.deletion import carrier_key, delete_object, read_record, write_record
from sessions.record import CallRecord, CarrierRecording, StoredFile
from sessions.retention import OnChanged
from storage.base import Storage

#: How the wait for a file ends; ``unwanted``: its call was deleted or erased meanwhile.
Outcome = Literal["stored", "failed", "unwanted"]
_TOO_LATE: Final = "it was not there in time"
_NOT_ASKED: Final = "it was not asked for: the server had trouble with its disk, or died"


class CarrierClient(Protocol):
    """What is asked of a carrier; see :class:`services.telephony.vobiz.VobizRecordings`."""

    async def start(self, call_id: str, *, seconds: int, stereo: bool) -> str: ...

    async def stop(self, call_id: str) -> None: ...

    async def find(self, recording_id: str) -> str | None: ...

    async def fetch(self, url: str, path: Path) -> FetchedFile: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierOptions:
    """How hard it is tried.

    Attributes:
        start_tries: How often a recording is asked for.
        start_pause_seconds: Before the second time.
        first_pause_seconds: From a call's end to the first look; each further one is twice as
            long, up to ``longest_pause_seconds``.
        at_once: Files fetched at once.
        give_up_seconds: Vobiz keeps recordings for 30 days.
    """

    start_tries: int = 3
    start_pause_seconds: float = 0.5
    first_pause_seconds: float = 5.0
    longest_pause_seconds: float = 600.0
    at_once: int = 2
    give_up_seconds: float = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierStats:
    """What is still to come.

    Attributes:
        waiting: Recordings of calls that are over and whose files are not stored yet.
        oldest_seconds: Since the first of them was begun.
    """

    waiting: int
    oldest_seconds: float


class CarrierFiles:
    """Fetches files in the background; one per process.

    Args:
        folder: Of the notes.
        client: None where no account is set (any more).
        storage: Where recordings and records are.
        amending: Held while a record is changed, as by whoever else changes records.
        on_changed: Awaited after each record's change, to keep an index right.
    """

    def __init__(
        self,
        folder: Path,
        client: CarrierClient | None,
        storage: Storage,
        amending: AbstractAsyncContextManager[None],
        *,
        on_changed: OnChanged | None,
        options: CarrierOptions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._client = client
        self._storage = storage
        self._amending = amending
        self._on_changed = on_changed
        self._options = options
        self._clock = clock
        self._slots = asyncio.Semaphore(options.at_once)
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._since: dict[str, float] = {}
        self._keys: dict[str, str] = {}
        #: Of each call whose file is, or may be, in the store: the record's key and the file's.
        self._put: dict[str, tuple[str, str]] = {}

    def stats(self) -> CarrierStats:
        """What is still to come."""
        since = min(self._since.values(), default=None)
        oldest = 0.0 if since is None else max(0.0, self._clock() - since)
        return CarrierStats(waiting=len(self._fetching), oldest_seconds=oldest)

    def fetch_later(self, session_id: str, record_key: str | None = None) -> None:
        """See to a call that is over, once.

        Args:
            record_key: Where its record is; None while it is not stored yet.
        """
        if record_key is not None:
            self._keys[session_id] = record_key
        if session_id in self._fetching:
            return
        self._since[session_id] = self._clock()
        task = asyncio.create_task(self._guarded(session_id), name="carrier-fetch")
        self._fetching[session_id] = task
        task.add_done_callback(lambda _: self._done(session_id))

    async def close(self) -> None:
        """Stop; notes have the next start go on."""
        left = list(self._fetching.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _done(self, session_id: str) -> None:
        del self._fetching[session_id], self._since[session_id]
        self._keys.pop(session_id, None)
        self._put.pop(session_id, None)

    async def _guarded(self, session_id: str) -> None:
        try:
            await self._fetch_until_done(session_id)
        # No call is harmed; the note stays and the next start goes on with it.
        except Exception as error:
            logger.exception("call {}: the carrier's recording: {}", session_id, error)

    async def _fetch_until_done(self, session_id: str) -> None:
        pause = self._options.first_pause_seconds
        told = ""
        while True:
            # Jitter spreads the calls of one outage; nothing secret depends on it.
            await asyncio.sleep(pause * (1 + random.random() / 4))
            pause = min(2 * pause, self._options.longest_pause_seconds)
            try:
                async with self._slots:
                    outcome = await self._settle(session_id)
                    if outcome == "unwanted":
                        await self._discard(session_id)
                if outcome is not None:
                    metrics.CARRIER_RECORDINGS.labels(outcome).inc()
                    return
            except (CallControlError, StorageError, OSError) as error:
                reason = str(error)
                # The first failure of a kind is news, the hundredth is not.
                level = "DEBUG" if reason == told else "WARNING"
                logger.log(level, "call {}: the carrier's recording: {}", session_id, reason)
                told = reason

    async def _settle(self, session_id: str) -> Outcome | None:
        """Store a recording if it is there; None while there is more to wait for."""
        note = await asyncio.to_thread(read_note, self._folder, session_id)
        if note is None:
            return await self._without_note(session_id)
        self._since[session_id] = note.began_at
        is_old = self._clock() - note.began_at > self._options.give_up_seconds
        record = await read_record(self._storage, note.record_key)
        if record is None and not is_old:
            return None  # It waits to be stored.
        if record is None or not is_awaited(record):
            await asyncio.to_thread(remove_note, self._folder, session_id)
            return "unwanted"
        if not note.recording_id or is_old:
            reason = _TOO_LATE if note.recording_id else _NOT_ASKED
            return await self._fail(note, note.trouble or reason)
        return await self._fetch(note, record)

    async def _without_note(self, session_id: str) -> Outcome:
        """Nothing will come: it was erased, or no note could be put down."""
        told = CarrierRecording(state="failed", detail=_NOT_ASKED)
        key = self._keys.get(session_id)
        if key is None or not await self._tell(session_id, key, told, noted=False):
            return "unwanted"
        return "failed"

    async def _fetch(self, note: CarrierNote, record: CallRecord) -> Outcome | None:
        if self._client is None:
            raise CallControlError("carrier_auth", "VOBIZ_AUTH_ID is not set any more")
        url = await self._client.find(note.recording_id)
        if url is None:
            return None
        part = part_path(self._folder, note.session_id)
        try:
            fetched = await self._client.fetch(url, part)
            outcome = await self._store(note, record, part, fetched)
        except CallControlError as error:
            if error.code == "carrier_not_found":
                return None  # Its address is known some seconds before it is there.
            if error.code == "carrier_too_large":  # It does not become any smaller.
                return await self._fail(note, error.message)
            raise
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        await asyncio.to_thread(remove_note, self._folder, note.session_id)
        return outcome

    async def _store(
        self, note: CarrierNote, record: CallRecord, part: Path, fetched: FetchedFile
    ) -> Outcome:
        key = carrier_key(record)
        metadata = {"session-id": record.session_id, "sha256": fetched.sha256}
        self._put[note.session_id] = note.record_key, key
        info = await self._storage.put_file("recordings", key, part, fetched.content_type, metadata)
        if await self._storage.sha256("recordings", key) != fetched.sha256:
            raise StorageError("storage_corrupt", f"recordings/{key} came back changed")
        file = StoredFile(
            kind="recordings",
            key=key,
            url=info.url,
            content_type=fetched.content_type,
            size_bytes=fetched.size_bytes,
            sha256=fetched.sha256,
        )
        told = CarrierRecording(state="stored", recording_id=note.recording_id, file=file)
        is_told = await self._tell(note.session_id, note.record_key, told)
        return "stored" if is_told else "unwanted"

    async def _discard(self, session_id: str) -> None:
        """What came after its call was deleted or erased goes as well.

        A file that the record names was stored by another server on this folder.
        """
        if session_id not in self._put:
            return
        record_key, key = self._put[session_id]
        async with self._amending:
            record = await read_record(self._storage, record_key)
            told = record.carrier_recording if record is not None else None
            if told is None or told.file is None or told.file.key != key:
                await delete_object(self._storage, "recordings", key)

    async def _fail(self, note: CarrierNote, reason: str) -> Outcome:
        told = CarrierRecording(
            state="failed", recording_id=note.recording_id or None, detail=reason
        )
        is_told = await self._tell(note.session_id, note.record_key, told)
        await asyncio.to_thread(remove_note, self._folder, note.session_id)
        return "failed" if is_told else "unwanted"

    async def _tell(
        self, session_id: str, record_key: str, told: CarrierRecording, *, noted: bool = True
    ) -> bool:
        """Put it into the record, unless nobody wants it there any more."""
        async with self._amending:
            record = await read_record(self._storage, record_key)
            note = await asyncio.to_thread(read_note, self._folder, session_id)
            if record is None or (note is not None) is not noted or not is_awaited(record):
                return False
            record = msgspec.structs.replace(record, carrier_recording=told)
            await write_record(self._storage, record_key, record)
            if self._on_changed is not None:
                await self._on_changed(session_id, record_key, record)
        return True


def is_awaited(record: CallRecord) -> bool:
    """Whether the carrier's recording of a call is still to come."""
    return record.carrier_recording is not None and record.carrier_recording.state == "pending"
