"""Sees to it that every call's recording, transcript and record reach the store, exactly once.

A journal is finished when its call ends, or at the next start where the process died. It is
removed only after the store has given everything back unharmed. What cannot be stored waits on
disk and is tried again for ever, with growing pauses, oldest first; the first success after an
outage brings the others forward (see :mod:`sessions.waiting`).
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
from loguru import logger

from config.errors import StorageError
from config.prices import PricesSettings
from sessions.answered_notes import FOLDER, forget_note
from sessions.build import BuiltCall, build_call
from sessions.built_files import BuiltFiles, built_files
from sessions.journal_seal import JournalKeyError, JournalVersionError
from sessions.record import CallRecord
from sessions.record_lock import RecordLock
from sessions.spool import JournalBusyError, locked, remove, set_aside, unfinished_since
from sessions.store_troubles import StoreTroubles, let_go
from sessions.storing import CallStorer, StoredCall
from sessions.waiting import Backoff, Lock, WaitingCalls
from storage.base import Storage

__all__ = ["KeeperOptions", "KeeperStats", "RecordKeeper", "StoredCall"]

T = TypeVar("T")

_LOCK_PAUSES_SECONDS = (0.02, 0.05, 0.1)
#: How often it is looked at how long calls have waited.
_WATCH_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperOptions:
    """How hard the keeper works.

    Attributes:
        builders: Recordings made at once, each in a thread.
        parallel: Calls stored at once.
        backoff: Pauses between tries to store a call.
        alert_seconds: Once a call has waited for so long, the log says so.
        rescan_seconds: How often the folder is searched for journals that nobody owns.
        build_seconds: Longest time for making one call's files.
    """

    builders: int = 2
    parallel: int = 4
    backoff: Backoff = field(default_factory=Backoff)
    alert_seconds: float = 900.0
    rescan_seconds: float = 300.0
    build_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperStats:
    """Figures for metrics.

    Attributes:
        waiting: Calls that could not be stored yet.
        oldest_seconds: How long the first of them has waited, since its call ended where an
            earlier process left it.
        unknown_keys: Names of keys that are not known here, and how many calls are sealed with
            each.
        unknown_versions: Forms of journals of newer servers, and how many calls have each.
        set_aside: Journals that nothing could be made of.
    """

    waiting: int
    working: int
    oldest_seconds: float
    stored: int
    failures: int
    unknown_keys: dict[str, int]
    unknown_versions: dict[str, int]
    set_aside: int


class RecordKeeper:
    """Finishes journals; one per process, used from the loop's thread.

    Args:
        storage: Where things go.
        root: Folder of the journals.
        on_stored: Told of every call that has become safe, also of those that took several
            tries or a restart. Must not block.
        prices: For the cost in records.
        report: Awaited with every call that has been stored, before its journal goes; where it
            fails, the journal stays and the call is tried again.
    """

    def __init__(
        self,
        storage: Storage,
        root: Path,
        *,
        options: KeeperOptions | None = None,
        on_stored: Callable[[StoredCall], None] | None = None,
        prices: PricesSettings | None = None,
        report: Callable[[StoredCall], Awaitable[None]] | None = None,
    ) -> None:
        self._root = root.absolute()
        #: Held while a stored record is changed, by whoever does it on this data folder.
        self.amending = RecordLock(self._root.parent)
        self._storer = CallStorer(storage, self.amending)
        self._options = options or KeeperOptions()
        self._on_stored = on_stored
        self._prices = prices
        self._report = report
        self._pool = ThreadPoolExecutor(self._options.builders, thread_name_prefix="keeper")
        self._slots = asyncio.Semaphore(self._options.parallel)
        self._working: dict[Path, asyncio.Task[StoredCall]] = {}
        self._waiting = WaitingCalls(self._options.backoff, self._options.alert_seconds)
        self._looked = time.monotonic()
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._stored = 0
        self._failures = 0
        self._set_aside = 0
        self._troubles = StoreTroubles()

    async def start(self) -> None:
        """Take up what an earlier process left behind, and go on in the background."""
        await self._rescan()
        self._loop_task = asyncio.create_task(self._retry_for_ever(), name="record-keeper")

    async def finish(self, folder: Path) -> StoredCall:
        """Build, store and verify one call, then remove its journal.

        Cancelling the wait does not stop the work. After an error the journal stays, and the
        keeper goes on trying.

        Args:
            folder: A journal in the keeper's own folder.

        Raises:
            StorageError: It could not be stored this time.
        """
        return await asyncio.shield(self._begin(self._root / folder.name))

    async def amend(self, record_key: str, name: str, detail: str) -> CallRecord:
        """Add a carrier's late notice to a stored record, once.

        Returns:
            The record as it is stored now.

        Raises:
            StorageError: The record stands as it was.
        """
        # One at a time, each on what is stored: two notices that come together are both kept.
        async with self.amending:
            return await self._storer.add_notice(record_key, name, detail)

    def stats(self) -> KeeperStats:
        """How much waits."""
        return KeeperStats(
            waiting=len(self._waiting),
            working=len(self._working),
            oldest_seconds=self._waiting.oldest_seconds(),
            stored=self._stored,
            failures=self._failures,
            unknown_keys=self._waiting.unknown_keys,
            unknown_versions=self._waiting.unknown_versions,
            set_aside=self._set_aside,
        )

    async def close(self, deadline_seconds: float = 10.0) -> None:
        """Let work under way end until the deadline; the rest is taken up at the next start."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
        if tasks := set(self._working.values()):
            _, late = await asyncio.wait(tasks, timeout=deadline_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, folder: Path) -> asyncio.Task[StoredCall]:
        task = self._working.get(folder)
        if task is None:
            task = asyncio.create_task(self._attempt(folder), name=f"keep-{folder.name}")
            self._working[folder] = task
            self._waiting.began(folder)
            began = time.monotonic()
            task.add_done_callback(lambda done: self._ended(folder, done, began))
        return task

    def _ended(self, folder: Path, task: asyncio.Task[StoredCall], began: float) -> None:
        del self._working[folder]
        stopped = StorageError("server_stops", "the server stops")
        error = stopped if task.cancelled() else task.exception()
        let_go(error)
        if error is None:
            self._troubles.over(folder)
            self._waiting.stored(folder)
            self._stored += 1
            if self._on_stored is not None:
                self._on_stored(task.result())
        elif isinstance(error, StorageError) and error.code == "journal_gone":
            self._troubles.over(folder)
            self._waiting.gone(folder)
        elif isinstance(error, JournalKeyError):
            self._failures += 1
            self._waiting.locked(folder, error, Lock("key", error.key_name))
        elif isinstance(error, JournalVersionError):
            self._failures += 1
            self._waiting.locked(folder, error, Lock("version", str(error.version)))
        else:
            self._failures += 1
            store = isinstance(error, StorageError) and not error.code.startswith("journal_")
            if isinstance(error, StorageError) and store and not task.cancelled():
                self._troubles.note(folder, error)
            self._waiting.failed(folder, error, began, store=store)
        self._wake.set()

    async def _retry_for_ever(self) -> None:
        while True:
            self._wake.clear()
            pause_seconds = _WATCH_SECONDS
            try:
                await self._take_up()
                pause_seconds = self._pause()
            # What nobody foresaw is told, and ends neither the trying nor the server's stop.
            except Exception:
                logger.exception("calls that wait to be stored were not looked at")
            # Not wait_for: in Python 3.11 it can swallow the cancellation that ends this task.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._wake.wait()

    async def _take_up(self) -> None:
        """Begin with what is due."""
        if time.monotonic() - self._looked >= self._options.rescan_seconds:
            await self._rescan()
        self._waiting.watch()
        while len(self._working) < self._at_once and (folder := self._waiting.take()):
            self._begin(folder)

    @property
    def _at_once(self) -> int:
        """Building calls for a store that is away would only take time from live ones."""
        return 1 if self._waiting.is_outage else self._options.parallel

    def _pause(self) -> float:
        """Until the next journal is due that is not being worked on, or the next search."""
        until = self._looked + self._options.rescan_seconds
        # Where all places are taken, the end of any of them wakes us.
        if len(self._working) < self._at_once:
            until = min(until, self._waiting.next_due() or until)
        return min(max(0.01, until - time.monotonic()), _WATCH_SECONDS)

    async def _rescan(self) -> None:
        self._looked = time.monotonic()
        try:
            found = await self._in_thread(unfinished_since, self._root)
        except (OSError, StorageError) as error:
            # A disk that is away for a while must not end the search for ever.
            logger.warning("the folder of journals cannot be searched: {}", error)
            return
        for ended_at, folder in found:
            if folder not in self._working:
                self._waiting.found(folder, ended_at)

    async def _attempt(self, folder: Path) -> StoredCall:
        async with self._slots:
            with ExitStack() as owned:
                await self._own(folder, owned)
                files = await self._in_thread(built_files, folder)
                try:
                    built = self._troubles.told(folder, await self._build(folder, files))
                    stored = await self._storer.store(built, files)
                    if self._report is not None:
                        await self._report(stored)
                    await self._in_thread(self._remove, folder, built.salvage)
                finally:
                    # Beside the loop: to give a large file back takes the disk a moment.
                    with contextlib.suppress(RuntimeError):
                        self._pool.submit(files.close)
                return stored

    def _remove(self, folder: Path, salvage: bool) -> None:
        """The journal goes last: a note without one would be taken for a call that was lost.

        Another process may hold the note of a call that is finished here.
        """
        try:
            forget_note(self._root.parent / FOLDER, folder.name)
        except OSError as error:
            message = f"the note of call {folder.name} cannot be removed: {error}"
            raise StorageError("journal_note_kept", message) from error
        (set_aside if salvage else remove)(folder)

    async def _own(self, folder: Path, owned: ExitStack) -> None:
        """Lock the journal; a search for forgotten ones may hold it for an instant."""
        for patience in (*_LOCK_PAUSES_SECONDS, None):
            try:
                await self._in_thread(owned.enter_context, locked(folder))
                return
            except FileNotFoundError as error:
                raise StorageError("journal_gone", f"no journal {folder.name}") from error
            except JournalBusyError as error:
                if patience is None:
                    raise StorageError("journal_busy", f"journal {error} is in use") from error
                await asyncio.sleep(patience)

    async def _build(self, folder: Path, files: BuiltFiles) -> BuiltCall:
        try:
            return await self._in_thread(build_call, folder, self._prices, files)
        except (FileNotFoundError, msgspec.MsgspecError) as error:
            await self._in_thread(set_aside, folder, error)
            self._set_aside += 1
            raise StorageError("journal_gone", f"unreadable journal: {error}") from error
        except OSError as error:
            raise StorageError("storage_unavailable", f"building: {error}") from error

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._pool, call, *args)
        try:
            async with asyncio.timeout(self._options.build_seconds):
                return await future
        except TimeoutError:
            message = f"no end in {self._options.build_seconds:g} s"
            raise StorageError("storage_unavailable", message) from None
