"""Notes of answered calls: kept, removed, taken over by the next process, and never in the way."""

import asyncio
import base64
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from config.errors import StorageError
from serializer.codecs import PCM_8K
from sessions import answered
from sessions.answered import AnsweredCalls
from sessions.answered_notes import write_note
from sessions.facts import CallFacts
from sessions.journal_format import JournalHeader
from sessions.journal_seal import JournalKey, use_journal_keys
from sessions.no_start import never_begun_header
from tests.unit.bot.agents import make_agent
from tests.unit.sessions.outbox.logs import logged
from tests.until import until

NUMBER = "+919812345678"


def answered_call(call_id: str = "c-1") -> JournalHeader:
    facts = CallFacts(direction="inbound", carrier_call_id=call_id, from_number=NUMBER)
    return never_begun_header(make_agent(), facts, (PCM_8K, PCM_8K))


def calls_in(data: Path, key: JournalKey | None = None, **bounds: int) -> AnsweredCalls:
    return AnsweredCalls(data / "answered", data / "journal", key, **bounds)


@asynccontextmanager
async def process(data: Path, key: JournalKey | None = None) -> AsyncIterator[AnsweredCalls]:
    calls = calls_in(data, key)
    try:
        yield calls
    finally:
        await calls.close()


def left_out() -> float:
    return REGISTRY.get_sample_value("queue_dropped_total", {"queue": "answered"}) or 0.0


def notes(data: Path) -> list[str]:
    return [path.stem for path in (data / "answered").glob("[!.]*/[!.]*.json")]


async def until_noted(data: Path, count: int) -> None:
    await until(lambda: len(notes(data)) == count)


async def left_by_a_process(data: Path, *headers: JournalHeader) -> None:
    """What a process leaves that ends without a word: its lock is gone, its notes are not."""
    async with process(data) as calls:
        for header in headers:
            calls.put(header)
        await until_noted(data, len(headers))


async def test_the_next_process_finds_what_had_no_journal(tmp_path: Path) -> None:
    first, second = answered_call("a"), answered_call("b")
    await left_by_a_process(tmp_path, first, second)
    async with process(tmp_path) as calls:
        assert await calls.start() == [first, second]
        assert calls.holds(first.session_id) and len(notes(tmp_path)) == 2
        # Killed here, the third would find both; removed, they are gone for good.
        await calls.removed(first.session_id)
        calls.remove_soon(second.session_id)
        await until_noted(tmp_path, 0)
    assert list((tmp_path / "answered").iterdir()) == []


async def test_a_call_that_is_kept_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answered, "WRITE_SECONDS", 30.0)  # However slow the disk is.
    header = answered_call()
    async with process(tmp_path) as calls:
        await calls.kept(header)
        assert notes(tmp_path) == [header.session_id]


async def test_a_disk_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()

    def write(path: Path, header: JournalHeader, key: JournalKey | None) -> None:
        hangs.wait(30)
        write_note(path, header, key)

    monkeypatch.setattr(answered, "write_note", write)
    monkeypatch.setattr(answered, "WRITE_SECONDS", 0.01)
    with logged("WARNING") as lines:
        async with process(tmp_path) as calls:
            await calls.kept(answered_call("a"))
            await calls.kept(answered_call("b"))
            assert notes(tmp_path) == []
            hangs.set()
            await until_noted(tmp_path, 2)
    assert len([line for line in lines if "not noted on disk" in line]) == 1


async def test_a_journal_stands_for_its_note(tmp_path: Path) -> None:
    begun, lost = answered_call("a"), answered_call("b")
    await left_by_a_process(tmp_path, begun, lost)
    (tmp_path / "journal" / begun.session_id).mkdir(parents=True)
    async with process(tmp_path) as calls:
        assert await calls.start() == [lost]
        assert notes(tmp_path) == [lost.session_id]


async def test_those_of_a_process_that_lives_are_its_own(tmp_path: Path) -> None:
    header = answered_call()
    async with process(tmp_path) as living, process(tmp_path) as other:
        living.put(header)
        await until_noted(tmp_path, 1)
        assert await other.start() == []
    assert notes(tmp_path) == [header.session_id]


async def test_a_note_is_sealed_and_waits_for_its_key(tmp_path: Path) -> None:
    def key() -> JournalKey:
        return use_journal_keys(SecretStr(base64.b64encode(os.urandom(32)).decode()))

    header, mine = answered_call(), key()
    async with process(tmp_path, mine) as calls:
        calls.put(header)
        await until_noted(tmp_path, 1)
    (path,) = (tmp_path / "answered").glob("*/*.json")
    assert NUMBER[1:].encode() not in path.read_bytes()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with logged("ERROR") as lines:
        async with process(tmp_path, mine) as calls:
            assert await calls.start() == []
    assert header.session_id in "".join(lines)
    path.write_bytes(whole)
    async with process(tmp_path, mine) as calls:
        assert await calls.start() == [header]


async def test_a_disk_that_takes_nothing_is_said_once_and_harms_no_call(tmp_path: Path) -> None:
    (tmp_path / "answered").write_text("not a folder")
    with logged("WARNING") as lines:
        async with process(tmp_path) as calls:
            assert await calls.start() == []
            headers = [answered_call(str(number)) for number in range(3)]
            for header in headers:
                calls.put(header)
            for header in headers:
                await calls.removed(header.session_id)
    assert len([line for line in lines if "not noted on disk" in line]) == 1


async def test_a_note_that_cannot_be_removed_keeps_the_journal(tmp_path: Path) -> None:
    header = answered_call()
    async with process(tmp_path) as calls:
        calls.put(header)
        await until_noted(tmp_path, 1)
        (path,) = (tmp_path / "answered").glob("*/*.json")
        path.unlink()
        path.mkdir()
        with pytest.raises(StorageError, match="cannot be removed"):
            await calls.removed(header.session_id)
        path.rmdir()
        await calls.removed(header.session_id)
        assert not calls.holds(header.session_id)


async def test_only_so_many(tmp_path: Path) -> None:
    calls = calls_in(tmp_path, most=3, most_queued=2)
    headers = [answered_call(str(number)) for number in range(5)]
    before = left_out()
    for header in headers[:3]:  # The loop has not turned: none of them is written yet.
        calls.put(header)
    await until_noted(tmp_path, 2)
    for header in headers[3:]:
        await asyncio.sleep(0.01)
        calls.put(header)
    await until_noted(tmp_path, 3)
    await calls.close()
    assert set(notes(tmp_path)) == {headers[n].session_id for n in (0, 1, 3)}
    assert left_out() - before == 2
