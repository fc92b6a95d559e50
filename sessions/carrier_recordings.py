"""Has the carrier record calls too, where agents want it, and stores what it recorded.

A note on disk stands for each recording from before it is asked for until its file is stored, so
that a restart loses none. The file comes some time after the call: it is asked for with growing
pauses for as long as the carrier keeps it. The call's record says how that stands.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
from loguru import logger

from bot.events import CallEnded, CallEvent, CallStarted
from config.errors import CallControlError, StorageError
from services.telephony.vobiz import FetchedFile
from sessions.carrier_notes import (
    CarrierNote,
    noted,
    part_path,
    read_note,
    remove_note,
    write_note,
)
from sessions.deletion import carrier_key, delete_object, read_record, write_record
from sessions.journal_format import JournalHeader
from sessions.record import CallRecord, CarrierRecording, StoredFile
from sessions.retention import OnChanged
from storage.base import Storage

#: Failures after which a recording is asked for again at once; the others last.
_PASSING = frozenset({"carrier_unreachable", "carrier_busy", "carrier_failed"})
_CONTENT_TYPE = "audio/mpeg"


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


class CarrierRecordings:
    """A sink of call events; one per process.

    Args:
        folder: Of the notes; made when the first is written.
        client: None where no account is set: wanted recordings then fail, and records say so.
        storage: Where recordings and records are.
        amending: Held while a record is changed, as by whoever else changes records.
        on_changed: Awaited after each record's change, to keep an index right.
    """

    def __init__(
        self,
        folder: Path,
        client: CarrierClient | None,
        storage: Storage,
        amending: asyncio.Lock,
        *,
        on_changed: OnChanged | None = None,
        options: CarrierOptions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._client = client
        self._storage = storage
        self._amending = amending
        self._on_changed = on_changed
        self._options = options or CarrierOptions()
        self._clock = clock
        self._slots = asyncio.Semaphore(self._options.at_once)
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._live: dict[str, str] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._fetching: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Go on with what an earlier process left."""
        try:
            left = await asyncio.to_thread(noted, self._folder)
        except OSError as error:
            logger.error("recordings of the carrier that wait are not known: {}", error)
            return
        for session_id in left:
            self._fetch_later(session_id)

    async def close(self, seconds: float = 3.0) -> None:
        """Let recordings that end be stopped; the rest waits for the next start."""
        if under_way := {*self._ending, *self._starting.values()}:
            await asyncio.wait(under_way, timeout=seconds)
        left = [*self._ending, *self._starting.values(), *self._fetching.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """How many recordings of calls that are over are not stored yet."""
        return len(self._fetching)

    def event(self, header: JournalHeader, event: CallEvent) -> None:
        """An event of a live call; only its beginning and its end matter."""
        if header.carrier_recording_seconds == 0:
            return
        if isinstance(event, CallStarted):
            session_id = header.session_id
            self._live[session_id] = header.carrier_call_id or ""
            self._starting[session_id] = self._task(self._begin(header), "carrier-start")
        elif isinstance(event, CallEnded) and header.session_id in self._live:
            self._keep(self._ending, self._task(self._end(header.session_id), "carrier-end"))

    # -- while the call is live ---------------------------------------------------------------

    async def _begin(self, header: JournalHeader) -> None:
        day = datetime.fromtimestamp(header.started_at, UTC).strftime("%Y/%m/%d")
        note = CarrierNote(
            session_id=header.session_id,
            record_key=f"records/{day}/{header.session_id}.json",
            began_at=self._clock(),
        )
        await asyncio.to_thread(write_note, self._folder, note)
        try:
            recording_id = await self._ask(header)
        except CallControlError as error:
            logger.warning("call {}: no carrier's recording: {}", header.session_id, error.message)
            note = msgspec.structs.replace(note, trouble=error.message)
        else:
            note = msgspec.structs.replace(note, recording_id=recording_id)
        await asyncio.to_thread(write_note, self._folder, note)

    async def _ask(self, header: JournalHeader) -> str:
        if self._client is None:
            raise CallControlError(
                "carrier_auth", "it needs VOBIZ_AUTH_ID and VOBIZ_AUTH_TOKEN, which are not set"
            )
        for attempt in range(1, self._options.start_tries + 1):
            try:
                return await self._client.start(
                    header.carrier_call_id or "",
                    seconds=header.carrier_recording_seconds,
                    stereo=header.stereo,
                )
            except CallControlError as error:
                if error.code not in _PASSING or attempt == self._options.start_tries:
                    raise
            await asyncio.sleep(self._options.start_pause_seconds * attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _end(self, session_id: str) -> None:
        await asyncio.wait({self._starting[session_id]})
        del self._starting[session_id]
        call_id = self._live.pop(session_id)
        # Stopping ends all recordings of a call, also one of a session that goes on with it.
        if self._client is not None and call_id not in self._live.values():
            try:
                await self._client.stop(call_id)
            except CallControlError as error:
                # With the call it ends anyway.
                logger.info("call {}: {}", session_id, error.message)
        self._fetch_later(session_id)

    # -- afterwards ---------------------------------------------------------------------------

    def _fetch_later(self, session_id: str) -> None:
        task = self._task(self._fetch_until_done(session_id), "carrier-fetch")
        self._fetching[session_id] = task
        task.add_done_callback(lambda _: self._fetching.pop(session_id, None))

    async def _fetch_until_done(self, session_id: str) -> None:
        pause = self._options.first_pause_seconds
        told = ""
        while True:
            # Jitter spreads the calls of one outage; nothing secret depends on it.
            await asyncio.sleep(pause * (1 + random.random() / 4))
            pause = min(2 * pause, self._options.longest_pause_seconds)
            try:
                async with self._slots:
                    if await self._settle(session_id):
                        return
            except (CallControlError, StorageError, OSError) as error:
                reason = str(error)
                # The first failure of a kind is news, the hundredth is not.
                level = "DEBUG" if reason == told else "WARNING"
                logger.log(level, "call {}: the carrier's recording: {}", session_id, reason)
                told = reason

    async def _settle(self, session_id: str) -> bool:
        """Store a recording if it is there; whether nothing is left to do for this call."""
        note = await asyncio.to_thread(read_note, self._folder, session_id)
        if note is None:
            return True
        is_old = self._clock() - note.began_at > self._options.give_up_seconds
        record = await read_record(self._storage, note.record_key)
        if record is None and not is_old:
            return False  # It waits to be stored.
        if record is None or not _is_awaited(record):
            await asyncio.to_thread(remove_note, self._folder, session_id)
            return True
        if not note.recording_id or is_old:
            await self._fail(note, note.trouble or "it was not there in time")
            return True
        return await self._fetch(note, record)

    async def _fetch(self, note: CarrierNote, record: CallRecord) -> bool:
        if self._client is None:
            raise CallControlError("carrier_auth", "VOBIZ_AUTH_ID is not set any more")
        url = await self._client.find(note.recording_id)
        if url is None:
            return False
        part = part_path(self._folder, note.session_id)
        try:
            fetched = await self._client.fetch(url, part)
            await self._store(note, record, part, fetched)
        except CallControlError as error:
            if error.code == "carrier_not_found":
                return False  # Its address is known some seconds before it is there.
            raise
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        await asyncio.to_thread(remove_note, self._folder, note.session_id)
        return True

    async def _store(
        self, note: CarrierNote, record: CallRecord, part: Path, fetched: FetchedFile
    ) -> None:
        key = carrier_key(record)
        metadata = {"session-id": record.session_id, "sha256": fetched.sha256}
        info = await self._storage.put_file("recordings", key, part, _CONTENT_TYPE, metadata)
        if await self._storage.sha256("recordings", key) != fetched.sha256:
            raise StorageError("storage_corrupt", f"recordings/{key} came back changed")
        file = StoredFile(
            kind="recordings",
            key=key,
            url=info.url,
            content_type=_CONTENT_TYPE,
            size_bytes=fetched.size_bytes,
            sha256=fetched.sha256,
        )
        told = CarrierRecording(state="stored", recording_id=note.recording_id, file=file)
        if not await self._tell(note, told):
            # It was deleted or erased meanwhile: what came too late goes as well.
            await delete_object(self._storage, "recordings", key)

    async def _fail(self, note: CarrierNote, reason: str) -> None:
        told = CarrierRecording(
            state="failed", recording_id=note.recording_id or None, detail=reason
        )
        await self._tell(note, told)
        await asyncio.to_thread(remove_note, self._folder, note.session_id)

    async def _tell(self, note: CarrierNote, told: CarrierRecording) -> bool:
        """Put it into the record, unless nobody wants it there any more."""
        async with self._amending:
            record = await read_record(self._storage, note.record_key)
            still = await asyncio.to_thread(read_note, self._folder, note.session_id)
            if record is None or still is None or not _is_awaited(record):
                return False
            record = msgspec.structs.replace(record, carrier_recording=told)
            await write_record(self._storage, note.record_key, record)
            if self._on_changed is not None:
                await self._on_changed(note.session_id, note.record_key, record)
        return True

    # -- tasks --------------------------------------------------------------------------------

    def _task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            # No call is harmed; the note stays and the next start goes on with it.
            except Exception as error:
                logger.exception("the carrier's recording of a call: {}", error)

        return asyncio.create_task(guarded(), name=name)

    def _keep(self, tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _is_awaited(record: CallRecord) -> bool:
    return record.carrier_recording is not None and record.carrier_recording.state == "pending"
