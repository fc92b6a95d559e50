"""Erasing a number while its calls come and go, and again where it broke off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.events import CallEnded, CallerTranscript, CallStarted
from config.errors import BackendError, StorageError
from config.sections import BackendSettings
from sessions.deletion import read_record
from sessions.erasure import ErasureProof, NumberEraser
from sessions.index_changes import index_changes
from sessions.indexer import CallIndexer
from sessions.journal import CallJournal
from sessions.journal_writer import JournalWriter
from sessions.keeper import RecordKeeper, StoredCall
from sessions.outbox.calls import CallReports
from sessions.outbox.folder import ReportFolder
from sessions.outbox.report import Report, file_name
from sessions.outbox.voicera import VoiceraReceiver
from storage.base import ObjectInfo
from storage.filesystem import FilesystemStorage
from storage.index.calls import CallIndex
from storage.index.entry import CallFilter
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import write_call
from tests.until import until

THEIRS = "+919800000011"
WORDS = "my secret words"
TOLD = {"1-created", "2-ended", "3-recording"}


class NobodyThere:
    """A backend that is away, so that all reports wait."""

    async def report(self, *_: object) -> None:
        raise BackendError("backend_unreachable", "away")


class Listed(FilesystemStorage):
    """A store during whose listing of records something happens."""

    first: Callable[[], Awaitable[None]] | None = None
    breaks_off = False

    async def list_objects(self, kind: Any, prefix: str = "", **rest: Any) -> AsyncIterator[Any]:
        if prefix == "records/" and self.first is not None:
            first, self.first = self.first, None
            await first()
        info: ObjectInfo
        async for info in super().list_objects(kind, prefix, **rest):
            yield info
        if prefix == "records/" and self.breaks_off:
            raise StorageError("storage_unavailable", "the second page does not come")


class Server:
    """One data folder with what works in it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.storage = Listed(data / "storage")
        self.index = CallIndex(data / "calls.db")
        self.indexer = CallIndexer(self.index, self.storage, data, first_pause_seconds=0.01)
        receiver = VoiceraReceiver(
            NobodyThere(),  # type: ignore[arg-type]
            BackendSettings(upload_transcripts=True),
        )
        self.reports = CallReports(data / "outbox", [receiver])
        self.writer = JournalWriter(data / "journal")
        self.may_report = asyncio.Event()
        self.may_report.set()
        self.keeper = RecordKeeper(
            self.storage, data / "journal", report=self._report, on_stored=self._stored
        )

    async def start(self) -> None:
        self.writer.start()
        await self.reports.start()
        await self.indexer.start()
        await until(lambda: self.indexer.state == "ok")

    async def close(self) -> None:
        await self.reports.close(0.1)
        await self.keeper.close()
        await self.writer.close()
        await self.indexer.close()
        await self.storage.close()

    async def begin(self) -> CallJournal:
        head = header(from_number=THEIRS, carrier_call_id="cid")
        call = self.writer.open(head)
        began = CallStarted(
            at_ms=0.0,
            carrier_call_id="cid",
            from_number=THEIRS,
            to_number=None,
            direction="inbound",
        )
        said = CallerTranscript(
            at_ms=700.0,
            text=WORDS,
            final=True,
            started_ms=200.0,
            language="hi",
            confidence=0.9,
            provider="x",
        )
        call.event(began)
        call.event(said)
        self.reports.event(head, began)
        await until((call.folder / "header.json").exists)
        return call

    async def end(self, call: CallJournal) -> "asyncio.Task[StoredCall]":
        call.event(CallEnded(at_ms=900.0, cause="caller_hangup"))
        await call.close()
        return asyncio.create_task(self.keeper.finish(call.folder))

    def stored_records(self) -> list[Path]:
        return list((self.data / "storage" / "transcripts" / "records").rglob("*.json"))

    def told(self) -> set[str]:
        """The steps of the reports that wait."""
        waiting = (self.data / "outbox" / "backend").glob("*.json")
        return {"-".join(path.stem.rsplit("-", 2)[1:]) for path in waiting}

    async def erase(self) -> ErasureProof:
        """As the command does it: with an index of its own."""
        index = CallIndex(self.data / "calls.db")
        await index.open()
        try:
            changed = index_changes(index, self.data)
            proof, _ = await NumberEraser(self.storage, self.data, on_changed=changed).erase(THEIRS)
            return proof
        finally:
            await index.close()

    async def _report(self, call: StoredCall) -> None:
        await self.may_report.wait()
        await self.reports.call_stored(call)

    def _stored(self, call: StoredCall) -> None:
        self.indexer.stored(call)
        self.reports.call_safe(call)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    await made.start()
    yield made
    await made.close()


