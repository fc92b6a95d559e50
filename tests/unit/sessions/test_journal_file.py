"""The thread's side of a call's journal: nothing is lost or doubled, whatever a disk does."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import SupportsIndex

import pytest

from bot.events import DtmfReceived
from sessions import journal_seal, journal_writer
from sessions.journal import CallJournal
from sessions.journal_file import JournalFile
from sessions.journal_format import (
    CALLER,
    CUT,
    FRAME,
    MAX_PAYLOAD_BYTES,
    MEDIA_NAME,
    open_media,
    read_events,
)
from sessions.journal_frames import read_frames
from sessions.journal_seal import JournalKey
from sessions.spool import unfinished
from tests.unit.sessions.journals import header, writing
from tests.until import until

WORDS = [bytes([number]) * 40 for number in range(1, 7)]


def frame(payload: bytes) -> bytes:
    return FRAME.pack(CALLER, len(payload), 0.0) + payload


def a_file(root: Path, key: JournalKey | None = None) -> JournalFile:
    head = header()
    return JournalFile(root / head.session_id, head, key)


def heard(folder: Path) -> list[bytes]:
    with open_media(folder) as media:
        return [media.read(size, at) for _, _, at, size in read_frames(folder)]


Write = Callable[[int, bytes], int]


class FullDisk:
    """Takes some bytes, then no more until it is told to."""

    def __init__(self, real: Write, room: int) -> None:
        self.room = room
        self._real = real

    def write(self, handle: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = self._real(handle, data[: self.room])
        self.room -= done
        return done


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("room", [1, 7, 53, 54, 105])
def test_a_disk_that_is_full_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_sealed: bool, room: int
) -> None:
    file = a_file(tmp_path, JournalKey(bytes(32), "test") if is_sealed else None)
    file.flush()
    disk = FullDisk(os.write, room)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk.write)
        file.media += map(frame, WORDS[:2])
        file.events.append(DtmfReceived(at_ms=1.0, digit="1"))
        file.flush()
        assert file.error == os.strerror(errno.ENOSPC)
        # What is taken and not wholly written still counts as waiting.
        assert file.written_bytes == 0
        # Less than all that came, again and again: nothing is written twice.
        for word in WORDS[2:]:
            file.media.append(frame(word))
            disk.room = 5
            file.flush(last=True)
        assert file.error is not None
        disk.room = 1 << 20
        file.flush(last=True)
    assert file.error is None and file.written_bytes == sum(len(frame(word)) for word in WORDS)
    file.close()
    monkeypatch.setitem(journal_seal._known_keys, "test", JournalKey(bytes(32), "test"))
    assert heard(file.folder) == WORDS
    assert read_events(file.folder) == [DtmfReceived(at_ms=1.0, digit="1")]


class Hurried(list[bytes]):
    """The loop appends at the worst moment: when the thread has just looked."""

    late: bytes = b""

    def __getitem__(self, key: SupportsIndex | slice) -> bytes | list[bytes]:  # type: ignore[override]
        got: bytes | list[bytes] = super().__getitem__(key)
        if self.late:
            self.append(self.late)
            self.late = b""
        return got


def test_what_comes_while_the_thread_takes_is_kept_for_the_next_turn(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    file.media = Hurried([frame(WORDS[0])])
    file.media.late = frame(WORDS[1])
    file.flush()
    assert file.media == [frame(WORDS[1])]
    file.flush()
    file.close()
    assert heard(file.folder) == WORDS[:2]


async def test_a_mistake_in_one_call_stays_with_it(tmp_path: Path) -> None:
    async with writing(tmp_path, flush_ms=1) as writer:
        one, other = writer.open(header()), writer.open(header())
        one.file.media.append("no bytes")  # type: ignore[arg-type]
        await until(lambda: one.status.error)
        other.caller_audio(0.0, WORDS[0])
        assert (await other.close()).complete
        status = await one.close()
        assert not status.complete and writer.stats().failing_calls == 1
    assert heard(other.folder) == WORDS[:1]


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", FullDisk(os.write, 0).write)


async def ended_unwritten(call: CallJournal) -> None:
    call.caller_audio(0.0, WORDS[0])
    status = await call.close()
    assert status.error and status.on_disk and not status.complete


async def test_a_call_that_ended_on_a_full_disk_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing(tmp_path, flush_ms=1) as writer:
        call = writer.open(header())
        await until(call.folder.exists)
        with monkeypatch.context() as patch:
            failing(patch)
            await ended_unwritten(call)
            # Nobody takes the half for the whole.
            assert unfinished(tmp_path) == []
            assert (call.folder / MEDIA_NAME).stat().st_size == 0
        await until(lambda: writer.stats().open_calls == 0)
        assert unfinished(tmp_path) == [call.folder]
        assert heard(call.folder) == WORDS[:1]


async def test_not_every_call_can_wait_for_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_writer, "_MAX_UNWRITTEN", 2)
    async with writing(tmp_path, flush_ms=1) as writer:
        calls = [writer.open(header()) for _ in range(3)]
        await until(lambda: all(call.folder.exists() for call in calls))
        with monkeypatch.context() as patch:
            failing(patch)
            for call in calls:
                await ended_unwritten(call)
            assert writer.stats().open_calls == 2
            assert unfinished(tmp_path) == [calls[2].folder]


@pytest.mark.parametrize(
    ("kind", "length"), [(0, 3), (CUT + 1, 3), (255, 3), (CALLER, MAX_PAYLOAD_BYTES + 1)]
)
def test_what_is_no_frame_costs_only_itself(tmp_path: Path, kind: int, length: int) -> None:
    rest = FRAME.pack(kind, length, 0.0) + b"abc" + frame(WORDS[1])
    (tmp_path / MEDIA_NAME).write_bytes(frame(WORDS[0]) + rest)
    assert heard(tmp_path) == WORDS[:2]
