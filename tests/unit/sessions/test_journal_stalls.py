"""A disk that hangs is felt by the journal's thread alone: calls begin, speak and end meanwhile."""

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.events import CallEnded
from sessions.journal import CallJournal
from sessions.journal_format import (
    CALLER,
    FRAME_BYTES,
    HEADER_NAME,
    MEDIA_NAME,
    NEW_PREFIX,
    read_events,
    read_header,
)
from sessions.journal_frames import read_frames
from sessions.spool import JournalBusyError, locked, unfinished
from tests.unit.sessions.journals import header, writing
from tests.until import until

CALLS = 50
PACKET = bytes(160)
#: A pipe of Linux holds this much unless it is told otherwise (pipe(7)).
PIPE_BYTES = 65_536


class Disk:
    """Calls of the system that hang until they are let go, and who made them."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.reached = threading.Event()
        self._go = threading.Event()

    def hang(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.reached.set()
        # So that a loop which comes here fails the test instead of hanging it.
        self._go.wait(20)

    def let_go(self) -> None:
        self._go.set()

    @property
    def hangs(self) -> bool:
        return self.reached.is_set() and not self._go.is_set()


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.let_go()


def hanging(monkeypatch: pytest.MonkeyPatch, name: str, disk: Disk) -> None:
    """Have ``os.<name>`` hang, whoever calls it."""
    real = getattr(os, name)

    def call(*args: object, **options: object) -> object:
        disk.hang()
        return real(*args, **options)

    monkeypatch.setattr(os, name, call)


def speak(calls: list[CallJournal], packets: int = 10) -> None:
    for step in range(packets):
        for call in calls:
            call.caller_audio(step * 20.0, PACKET)
            call.agent_audio(step * 20.0, PACKET)


@pytest.mark.parametrize("name", ["mkdir", "open", "write", "rename"])
async def test_calls_begin_and_speak_while_the_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, name: str
) -> None:
    async with writing(tmp_path / "journal", flush_ms=1) as writer:
        hanging(monkeypatch, name, disk)
        calls = [writer.open(header()) for _ in range(CALLS)]
        speak(calls)
        await until(disk.reached.is_set)
        calls += [writer.open(header()) for _ in range(CALLS)]
        speak(calls)
        for call in calls:
            call.event(CallEnded(at_ms=200.0, cause="caller_hangup"))
        assert disk.hangs and writer.stats().open_calls == 2 * CALLS
        disk.let_go()
        ends = await asyncio.gather(*(call.close() for call in calls))
        assert all(status.complete for status in ends)
    assert disk.threads == {"journal"}
    assert [len(list(read_frames(call.folder))) for call in calls] == [40] * CALLS + [20] * CALLS
    assert all(len(read_events(call.folder)) == 1 for call in calls)


async def test_calls_end_while_the_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    async with writing(tmp_path, flush_ms=1) as writer:
        calls = [writer.open(header()) for _ in range(CALLS)]
        await until(lambda: all(call.status.on_disk for call in calls))
        hanging(monkeypatch, "write", disk)
        speak(calls)
        await until(disk.reached.is_set)
        # Their own deadline ends the wait, not the disk.
        await asyncio.gather(*(call.close(deadline_seconds=0.01) for call in calls))
        assert disk.hangs
        # What is not wholly written is nobody's yet.
        assert unfinished(tmp_path) == []
        for call in calls:
            with pytest.raises(JournalBusyError), locked(call.folder):
                pass
        disk.let_go()
        await asyncio.gather(*(call.close() for call in calls))
        assert sorted(unfinished(tmp_path)) == sorted(call.folder for call in calls)
    assert disk.threads == {"journal"}
    assert [len(list(read_frames(call.folder))) for call in calls] == [20] * CALLS


def full(pipe: int) -> bool:
    waiting = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return bool(struct.unpack("i", waiting)[0] == PIPE_BYTES)


async def test_a_file_that_takes_nothing_more(tmp_path: Path) -> None:
    head = header()
    new = tmp_path / f"{NEW_PREFIX}{head.session_id}"
    new.mkdir()
    # The system itself makes the thread wait: first to open the pipe, then to write to it.
    os.mkfifo(new / MEDIA_NAME)
    size = FRAME_BYTES + len(PACKET)
    limit = 4 * PIPE_BYTES
    async with writing(tmp_path, flush_ms=1, limit_bytes=limit) as writer:
        call = writer.open(head)
        speak([call], packets=400)
        pipe = os.open(new / MEDIA_NAME, os.O_RDONLY | os.O_NONBLOCK)
        try:
            await until(lambda: full(pipe))
            speak([call], packets=4000)
            # Memory is bounded and what finds no room is counted.
            kept = 2 * 4400 - call.dropped_packets
            assert limit <= kept * size <= limit + PIPE_BYTES + size
            got = bytearray()

            def read() -> bool:
                with contextlib.suppress(BlockingIOError):
                    got.extend(os.read(pipe, PIPE_BYTES))
                return len(got) >= kept * size

            await until(read)
            status = await call.close()
        finally:
            os.close(pipe)
    assert status.on_disk and not status.complete and status.dropped_packets > 0
    assert len(got) == kept * size
    assert {got[at] for at in range(0, len(got), size)} <= {CALLER, CALLER + 1}
    assert read_header(call.folder) == head and (call.folder / HEADER_NAME).exists()
