"""A call reaches the store once, whatever the store and the process do."""

import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from loguru import logger
from prometheus_client import REGISTRY

from bot.events import AgentSpeech, CallEnded, CallerTranscript, CallStarted
from config.errors import StorageError
from sessions.journal_format import EVENTS_NAME, HEADER_NAME, MEDIA_NAME, JournalHeader
from sessions.journal_frames import read_frames
from sessions.journal_seal import SEAL_NAME
from sessions.journal_writer import JournalWriter
from sessions.keeper import KeeperOptions, RecordKeeper, StoredCall
from sessions.record import CallRecord
from sessions.spool import remove, unfinished
from sessions.transcript import Transcript
from sessions.waiting import OUTAGE_FAILURES, Backoff
from storage.base import ObjectInfo, StorageKind
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.journals import a_call, header, numbered, packets
from tests.until import until

FAST = KeeperOptions(backoff=Backoff(first_seconds=0.01, longest_seconds=0.04))


class ShakyStorage(FilesystemStorage):
    """A store that can be switched off, and that can return other bytes than it was given."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.down = False
        self.corrupt = False
        self.puts = 0

    async def put_file(self, kind: StorageKind, key: str, path: Path, *rest: object) -> ObjectInfo:
        self.puts += 1
        if self.down:
            raise StorageError("storage_unavailable", "switched off")
        return await super().put_file(kind, key, path, *rest)  # type: ignore[arg-type]

    async def sha256(self, kind: StorageKind, key: str) -> str:
        found = await super().sha256(kind, key)
        return found[::-1] if self.corrupt else found


@asynccontextmanager
async def keeping(
    storage: ShakyStorage, root: Path, stored: list[StoredCall] | None = None
) -> AsyncIterator[RecordKeeper]:
    told = (stored if stored is not None else []).append
    keeper = RecordKeeper(storage, root, options=FAST, on_stored=told)
    await keeper.start()
    try:
        yield keeper
    finally:
        await keeper.close()


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[ShakyStorage]:
    made = ShakyStorage(tmp_path / "store")
    yield made
    await made.close()


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="WARNING")
    yield lines
    logger.remove(sink)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "journal"


async def write_call(root: Path, head: JournalHeader | None = None, cause: str = "") -> Path:
    """A finished or (without a cause) broken-off call of one second."""
    async with a_call(root, head or header()) as call:
        call.event(
            CallStarted(
                at_ms=0.0,
                carrier_call_id="cid",
                from_number="+910000000001",
                to_number="+910000000002",
                direction="inbound",
            )
        )
        for i, data in enumerate(packets(numbered(8000))):
            call.caller_audio(20.0 * i, data)
        call.event(
            CallerTranscript(
                at_ms=700.0,
                text="नमस्ते",
                final=True,
                started_ms=200.0,
                language="hi",
                confidence=0.9,
                provider="offline",
            )
        )
        call.event(
            AgentSpeech(
                at_ms=950.0,
                turn=1,
                started_ms=800.0,
                text="hello there",
                heard_text="hello",
                interrupted=True,
                language="en",
                provider="espeak",
            )
        )
        if cause:
            call.event(CallEnded(at_ms=1200.0, cause=cause))
    return call.folder


async def read_record(storage: ShakyStorage, session_id: str) -> CallRecord:
    data = await storage.read("transcripts", f"records/2026/11/01/{session_id}.json")
    return msgspec.json.decode(data, type=CallRecord)


async def test_a_call_is_kept_whole(storage: ShakyStorage, root: Path) -> None:
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        folder = await write_call(root, cause="caller_hangup")
        stored = await keeper.finish(folder)
    assert told == [stored]
    assert list(root.iterdir()) == []  # noqa: ASYNC240
    record = await read_record(storage, folder.name)
    assert record == stored.record
    assert (record.end_cause, record.duration_seconds) == ("caller_hangup", 1.2)
    assert record.recording.state == "stored" and record.recording.complete
    for file in (record.recording.file, record.transcript, record.transcript_text):
        assert file is not None
        data = await storage.read(file.kind, file.key)
        assert hashlib.sha256(data).hexdigest() == file.sha256
        assert (await storage.stat(file.kind, file.key)).metadata["session-id"] == folder.name
    assert record.recording.file.key == f"2026/11/01/{folder.name}.wav"  # type: ignore[union-attr]
    said = msgspec.json.decode(
        await storage.read("transcripts", f"2026/11/01/{folder.name}.json"), type=Transcript
    )
    assert [line.text for line in said.utterances] == ["नमस्ते", "hello"]
    assert stored.transcript_text == (
        "[2026-11-01 12:00:00] user: नमस्ते\n[2026-11-01 12:00:01] assistant: hello\n"
    )


async def test_the_same_carrier_call_twice_is_two_calls(storage: ShakyStorage, root: Path) -> None:
    async with keeping(storage, root) as keeper:
        for _ in range(2):
            head = header(carrier_call_id="../same")
            await keeper.finish(await write_call(root, head, "caller_hangup"))
    keys = [info.key async for info in storage.list_objects("recordings")]
    assert len(keys) == 2 and not any("same" in key for key in keys)


async def test_without_recording_the_rest_is_kept(storage: ShakyStorage, root: Path) -> None:
    async with keeping(storage, root) as keeper:
        off = await keeper.finish(await write_call(root, header(record_audio=False), "silence"))
        async with a_call(root, header()) as call:
            call.event(CallEnded(at_ms=5000.0, cause="no_start"))
        empty = await keeper.finish(call.folder)
    assert (off.record.recording.state, off.record.recording.file) == ("off", None)
    assert (empty.record.recording.state, empty.record.end_cause) == ("empty", "no_start")
    assert [x async for x in storage.list_objects("recordings")] == []


async def test_storage_down_then_back(storage: ShakyStorage, root: Path) -> None:
    told: list[StoredCall] = []
    storage.down = True
    async with keeping(storage, root, told) as keeper:
        folders = [await write_call(root, cause="caller_hangup") for _ in range(12)]
        for folder in folders:
            with pytest.raises(StorageError, match="switched off"):
                await keeper.finish(folder)
        assert keeper.stats().waiting == 12 and keeper.stats().oldest_seconds > 0
        await until(lambda: storage.puts > 30)
        assert told == [] and all(folder.exists() for folder in folders)
        storage.down = False
        await until(lambda: len(told) == 12)
        assert (keeper.stats().waiting, keeper.stats().stored) == (0, 12)
    assert {call.record.session_id for call in told} == {folder.name for folder in folders}
    assert list(root.iterdir()) == []  # noqa: ASYNC240


async def test_a_store_that_is_away_leaves_its_marks(
    storage: ShakyStorage, root: Path, log: list[str]
) -> None:
    def counted() -> float:
        labels = {"stage": "storage", "kind": "storage_unavailable"}
        return REGISTRY.get_sample_value("errors_total", labels) or 0.0

    storage.down = True
    told: list[StoredCall] = []
    before = counted()
    async with keeping(storage, root, told) as keeper:
        folder = await write_call(root, cause="agent_hangup")
        for _ in range(3):
            with pytest.raises(StorageError):
                await keeper.finish(folder)
        assert counted() == before + 1
        storage.down = False
        other = await keeper.finish(await write_call(root, cause="silence"))
        await until(lambda: len(told) == 2)
    late = next(call.record for call in told if call.record.session_id == folder.name)
    marks = [(each.stage, each.kind) for each in late.degraded]
    assert marks.count(("storage", "storage_unavailable")) == 1
    assert all(each.stage != "storage" for each in other.record.degraded)
    assert len([line for line in log if folder.name in line and "waits" in line]) == 1


class Busy(ShakyStorage):
    """Counts how many calls are sent at once, and notes the order in which they begin."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.sending: set[str] = set()
        self.most = 0
        self.order: list[str] = []

    async def put_file(self, kind: StorageKind, key: str, path: Path, *rest: object) -> ObjectInfo:
        call = Path(key).stem
        if call not in self.order:
            self.order.append(call)
        self.sending.add(call)
        self.most = max(self.most, len(self.sending))
        try:
            return await super().put_file(kind, key, path, *rest)
        finally:
            self.sending.discard(call)