async def nothing_is_left(server: Server) -> None:
    """Neither among the reports nor in the index nor in the record."""
    assert server.told() == set()
    await server.indexer.settled()
    assert await server.index.page(CallFilter(number=THEIRS), 10) == []
    (key,) = [info.key async for info in server.storage.list_objects("transcripts", "records/")]
    record = await read_record(server.storage, key)
    assert record is not None and record.erased_at is not None and record.from_number is None


async def test_a_call_that_ends_meanwhile_is_left_whole_to_the_next_run(server: Server) -> None:
    call = await server.begin()

    async def ends() -> None:
        await (await server.end(call))
        await server.indexer.settled()

    server.storage.first = ends
    first = await server.erase()
    assert not first.complete and first.calls == [] and first.reports == []
    assert [each.what for each in first.pending] == [f"journal/{call.folder.name}"]
    assert server.told() == TOLD
    second = await server.erase()
    assert second.complete and len(second.calls) == 1
    assert len([each for each in second.reports if each.name.endswith(".json")]) == 3
    await nothing_is_left(server)


async def test_a_call_whose_reports_are_still_to_come_is_left_to_the_next_run(
    server: Server,
) -> None:
    """It begins when the journals have been looked at, and its record is there already."""
    server.may_report.clear()
    finishing: list[asyncio.Task[StoredCall]] = []

    async def comes() -> None:
        finishing.append(await server.end(await server.begin()))
        await until(server.stored_records)
        await until(lambda: server.told() == {"1-created"})

    server.storage.first = comes
    first = await server.erase()
    server.may_report.set()
    stored = await finishing[0]
    assert not first.complete and first.calls == [] and first.reports == []
    assert [(each.what, each.reason) for each in first.pending] == [
        (stored.record_key, "the call is being stored")
    ]
    assert server.told() == TOLD
    second = await server.erase()
    assert second.complete and len(second.calls) == 1
    await nothing_is_left(server)


def a_report(data: Path, session_id: str) -> Path:
    """One that holds the transcript and names no number."""
    folder = ReportFolder(data / "outbox" / "backend")
    name = file_name(1000.0, "cid", session_id, "3-recording")
    body = f'{{"call_sid":"cid","transcript_content":"{WORDS}"}}'
    folder.write(name, Report(key="k", method="POST", path="/x", body=body))
    return folder.path / name


async def test_an_erasure_that_breaks_off_leaves_no_report_that_nothing_leads_to(
    server: Server,
) -> None:
    stored = await (await server.end(await server.begin()))
    waiting = await write_call(server.data / "journal", header(from_number=THEIRS), "silence")
    reports = [a_report(server.data, sid) for sid in (stored.record.session_id, waiting.name)]
    server.storage.breaks_off = True
    with pytest.raises(StorageError, match="second page"):
        await server.erase()
    server.storage.breaks_off = False
    assert (await server.erase()).complete
    assert not any(path.exists() for path in reports) and not waiting.exists()
    await nothing_is_left(server)


async def test_a_journal_that_cannot_be_read_does_not_keep_the_record(server: Server) -> None:
    stored = await (await server.end(await server.begin()))
    session_id = stored.record.session_id
    back = await write_call(
        server.data / "journal", header(session_id=session_id, from_number=THEIRS), "silence"
    )
    for name in ("header.json", "events.jsonl"):
        (back / name).write_bytes(b"{")
    proof = await server.erase()
    assert [each.what for each in proof.pending] == [f"journal/{session_id}"]
    assert [call.session_id for call in proof.calls] == [session_id]
    await nothing_is_left(server)


async def test_a_report_that_cannot_be_removed_keeps_the_number(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await server.end(await server.begin()))

    def refuse(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr("sessions.erasure.erase_session_files", refuse)
        first = await server.erase()
    assert not first.complete and first.calls == []
    assert "PermissionError" in first.pending[0].reason
    assert (await server.erase()).complete
    await nothing_is_left(server)
