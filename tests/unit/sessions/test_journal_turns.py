"""Live calls come first with the thread that writes the journals, whatever begins or ends."""

import asyncio
import sys
from pathlib import Path

import pytest

from sessions.journal import CallJournal
from sessions.journal_file import JournalFile
from sessions.journal_writer import JournalWriter
from tests.unit.sessions.journals import header, writing
from tests.until import until

PACKET = bytes(160)
OTHERS = 5


class Watched:
    """One live call, which says something whenever the disk begins or ends another."""

    def __init__(self, live: CallJournal) -> None:
        self._live = live
        self._said = live.file.written_bytes
        self.written: list[int] = []

    def look(self) -> None:
        """Note what of it is on disk, in packets more than at the last look, and say one more."""
        self.written.append(self._live.file.written_bytes - self._said)
        self._said = self._live.file.written_bytes
        self._live.caller_audio(0.0, PACKET)


async def a_live_call(writer: JournalWriter) -> CallJournal:
    live = writer.open(header())
    live.caller_audio(0.0, PACKET)
    await until(lambda: live.file.written_bytes)
    return live


async def test_a_live_call_is_written_between_others_that_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = JournalFile._make

    def watched_make(self: JournalFile) -> None:
        watched.look()
        make(self)

    async with writing(tmp_path, flush_ms=0.0) as writer:
        live = await a_live_call(writer)
        packet_bytes = live.file.written_bytes
        watched = Watched(live)
        monkeypatch.setattr(JournalFile, "_make", watched_make)
        # All in one round of the thread: the loop is not left in between.
        others = [writer.open(header()) for _ in range(OTHERS)]
        await until(lambda: all(other.status.on_disk for other in others))
        for call in (live, *others):
            await call.close()
    assert watched.written == [0] + [packet_bytes] * (OTHERS - 1)


async def test_a_live_call_is_written_between_others_that_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = JournalFile.close

    def watched_close(self: JournalFile) -> None:
        if self is not live.file:
            watched.look()
        close(self)

    async with writing(tmp_path, flush_ms=0.0) as writer:
        live = await a_live_call(writer)
        packet_bytes = live.file.written_bytes
        others = [writer.open(header()) for _ in range(OTHERS)]
        await until(lambda: all(other.status.on_disk for other in others))
        watched = Watched(live)
        monkeypatch.setattr(JournalFile, "close", watched_close)
        await asyncio.gather(*(other.close() for other in others))
        await live.close()
    assert watched.written == [0] + [packet_bytes] * (OTHERS - 1)


async def test_the_thread_asks_for_the_interpreter_soon_and_only_while_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the loop does costs no more than ever while no journal is written."""
    usual = sys.getswitchinterval()
    flush = JournalFile.flush
    intervals = set()

    def watched_flush(self: JournalFile, *, last: bool = False) -> None:
        intervals.add(sys.getswitchinterval())
        flush(self, last=last)

    monkeypatch.setattr(JournalFile, "flush", watched_flush)
    async with writing(tmp_path) as writer:
        call = writer.open(header())
        await until(lambda: call.status.on_disk)
        await call.close()
    assert max(intervals) <= 0.001 < usual
    assert sys.getswitchinterval() == usual