def left_behind(root: Path, number: int) -> list[str]:
    """Journals of calls without sound that an earlier process left, oldest first."""
    names = []
    for age in range(number, 0, -1):
        head = header()
        folder = root / head.session_id
        folder.mkdir(parents=True)
        (folder / HEADER_NAME).write_bytes(msgspec.json.encode(head))
        (folder / MEDIA_NAME).touch()
        ended = time.time() - 60.0 * age
        os.utime(folder / MEDIA_NAME, (ended, ended))
        names.append(head.session_id)
    return names


async def test_hundreds_wait_quietly_and_are_stored_a_few_at_a_time(tmp_path: Path) -> None:
    root, number = tmp_path / "journal", 300
    names = left_behind(root, number)
    storage, told = Busy(tmp_path / "store"), list[StoredCall]()
    storage.down = True
    options = KeeperOptions(parallel=3, backoff=Backoff(first_seconds=3600, longest_seconds=3600))
    keeper = RecordKeeper(storage, root, options=options, on_stored=told.append)
    await keeper.start()
    try:
        await until(lambda: keeper.stats().failures >= OUTAGE_FAILURES, seconds=120)
        await until(lambda: keeper.stats().working == 0)
        stats = keeper.stats()
        assert stats.waiting == number and stats.oldest_seconds > 59 * number
        # Nobody else is built and sent in vain, however many wait.
        assert stats.failures == storage.puts <= OUTAGE_FAILURES + options.parallel - 1
        assert set(storage.order) == set(names[: storage.puts])
        storage.down, storage.order = False, []
        new = await write_call(root, cause="caller_hangup")
        await keeper.finish(new)
        await until(lambda: keeper.stats().stored == number + 1, seconds=120)
        assert keeper.stats().waiting == 0 and storage.most <= options.parallel
        # Oldest first, but for the places of those that are sent at the same time.
        places = [names.index(call) for call in storage.order if call in names]
        overtaken = [len(set(range(place)) - set(places[:at])) for at, place in enumerate(places)]
        assert max(overtaken) < options.parallel
    finally:
        await keeper.close()
        await storage.close()
    assert len(told) == number + 1 and list(root.iterdir()) == []  # noqa: ASYNC240


