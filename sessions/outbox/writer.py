"""Puts reports on disk, one after the other, in a thread beside the calls.

What is told of a call while it lives may be dropped when the disk does not keep up: it is made
again when the call has been stored, since a mark is left on disk for every step that was told.
What is told of a stored call is waited for, and the call's journal stays until it is written.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from loguru import logger

from config.errors import StorageError
from sessions.outbox.courier import Courier
from sessions.outbox.report import Report
from storage.whole_files import PRIVATE, make_folder

StepName = Literal["started", "ended", "stored", "busy"]

#: Batches of live calls that may wait for the disk.
MAX_QUEUED: Final = 1000
#: A call whose journal could never be made leaves its marks behind; they go after so long.
MARK_SECONDS: Final = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """A report, and for whom."""

    courier: Courier
    name: str
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a call and all reports of it.

    Attributes:
        once: It is not told again where it has been told before.
    """

    name: StepName
    reports: tuple[Addressed, ...]
    once: bool = True


@dataclass(frozen=True, slots=True)
class _Job:
    session_id: str
    steps: Sequence[Step]
    written: "asyncio.Future[None] | None" = None


class ReportWriter:
    """Writes for all receivers; used from the loop's thread.

    Args:
        marks: Folder of the marks.
        pool: The thread of the couriers.
        most: Jobs that may wait.
    """

    def __init__(self, marks: Path, pool: Executor, *, most: int = MAX_QUEUED) -> None:
        self._marks = marks
        self._pool = pool
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(most)
        self._task: asyncio.Task[None] | None = None
        self._troubled = False
        self.dropped = 0

    async def start(self) -> None:
        """Begin to write, and clear old marks away."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._clear_old_marks)
        self._task = asyncio.create_task(self._write_for_ever(), name="report-writer")

    async def close(self, seconds: float) -> None:
        """Write what is queued, until the deadline."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._jobs.join()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job.written is not None and not job.written.done():
                job.written.set_exception(_unwritten("the server stops"))

    def offer(self, session_id: str, steps: Sequence[Step]) -> bool:
        """Have steps of a live call written; never blocks.

        Returns:
            False where they were dropped.
        """
        try:
            self._jobs.put_nowait(_Job(session_id, steps))
        except asyncio.QueueFull:
            self.dropped += 1
            return False
        return True

    async def write(self, session_id: str, steps: Sequence[Step]) -> None:
        """Write steps of a call and wait until they are on disk.

        Raises:
            StorageError: They are not (``report_unwritten``).
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._jobs.put(_Job(session_id, steps, written))
        await written

    async def forget(self, session_id: str) -> None:
        """Nothing more will be told of a call."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._remove_marks, session_id)

    async def _write_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            job = await self._jobs.get()
            error: StorageError | None = None
            for step in job.steps:
                placed: list[tuple[Addressed, bool]] = []
                try:
                    await loop.run_in_executor(
                        self._pool, self._write, job.session_id, step, placed
                    )
                except OSError as failure:
                    error = _unwritten(str(failure))
                # Whatever lies there is announced, also by half a step: it would not be new the
                # next time, and what comes after it in the call would go before it.
                for report, is_new in placed:
                    report.courier.added(report.name, is_new=is_new)
                if error is not None:
                    break
            self._finish(job, error)
            self._jobs.task_done()

    def _finish(self, job: _Job, error: StorageError | None) -> None:
        if error is not None and not self._troubled:
            logger.error("reports cannot be written: {}", error.message)
        self._troubled = error is not None
        if job.written is None:
            self.dropped += error is not None
        elif not job.written.done():
            if error is None:
                job.written.set_result(None)
            else:
                job.written.set_exception(error)

    # -- in the thread ------------------------------------------------------------------

    def _write(self, session_id: str, step: Step, placed: list[tuple[Addressed, bool]]) -> None:
        """Write a step's reports; ``placed`` has those that lie there, and which of them are new.

        Raises:
            OSError: Not all of it could be written; without the mark, it is written again.
        """
        mark = self._marks / f"{session_id}.{step.name}"
        if step.once and mark.exists():
            return
        for to in step.reports:
            placed.append((to, to.courier.folder.write(to.name, to.report)))
        for courier in {to.courier for to in step.reports}:
            courier.folder.sync()
        if step.once:
            make_folder(self._marks, PRIVATE)
            # Not synced: without it a report would be made twice, which its key tells.
            mark.touch(mode=0o600)

    def _remove_marks(self, session_id: str) -> None:
        for name in ("started", "ended", "stored"):
            (self._marks / f"{session_id}.{name}").unlink(missing_ok=True)

    def _clear_old_marks(self) -> None:
        oldest = time.time() - MARK_SECONDS
        with contextlib.suppress(OSError):
            for mark in self._marks.iterdir():
                with contextlib.suppress(OSError):
                    if mark.stat().st_mtime < oldest:
                        mark.unlink()


def _unwritten(why: str) -> StorageError:
    return StorageError("report_unwritten", f"a report could not be written: {why}")
