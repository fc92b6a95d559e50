"""Has the carrier record calls too, where agents want it; ``carrier_files`` stores the files.

A note on disk stands for each recording from before it is asked for until its file is stored, so
that a restart loses none.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

from bot.events import CallEnded, CallEvent, CallStarted
from config.errors import CallControlError
from sessions.carrier_files import (
    CarrierClient,
    CarrierFiles,
    CarrierOptions,
    CarrierStats,
    is_awaited,
)
from sessions.carrier_notes import CarrierNote, noted, write_note
from sessions.journal_format import JournalHeader
from sessions.keeper import StoredCall
from sessions.retention import OnChanged
from storage.base import Storage

#: Failures after which a recording is asked for again at once; the others last.
_PASSING = frozenset({"carrier_unreachable", "carrier_busy", "carrier_failed"})


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
        amending: AbstractAsyncContextManager[None],
        *,
        on_changed: OnChanged | None = None,
        options: CarrierOptions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._client = client
        self._options = options or CarrierOptions()
        self._clock = clock
        self._files = CarrierFiles(
            folder,
            client,
            storage,
            amending,
            on_changed=on_changed,
            options=self._options,
            clock=clock,
        )
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._live: dict[str, str] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Go on with what an earlier process left."""
        try:
            left = await asyncio.to_thread(noted, self._folder)
        except OSError as error:
            logger.error("recordings of the carrier that wait are not known: {}", error)
            return
        for session_id in left:
            self._files.fetch_later(session_id)

    async def close(self, seconds: float = 3.0) -> None:
        """Let recordings that end be stopped; the rest waits for the next start."""
        if under_way := {*self._ending, *self._starting.values()}:
            await asyncio.wait(under_way, timeout=seconds)
        left = [*self._ending, *self._starting.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._files.close()

    def stats(self) -> CarrierStats:
        """Which files are still to come."""
        return self._files.stats()

    def stored(self, call: StoredCall) -> None:
        """A call is safe; of one whose server died before it could ask, the record is told."""
        session_id = call.record.session_id
        if is_awaited(call.record) and session_id not in self._starting:
            self._files.fetch_later(session_id, call.record_key)

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

    async def _begin(self, header: JournalHeader) -> None:
        note = CarrierNote(
            session_id=header.session_id,
            record_key=header.record_key,
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
        self._files.fetch_later(session_id)

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