class Hanging(ShakyStorage):
    """A store that, once it is told to, takes what is sent and never answers."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.hangs = False
        self.asked = asyncio.Event()

    async def put_file(self, kind: StorageKind, key: str, path: Path, *rest: object) -> ObjectInfo:
        if self.hangs:
            self.puts += 1
            self.asked.set()
            await asyncio.Event().wait()
        return await super().put_file(kind, key, path, *rest)


async def test_one_call_waits_for_a_store_that_hangs(tmp_path: Path) -> None:
    root, storage = tmp_path / "journal", Hanging(tmp_path / "store")
    left_behind(root, 20)
    storage.down = True
    async with keeping(storage, root) as keeper:
        await until(lambda: keeper.stats().failures > 2 * OUTAGE_FAILURES)
        storage.hangs, before = True, storage.puts
        async with asyncio.timeout(20):
            await storage.asked.wait()
        # Longer than any pause: others have been due again and again.
        await asyncio.sleep(5 * FAST.backoff.longest_seconds)
        assert (storage.puts - before, keeper.stats().working) == (1, 1)
        for task in [*keeper._working.values()]:
            task.cancel()
    await storage.close()


async def test_what_waits_survives_a_restart(storage: ShakyStorage, root: Path) -> None:
    storage.down = True
    async with keeping(storage, root) as keeper:
        folder = await write_call(root, cause="agent_hangup")
        with pytest.raises(StorageError):
            await keeper.finish(folder)
    storage.down = False
    told: list[StoredCall] = []
    async with keeping(storage, root, told):
        await until(lambda: told)
    assert told[0].record.end_cause == "agent_hangup"
    assert not folder.exists()


async def test_a_store_that_gives_other_bytes_back(storage: ShakyStorage, root: Path) -> None:
    storage.corrupt = True
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        folder = await write_call(root, cause="caller_hangup")
        with pytest.raises(StorageError) as caught:
            await keeper.finish(folder)
        assert caught.value.code == "storage_corrupt"
        assert (folder / MEDIA_NAME).exists()
        storage.corrupt = False
        await until(lambda: told)


async def test_a_cancelled_wait_does_not_stop_the_work(storage: ShakyStorage, root: Path) -> None:
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        waiting = asyncio.create_task(keeper.finish(await write_call(root, cause="silence")))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await until(lambda: told)


async def test_finishing_twice_at_once_stores_once(storage: ShakyStorage, root: Path) -> None:
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        folder = await write_call(root, cause="silence")
        first, second = await asyncio.gather(keeper.finish(folder), keeper.finish(folder))
        assert first is second and len(told) == 1
        with pytest.raises(StorageError) as caught:
            await keeper.finish(folder)
        assert caught.value.code == "journal_gone"
        assert keeper.stats().waiting == 0


async def test_a_live_call_is_left_alone(storage: ShakyStorage, root: Path) -> None:
    writer = JournalWriter(root)
    writer.start()
    call = writer.open(header())
    await until(call.folder.exists)
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        with pytest.raises(StorageError) as caught:
            await keeper.finish(call.folder)
        assert caught.value.code == "journal_busy"
        await call.close()
        await until(lambda: told)
    await writer.close()
    assert told[0].record.end_cause == "crash"


async def test_an_unreadable_journal_is_put_aside(storage: ShakyStorage, root: Path) -> None:
    folder = await write_call(root)
    (folder / HEADER_NAME).write_bytes(b"{")
    (folder / EVENTS_NAME).write_bytes(b"{")
    good = await write_call(root, cause="silence")
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        await until(lambda: told and not folder.exists())
        await until(lambda: not keeper.stats().waiting)
        assert keeper.stats().set_aside == 1
    assert told[0].record.session_id == good.name
    assert (root / f".broken-{folder.name}" / MEDIA_NAME).exists()


@pytest.mark.parametrize("damaged", [b"", b"{", b"\xff" * 300, None])
async def test_a_damaged_header_is_read_from_its_copy(
    storage: ShakyStorage, root: Path, damaged: bytes | None
) -> None:
    head = header(labels={"team": "seven"})
    folder = await write_call(root, head, cause="silence")
    if damaged is None:
        (folder / HEADER_NAME).unlink()
    else:
        (folder / HEADER_NAME).write_bytes(damaged)
    async with keeping(storage, root) as keeper:
        call = await keeper.finish(folder)
    assert (call.record.labels, call.record.end_cause) == (head.labels, "silence")
    assert call.record.recording.complete and call.record.degraded == []


@pytest.mark.parametrize("name", [HEADER_NAME, SEAL_NAME])
async def test_a_journal_of_a_newer_server_waits_for_one(
    storage: ShakyStorage, root: Path, log: list[str], name: str
) -> None:
    """Whatever its words mean: it is not set aside, and keeps no other back."""
    folder = await write_call(root)
    (folder / name).write_bytes(b'{"version":2,"session":{"id":"in another form"}}')
    (folder / EVENTS_NAME).write_bytes(b"")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    good = await write_call(root, cause="silence")
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        await until(lambda: told and keeper.stats().unknown_versions)
        stats = keeper.stats()
        assert stats.unknown_versions == {"2": 1} and stats.unknown_keys == {}
        assert (stats.waiting, stats.set_aside, stats.oldest_seconds) == (1, 0, 0.0)
    assert [call.record.session_id for call in told] == [good.name]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (line,) = [line for line in log if folder.name in line]
    assert "newer version" in line


async def test_a_half_removed_journal_makes_no_second_record(
    storage: ShakyStorage, root: Path
) -> None:
    folder = await write_call(root, cause="silence")
    gone = folder.rename(root / f".gone-{folder.name}")
    (root / "notes.txt").write_text("not ours")
    (root / "lost+found").mkdir()
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        assert keeper.stats().waiting == 0
    assert not gone.exists() and told == []
    assert sorted(p.name for p in root.iterdir()) == ["lost+found", "notes.txt"]  # noqa: ASYNC240


async def test_a_removal_that_is_interrupted_leaves_no_journal(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = await write_call(root, cause="silence")
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    remove(folder)
    assert not folder.exists() and unfinished(root) == []


async def test_late_notices_that_come_together(storage: ShakyStorage, root: Path) -> None:
    async with keeping(storage, root) as keeper:
        stored = await keeper.finish(await write_call(root, cause="caller_hangup"))
        notices = [("hangup", "NORMAL_CLEARING"), ("stream", "stopped"), ("stream", "stopped")]
        await asyncio.gather(*(keeper.amend(stored.record_key, *notice) for notice in notices))
    record = await read_record(storage, stored.record.session_id)
    assert {(n.name, n.detail) for n in record.notices} == set(notices)
    assert len(record.notices) == 2
    assert record.recording == stored.record.recording


async def test_closing_in_the_middle_keeps_the_journal(storage: ShakyStorage, root: Path) -> None:
    storage.down = True
    keeper = RecordKeeper(storage, root, options=FAST)
    await keeper.start()
    folder = await write_call(root, cause="silence")
    task = asyncio.create_task(keeper.finish(folder))
    await asyncio.sleep(0)
    await keeper.close(deadline_seconds=0.0)
    with pytest.raises((StorageError, asyncio.CancelledError)):
        await task
    assert (folder / MEDIA_NAME).exists()


# A process that writes a call in real time, tells of each packet when it was handed over and how
# late a thread beside the writer's has been at most, or how long the disk has kept the writer's,
# and is killed.
_WRITER = """
import asyncio, sys, threading, time
from pathlib import Path
from sessions.journal_file import JournalFile
from sessions.journal_writer import JournalWriter
from tests.unit.sessions.journals import header

