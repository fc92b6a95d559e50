"""Erasing a number of whose calls some journals are kept aside, or cannot be read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessions.erasure import NumberEraser
from sessions.erasure_disk import erase_journals
from sessions.journal_writer import JournalWriter
from sessions.outbox.folder import ReportFolder
from sessions.outbox.report import Report, file_name
from sessions.spool import BROKEN_PREFIX, set_aside
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import write_call

THEIRS = "+919800000011"


@pytest.fixture
async def eraser(tmp_path: Path) -> AsyncIterator[NumberEraser]:
    storage = FilesystemStorage(tmp_path / "storage")
    yield NumberEraser(storage, tmp_path)
    await storage.close()


def a_report(data: Path, session_id: str, body: str) -> str:
    name = file_name(1000.0, session_id, session_id, "3-recording")
    folder = ReportFolder(data / "outbox" / "backend")
    folder.write(name, Report(key="k", method="POST", path="/x", body=body))
    return f"outbox/backend/{name}"


async def a_journal(data: Path, *, aside: bool = False, damaged: bool = False) -> str:
    folder = await write_call(data / "journal", header(from_number=THEIRS), "silence")
    if damaged:
        for name in ("header.json", "events.jsonl"):
            (folder / name).write_bytes(b"{")
    if aside:
        set_aside(folder)
    return folder.name


async def test_a_report_of_a_call_that_was_kept_aside_is_listed_and_erased(
    eraser: NumberEraser, tmp_path: Path
) -> None:
    session_id = await a_journal(tmp_path, aside=True)
    report = a_report(tmp_path, session_id, '{"transcript": "my secret words"}')
    assert await eraser.find(THEIRS) == [f"journal/{BROKEN_PREFIX}{session_id}", report]
    proof, _ = await eraser.erase(THEIRS)
    assert proof.complete and [each.name for each in proof.reports] == [report]
    assert await eraser.find(THEIRS) == []


async def test_reports_of_a_journal_that_cannot_be_read_are_nobodys_by_their_name(
    eraser: NumberEraser, tmp_path: Path
) -> None:
    for aside in (True, False):
        a_report(tmp_path, await a_journal(tmp_path, aside=aside, damaged=True), "{}")
    found = await eraser.find(THEIRS)
    assert len(found) == 2 and all("it cannot be read" in each for each in found)


async def test_only_of_calls_that_may_still_be_stored_reports_are_left(
    eraser: NumberEraser, tmp_path: Path
) -> None:
    body = f'{{"from_number": "{THEIRS}"}}'
    waiting = await a_journal(tmp_path, damaged=True)
    aside = await a_journal(tmp_path, damaged=True, aside=True)
    writer = JournalWriter(tmp_path / "journal")
    writer.start()
    call = writer.open(header(from_number=THEIRS))
    async with asyncio.timeout(20):
        while not (call.folder / "header.json").exists():  # noqa: ASYNC110 - the writer's thread
            await asyncio.sleep(0.01)
    reports = {name: a_report(tmp_path, name, body) for name in (waiting, aside, call.folder.name)}
    done = await asyncio.to_thread(erase_journals, tmp_path, THEIRS, lambda _: [])
    assert done.may_be_stored == {waiting, call.folder.name}
    proof, _ = await eraser.erase(THEIRS)
    assert [each.name for each in proof.reports] == [reports[aside]]
    assert not proof.complete and {each.what for each in proof.pending} == {
        f"journal/{name}" for name in (waiting, BROKEN_PREFIX + aside, call.folder.name)
    }
    await call.close()
    await writer.close()
