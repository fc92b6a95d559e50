"""Deletes what agents' files say is to be kept for so many days only.

Once a day, and at the start, the notes that are due are worked off (``deletion_notes``). What
cannot be deleted now is tried again in an hour; its note stays until it is gone.

A clock that has leapt forward makes everything due that is kept. So the day of each sweep is
noted, beside the notes and for the servers that come after, and a day more than a week beyond the
last one is not believed at once: nothing is deleted before the second day after it, by the same
clock. So a server that was off for weeks deletes two days after its start at the latest; restarts
do not begin the wait anew, and a clock that is set right ends it at the next look, within an hour.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec
from loguru import logger

from config.errors import StorageError
from sessions.deletion import delete_files, delete_object, read_record, without, write_record
from sessions.deletion_notes import PREFIX, DeletionNote, due_day
from sessions.record import CallRecord
from storage.base import MAX_PAGE_OBJECTS, Storage

DAY_SECONDS = 24 * 3600.0
RETRY_SECONDS = 3600.0
#: Where the day of the last sweep is noted; without it the clock is believed.
CLOCK_KEY = f"{PREFIX}clock"
#: More days than this between two sweeps are not believed at once.
_LEAP = timedelta(days=7)
#: From the first day of a leap to the one on which it is believed: a whole day lies between.
_PROOF = timedelta(days=2)

#: Told of a call whose record has changed, or (None) is no more: id, key of the record, record.
OnChanged = Callable[[str, str, CallRecord | None], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a sweep did.

    Attributes:
        deleted: Parts of calls that are gone.
        failed: Those that could not be deleted now.
        held: Nothing was tried: the clock is not believed yet.
    """

    deleted: int = 0
    failed: int = 0
    held: bool = False


class _Clock(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the clock.

    Attributes:
        swept: The day of the last sweep.
        leapt: The first day seen that is too far beyond it.
    """

    swept: date
    leapt: date | None = None


def _today() -> date:
    return datetime.now(UTC).date()


class RetentionSweeper:
    """Works off the notes; one per process. Several servers may sweep the same store.

    Args:
        storage: Where calls and notes are.
        amending: Held while a record is changed, as by whoever else changes records.
        today: The day, in UTC.
        on_changed: Awaited after each change, to keep an index right.
        pause_seconds: Between sweeps; after one that failed in part or was held,
            ``retry_seconds``.
    """

    def __init__(
        self,
        storage: Storage,
        amending: AbstractAsyncContextManager[None],
        *,
        today: Callable[[], date] = _today,
        on_changed: OnChanged | None = None,
        pause_seconds: float = DAY_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._storage = storage
        self._amending = amending
        self._today = today
        self._on_changed = on_changed
        self._pause_seconds = pause_seconds
        self._retry_seconds = retry_seconds
        self._task: asyncio.Task[None] | None = None
        #: By this process; another one whose clock is behind may note its own.
        self._clock: _Clock | None = None

    def start(self) -> None:
        """Sweep now and from then on, in the background."""
        self._task = asyncio.create_task(self._sweep_for_ever(), name="retention")

    async def close(self) -> None:
        """Stop; what a sweep had begun is taken up by the next."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def sweep(self) -> SweepResult:
        """Delete everything that is due, unless the clock is not to be believed yet.

        Raises:
            StorageError: The notes cannot be listed, or the clock not be judged.
        """
        deleted = failed = 0
        last = ""
        today = self._today()
        while page := await self._storage.page(
            "transcripts", PREFIX, after=last, limit=MAX_PAGE_OBJECTS
        ):
            if not last and not await self._believes(today):
                return SweepResult(held=True)
            for info in page:
                last = info.key
                day = due_day(info.key)
                if day is None:
                    continue
                if day > today:  # Keys are in the order of their days.
                    return SweepResult(deleted=deleted, failed=failed)
                try:
                    deleted += await self._work_off(info.key)
                except StorageError as error:
                    failed += 1
                    logger.warning("{} was not worked off: {}", info.key, error.message)
        return SweepResult(deleted=deleted, failed=failed)

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                result = await self.sweep()
            except StorageError as error:
                logger.warning("what is to be deleted was not found out: {}", error.message)
                result = SweepResult(failed=1)
            # Whatever goes wrong in here must not end the deleting for good.
            except Exception:
                logger.exception("a sweep of what is to be deleted failed")
                result = SweepResult(failed=1)
            if result.deleted:
                logger.info("{} parts of calls were deleted: their time was up", result.deleted)
            again = result.failed or result.held
            await asyncio.sleep(self._retry_seconds if again else self._pause_seconds)

    async def _believes(self, today: date) -> bool:
        """Whether it is the day that the clock says, as far as earlier sweeps can tell."""
        noted, known = await self._noted(), self._clock
        swept = max((clock.swept for clock in (noted, known) if clock), default=today)
        leapt = next((clock.leapt for clock in (known, noted) if clock and clock.leapt), None)
        if today - swept <= _LEAP:
            leapt, swept = None, today
        elif leapt is None or not leapt <= today <= leapt + _LEAP:
            leapt = today
        elif today >= leapt + _PROOF:
            leapt, swept = None, today
        clock = _Clock(swept=swept, leapt=leapt)
        if leapt is not None and (known is None or known.leapt != leapt):
            logger.warning(
                "nothing is deleted for its age before {}: the clock says {}, and the last sweep "
                "was on {}. If the clock is wrong, set it; if it is right, wait, or delete the "
                "object {} in the bucket (or folder) of transcripts and restart the server",
                *(leapt + _PROOF, today, swept, CLOCK_KEY),
            )
        if clock != noted:
            data = msgspec.json.encode(clock)
            await self._storage.put_bytes("transcripts", CLOCK_KEY, data, "application/json")
        self._clock = clock
        return leapt is None

    async def _noted(self) -> _Clock | None:
        try:
            data = await self._storage.read("transcripts", CLOCK_KEY)
            return msgspec.json.decode(data, type=_Clock)
        except msgspec.MsgspecError:
            return None  # As if there were none.
        except StorageError as error:
            if error.code != "storage_not_found":
                raise
            return None

    async def _work_off(self, key: str) -> bool:
        """Do what one note says, then remove it; whether there was anything to delete."""
        # A call that is being stored puts its note first: its record is there, too, after that.
        async with self._amending:
            try:
                data = await self._storage.read("transcripts", key)
                note = msgspec.json.decode(data, type=DeletionNote)
            except msgspec.MsgspecError as error:
                raise StorageError("storage_corrupt", "it is no note") from error
            record = await read_record(self._storage, note.record_key)
            if record is not None:
                await self._delete(note, record)
            await self._storage.delete("transcripts", key)
        return record is not None

    async def _delete(self, note: DeletionNote, record: CallRecord) -> None:
        await delete_files(self._storage, record, note.part)
        left: CallRecord | None = None
        if note.part == "record":
            await delete_object(self._storage, "transcripts", note.record_key)
        else:
            left = without(record, note.part)
            if left != record:
                await write_record(self._storage, note.record_key, left)
        if self._on_changed is not None:
            await self._on_changed(note.session_id, note.record_key, left)
