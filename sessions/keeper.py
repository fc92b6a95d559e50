"""Sees to it that every call's recording, transcript and record reach the store, exactly once.

A journal is finished when its call ends, or at the next start where the process died. It is
removed only after the store has given everything back unharmed. What cannot be stored waits on
disk and is tried again for ever, with growing pauses, oldest first; the first success after an
outage brings the others forward (see :mod:`sessions.waiting`).
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import msgspec
from loguru import logger

from config.errors import StorageError
from config.prices import PricesSettings
from sessions.build import BuiltCall, BuiltFile, build_call, built_path, remove_built
from sessions.deletion_notes import deletion_notes
from sessions.journal_seal import is_sealed
from sessions.record import CallRecord, NoticeRecord, StoredFile
from sessions.spool import JournalBusyError, ended_at, locked, remove, set_aside, unfinished
from sessions.waiting import Backoff, WaitingCalls
from storage.base import ObjectInfo, Storage

T = TypeVar("T")

_JSON = "application/json"
_LOCK_PAUSES_SECONDS = (0.02, 0.05, 0.1)
#: How often it is looked at how long calls have waited.
_WATCH_SECONDS = 10.0
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
    """

    waiting: int
    working: int
    oldest_seconds: float
    stored: int
    failures: int


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
        self._storage = storage
        self._root = root.absolute()
        self._options = options or KeeperOptions()
        self._on_stored = on_stored
        self._prices = prices
        self._report = report
        self._pool = ThreadPoolExecutor(self._options.builders, thread_name_prefix="keeper")
        self._slots = asyncio.Semaphore(self._options.parallel)
        self._working: dict[Path, asyncio.Task[StoredCall]] = {}
        self._waiting = WaitingCalls(self._options.backoff, self._options.alert_seconds)
        self._looked = time.monotonic()
        #: Held while a stored record is changed, by whoever does it in this process.
        self.amending = asyncio.Lock()
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._stored = 0
        self._failures = 0

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

    async def amend(self, call: StoredCall, name: str, detail: str) -> StoredCall:
        """Add a carrier's late notice to a stored record, once.

        Raises:
            StorageError: The record stands as it was.
        """
        # One at a time, each on what is stored: two notices that come together are both kept.
        async with self.amending:
            stored = await self._storage.read("transcripts", call.record_key)
            record = msgspec.json.decode(stored, type=CallRecord)
            if not any(n.name == name and n.detail == detail for n in record.notices):
                at_ms = record.duration_seconds * 1000
                notice = NoticeRecord(at_ms=at_ms, name=name, detail=detail)
                record = msgspec.structs.replace(record, notices=[*record.notices, notice])
                data = msgspec.json.encode(record)
                await self._storage.put_bytes(
                    "transcripts", call.record_key, data, _JSON, _metadata(record)
                )
            return replace(call, record=record)

    def stats(self) -> KeeperStats:
        """How much waits."""
        return KeeperStats(
            waiting=len(self._waiting),
            working=len(self._working),
            oldest_seconds=self._waiting.oldest_seconds(),
            stored=self._stored,
            failures=self._failures,
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
            began = time.monotonic()
            task.add_done_callback(lambda done: self._ended(folder, done, began))
        return task

    def _ended(self, folder: Path, task: asyncio.Task[StoredCall], began: float) -> None:
        del self._working[folder]
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            self._waiting.stored(folder)
            self._stored += 1
            if self._on_stored is not None:
                self._on_stored(task.result())
        elif isinstance(error, StorageError) and error.code == "journal_gone":
            self._waiting.gone(folder)
        else:
            self._failures += 1
            self._waiting.failed(folder, error, began)
        self._wake.set()

    async def _retry_for_ever(self) -> None:
        while True:
            self._wake.clear()
            if time.monotonic() - self._looked >= self._options.rescan_seconds:
                await self._rescan()
            self._waiting.watch()
            free = self._options.parallel - len(self._working)
            due = [folder for folder in self._waiting.due() if folder not in self._working]
            for folder in due[: max(0, free)]:
                self._begin(folder)
            # Not wait_for: in Python 3.11 it can swallow the cancellation that ends this task.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()

    def _pause(self) -> float:
        """Until the next journal is due that is not being worked on, or the next search."""
        until = self._looked + self._options.rescan_seconds
        # Where all places are taken, the end of any of them wakes us.
        if len(self._working) < self._options.parallel:
            until = min(until, self._waiting.next_due(self._working.keys()) or until)
        return min(max(0.01, until - time.monotonic()), _WATCH_SECONDS)

    async def _rescan(self) -> None:
        self._looked = time.monotonic()
        try:
            found = await self._in_thread(unfinished, self._root)
        except (OSError, StorageError) as error:
            # A disk that is away for a while must not end the search for ever.
            logger.warning("the folder of journals cannot be searched: {}", error)
            return
        for folder in found:
            if folder not in self._working:
                with contextlib.suppress(FileNotFoundError):
                    self._waiting.found(folder, ended_at(folder))

    async def _attempt(self, folder: Path) -> StoredCall:
        async with self._slots:
            with ExitStack() as owned:
                await self._own(folder, owned)
                built = await self._build(folder)
                try:
                    stored = await self._store(folder, built)
                except StorageError:
                    # What was built is in the clear: of a sealed journal nothing else may be.
                    if is_sealed(folder):
                        await self._in_thread(remove_built, folder)
                    raise
                if self._report is not None:
                    await self._report(stored)
                await self._in_thread(set_aside if built.salvage else remove, folder)
                return stored

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

    async def _build(self, folder: Path) -> BuiltCall:
        try:
            return await self._in_thread(build_call, folder, self._prices)
        except (FileNotFoundError, msgspec.MsgspecError) as error:
            await self._in_thread(set_aside, folder)
            raise StorageError("journal_gone", f"unreadable journal: {error}") from error
        except OSError as error:
            raise StorageError("storage_unavailable", f"building: {error}") from error

    async def _store(self, folder: Path, built: BuiltCall) -> StoredCall:
        record = built.record
        if built.recording:
            file = await self._keep(folder, built.recording, record)
            sound = msgspec.structs.replace(record.recording, file=file)
            record = msgspec.structs.replace(record, recording=sound)
        record = msgspec.structs.replace(
            record,
            transcript=await self._keep(folder, built.transcript, record),
            transcript_text=await self._keep(folder, built.transcript_text, record),
        )
        if built.transcript_vtt:  # Built by an older server, there is none.
            shown = await self._keep(folder, built.transcript_vtt, record)
            record = msgspec.structs.replace(record, transcript_vtt=shown)
        await self._note_deletions(record, built.record_key)
        # The record goes last: where there is one, all it speaks of is there.
        data = msgspec.json.encode(record)
        info = await self._storage.put_bytes(
            "transcripts", built.record_key, data, _JSON, _metadata(record)
        )
        if await self._storage.read("transcripts", built.record_key) != data:
            raise StorageError("storage_corrupt", f"{built.record_key} came back changed")
        text_path = built_path(folder, built.transcript_text)
        text = await self._in_thread(text_path.read_text, "utf-8")
        return StoredCall(
            record=record,
            transcript_text=text,
            record_key=built.record_key,
            record_url=info.url,
        )

    async def _note_deletions(self, record: CallRecord, record_key: str) -> None:
        """Before the record: a call that is kept is also one that will be deleted in time."""
        for key, note in deletion_notes(record, record_key):
            await self._storage.put_bytes("transcripts", key, note, _JSON)

    async def _keep(self, folder: Path, file: BuiltFile, record: CallRecord) -> StoredFile:
        metadata = {**_metadata(record), "sha256": file.sha256}
        path = built_path(folder, file)
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

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._pool, call, *args)
        try:
            async with asyncio.timeout(self._options.build_seconds):
                return await future
        except TimeoutError:
            message = f"no end in {self._options.build_seconds:g} s"
            raise StorageError("storage_unavailable", message) from None


def _metadata(record: CallRecord) -> dict[str, str]:
    wanted = {"session-id": record.session_id, "agent-id": record.agent_id}
    return {name: value for name, value in wanted.items() if _METADATA_SAFE.fullmatch(value)}