late_ms = 0.0
writing_since = None
flush = JournalFile.flush

def late_since(due):
    global late_ms
    if due is not None:
        late_ms = max(late_ms, (time.monotonic() - due) * 1000)

def timed_flush(self, **options):
    global writing_since
    writing_since = began = time.monotonic()
    flush(self, **options)
    writing_since = None
    late_since(began)

JournalFile.flush = timed_flush

def watch():
    while True:
        due = time.monotonic() + 0.005
        time.sleep(0.005)
        late_since(due)
        late_since(writing_since)

async def main():
    threading.Thread(target=watch, daemon=True).start()
    writer = JournalWriter(Path(sys.argv[1]))
    writer.start()
    call = writer.open(header(session_id=sys.argv[2]))
    began = time.monotonic()
    for i in range(10_000):
        due = began + i * 0.02
        await asyncio.sleep(max(0, due - time.monotonic()))
        call.caller_audio(20.0 * i, i.to_bytes(4, "little") * 80)
        call.agent_audio(20.0 * i + 100, i.to_bytes(4, "little") * 80)
        late_since(writing_since)
        sys.stdout.write(f"{time.monotonic():.4f} {late_ms:.0f}\\n")
        sys.stdout.flush()

asyncio.run(main())
"""


@pytest.mark.parametrize("round_", range(3))
async def test_a_killed_process_loses_100_ms_at_most(
    storage: ShakyStorage, root: Path, round_: int
) -> None:
    """Four processes at a time, each killed with SIGKILL at a random packet."""
    heads = [header() for _ in range(4)]
    sent = await asyncio.gather(*(_kill_while_writing(root, h.session_id) for h in heads))
    for head, (handed, late_ms) in zip(heads, sent, strict=True):
        frames = [kind for kind, *_ in read_frames(root / head.session_id)]
        # On a busy machine the writer is late to wake, and late again in what it does then.
        safe = [at for at in handed if at <= handed[-1] - (100 + 2 * late_ms) / 1000]
        for kind in (1, 2):
            assert frames.count(kind) >= len(safe), late_ms
    told: list[StoredCall] = []
    async with keeping(storage, root, told):
        await until(lambda: len(told) == len(heads))
    for call in told:
        assert call.record.end_cause == "crash"
        assert call.record.recording.caller_ms > 0
    assert list(root.iterdir()) == []  # noqa: ASYNC240


async def _kill_while_writing(root: Path, session_id: str) -> tuple[list[float], int]:
    """When the process had handed each packet to its journal before it was killed, in seconds.

    And how late its threads or its disk had been at most, in ms.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WRITER, str(root), session_id),
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert process.stdout is not None
    stop = random.randint(5, 60)
    told = b"".join([await process.stdout.readline() for _ in range(stop + 1)])
    await asyncio.sleep(random.uniform(0, 0.02))
    process.send_signal(signal.SIGKILL)
    told += await process.stdout.read()
    await process.wait()
    lines = [line.split() for line in told.splitlines(keepends=True) if line.endswith(b"\n")]
    return [float(at) for at, _ in lines], int(lines[-1][1])
