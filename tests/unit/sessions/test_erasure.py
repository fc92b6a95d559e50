"""A number's calls are erased wherever they lie, with a proof that names no number."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from config.errors import ConfigError, StorageError
from config.settings import Settings
from sessions.deletion import read_record, write_record
from sessions.erase_command import run_erase
from sessions.erasure import ErasureProof, NumberEraser, impersonal
from sessions.journal_writer import JournalWriter
from sessions.keeper import RecordKeeper
from sessions.outbox.folder import ReportFolder
from sessions.outbox.report import Report, file_name
from sessions.record import CallRecord, CarrierRecording, DegradedRecord, NoticeRecord
from sessions.record_lock import RecordLock
from storage.base import StorageKind
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import write_call
from tests.until import until

THEIRS = "+919800000011"
OTHER = "+919800000022"
OURS = "+918000000033"


class Stubborn(FilesystemStorage):
    """A store that can refuse to delete."""

    refuses = False

    async def delete(self, kind: StorageKind, key: str) -> None:
        if self.refuses:
            raise StorageError("storage_unavailable", "not now")
        await super().delete(kind, key)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Stubborn]:
    made = Stubborn(tmp_path / "storage")
    yield made
    await made.close()


async def keep(storage: FilesystemStorage, data: Path, from_number: str) -> CallRecord:
    head = header(
        from_number=from_number,
        to_number=OURS,
        carrier_call_id="cid",
        labels={"subject": "asha", "org_id": "7"},
    )
    keeper = RecordKeeper(storage, data / "journal")
    await keeper.start()
    stored = await keeper.finish(await write_call(data / "journal", head, "caller_hangup"))
    await keeper.amend(stored.record_key, "hangup", f"from {from_number}")
    await keeper.close()
    return stored.record


def record_key(session_id: str) -> str:
    return f"records/2026/11/01/{session_id}.json"


async def test_only_that_numbers_calls_and_all_of_them(storage: Stubborn, tmp_path: Path) -> None:
    # As carriers write it: in three ways.
    mine = [await keep(storage, tmp_path, n) for n in (THEIRS, "09800000011", "919800000011")]
    other = await keep(storage, tmp_path, OTHER)
    files = {
        file.key: await storage.read(file.kind, file.key)
        for record in mine
        for file in (record.recording.file, record.transcript, record.transcript_text)
        if file
    }
    eraser = NumberEraser(storage, tmp_path)
    assert len(await eraser.find(THEIRS)) == 3
    proof, key = await eraser.erase("098000 00011")
    assert proof.complete and proof.pending == []
    assert {call.session_id for call in proof.calls} == {record.session_id for record in mine}
    for call in proof.calls:
        assert len(call.deleted) == 4  # sound, JSON, text, WebVTT
        for gone in call.deleted:
            if gone.key in files:
                assert gone.sha256 == hashlib.sha256(files[gone.key]).hexdigest()
            with pytest.raises(StorageError, match="nothing is stored"):
                await storage.stat(gone.kind, gone.key)
        left = await storage.read("transcripts", record_key(call.session_id))
        assert hashlib.sha256(left).hexdigest() == call.record_sha256_after
        for personal in (b"00000011", b"cid", b"asha"):
            assert personal not in left
        record = msgspec.json.decode(left, type=CallRecord)
        assert (record.recording.state, record.to_number) == ("deleted", OURS)
        assert record.erased_at and record.labels == {"org_id": "7"}
        assert record.end_cause == "caller_hangup" and record.duration_seconds > 0
    kept = await read_record(storage, record_key(other.session_id))
    assert kept is not None and kept.from_number == OTHER and kept.recording.file
    text = await storage.read("transcripts", key)
    assert msgspec.json.decode(text, type=ErasureProof) == proof
    assert b"00000011" not in text
    assert await eraser.find(THEIRS) == []


async def test_nothing_that_tells_of_the_person_is_left_of_a_record(
    storage: Stubborn, tmp_path: Path
) -> None:
    record = msgspec.structs.replace(
        await keep(storage, tmp_path, THEIRS),
        carrier_call_id="secret call",
        carrier_stream_id="secret stream",
        carrier_recording=CarrierRecording(
            state="stored", recording_id="secret recording", detail="secret reason"
        ),
        notices=[NoticeRecord(at_ms=1.0, name="hangup", detail="secret notice")],
        degraded=[
            DegradedRecord(at_ms=1.0, stage="stt", kind="auth", provider="p", detail="secret")
        ],
        labels={"subject": "secret", "org_id": "7"},
    )
    left = impersonal(record, THEIRS)
    text = msgspec.json.encode(left)
    assert b"secret" not in text and b"00000011" not in text
    assert [notice.name for notice in left.notices] == ["hangup"]
    assert [(d.stage, d.kind, d.provider) for d in left.degraded] == [("stt", "auth", "p")]
    assert left.carrier_recording is not None and left.carrier_recording.state == "stored"


async def test_what_others_change_meanwhile_is_erased_too(
    storage: Stubborn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that runs beside it: the record is read anew once nobody changes it any more."""
    record, asked = await keep(storage, tmp_path, THEIRS), asyncio.Event()

    class Asked(RecordLock):
        async def __aenter__(self) -> None:
            asked.set()
            await super().__aenter__()

    monkeypatch.setattr("sessions.erasure.RecordLock", Asked)
    key = record_key(record.session_id)
    async with asyncio.timeout(20):
        async with RecordLock(tmp_path):
            erasing = asyncio.create_task(NumberEraser(storage, tmp_path).erase(THEIRS))
            waiting = asyncio.create_task(asked.wait())
            await asyncio.wait((erasing, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            late = NoticeRecord(at_ms=1200.0, name="hangup", detail=f"from {THEIRS}")
            await write_record(storage, key, msgspec.structs.replace(record, notices=[late]))
        proof, _ = await erasing
    assert [call.session_id for call in proof.calls] == [record.session_id]
    left = await read_record(storage, key)
    assert left is not None and left.erased_at is not None
    assert [(notice.at_ms, notice.detail) for notice in left.notices] == [(1200.0, "")]


async def test_calls_that_wait_on_disk_and_their_reports_go_too(
    storage: Stubborn, tmp_path: Path
) -> None:
    root = tmp_path / "journal"
    waiting = await write_call(root, header(from_number=THEIRS), "caller_hangup")
    aside = await write_call(root, header(from_number=THEIRS), "caller_hangup")
    aside = aside.rename(root / f".broken-{aside.name}")
    other = await write_call(root, header(from_number=OTHER), "caller_hangup")
    outbox = tmp_path / "outbox" / "backend" / "rejected"
    outbox.mkdir(parents=True)
    report = outbox / f"1793514600250-0123456789abcdef-{waiting.name}-1-created.json"
    report.write_text("{}")
    kept = outbox / f"1793514600250-0123456789abcdef-{other.name}-1-created.json"
    theirs = Report(key="k", method="POST", path="/x", body=f'{{"from_number": "{OTHER}"}}')
    kept.write_bytes(msgspec.json.encode(theirs))
    proof, _ = await NumberEraser(storage, tmp_path).erase(THEIRS)
    assert proof.complete
    assert {j.session_id for j in proof.journals} == {
        waiting.name,
        aside.name.removeprefix(".broken-"),
    }
    assert all(journal.deleted for journal in proof.journals)
    assert [Path(file.name).name for file in proof.reports] == [report.name]
    assert (waiting.exists(), aside.exists(), other.exists()) == (False, False, True)
    assert (report.exists(), kept.exists()) == (False, True)


async def test_a_call_that_found_no_line_has_only_its_report(
    storage: Stubborn, tmp_path: Path
) -> None:
    folder = ReportFolder(tmp_path / "outbox" / "backend")
    names = []
    for number in ("919800000011", OTHER):
        session = str(uuid4())
        names.append(file_name(1000.0, session, session, "1-busy"))
        body = f'{{"call": {{"numbers": ["{number}"]}}}}'
        folder.write(names[-1], Report(key="k", method="POST", path="/x", body=body))
    # With it goes why it was refused.
    folder.reject(names[0], "HTTP 422: number 919800000011")
    found = [f"outbox/backend/rejected/{names[0]}"]
    found.append(found[0].replace(".json", ".txt"))
    eraser = NumberEraser(storage, tmp_path)
    assert await eraser.find(THEIRS) == found
    # One that cannot be read may be theirs.
    unread = folder.path / names[1].replace("1-busy", "2-busy")
    unread.write_bytes(b"sealed:0123456789abcdef:" + bytes(64))
    proof, _ = await eraser.erase(THEIRS)
    assert [each.name for each in proof.reports] == found
    assert not any((tmp_path / name).exists() for name in found)
    assert [each.what for each in proof.pending] == [f"outbox/backend/{unread.name}"]
    assert not proof.complete and unread.exists()
    assert sorted(path.name for path in folder.path.glob("*.json")) == [names[1], unread.name]


async def test_a_live_call_is_not_touched_and_is_said_to_be_left(
    storage: Stubborn, tmp_path: Path
) -> None:
    writer = JournalWriter(tmp_path / "journal")
    writer.start()
    call = writer.open(header(from_number=THEIRS))
    await until((call.folder / "header.json").exists)
    # Told of whole or not at all: its end is still to come.
    folder, session = ReportFolder(tmp_path / "outbox" / "backend"), call.folder.name
    report = file_name(1000.0, session, session, "1-created")
    told = Report(key="k", method="POST", path="/x", body=f'{{"from_number": "{THEIRS}"}}')
    folder.write(report, told)
    proof, _ = await NumberEraser(storage, tmp_path).erase(THEIRS)
    assert not proof.complete
    assert [(p.what, p.reason[:12]) for p in proof.pending] == [
        (f"journal/{call.folder.name}", "the call is ")
    ]
    assert call.folder.exists() and proof.reports == []
    assert folder.read(report) == told
    await call.close()
    await writer.close()
    again, _ = await NumberEraser(storage, tmp_path).erase(THEIRS)
    assert again.complete and len(again.journals) == 1
    assert [each.name for each in again.reports] == [f"outbox/backend/{report}"]


async def test_a_number_that_only_the_first_event_tells_is_found(
    storage: Stubborn, tmp_path: Path
) -> None:
    folder = await write_call(tmp_path / "journal", header(), "caller_hangup")
    proof, _ = await NumberEraser(storage, tmp_path).erase("+910000000001")
    assert [journal.session_id for journal in proof.journals] == [folder.name]
    assert not folder.exists()


async def test_what_cannot_be_read_is_said_to_be_left(storage: Stubborn, tmp_path: Path) -> None:
    folder = await write_call(tmp_path / "journal", header(from_number=THEIRS), "silence")
    for name in ("header.json", "events.jsonl"):  # With the header's copy.
        (folder / name).write_bytes(b"{")
    bad = "records/2026/11/01/x.json"
    await storage.put_bytes("transcripts", bad, b"{", "application/json")
    proof, _ = await NumberEraser(storage, tmp_path).erase(THEIRS)
    assert not proof.complete
    assert [pending.what for pending in proof.pending] == [f"journal/{folder.name}", bad]
    assert (folder / "header.json").exists()


async def test_what_breaks_off_is_found_again(storage: Stubborn, tmp_path: Path) -> None:
    record = await keep(storage, tmp_path, THEIRS)
    storage.refuses = True
    proof, _ = await NumberEraser(storage, tmp_path).erase(THEIRS)
    assert not proof.complete and proof.calls == []
    assert proof.pending[0].what == record_key(record.session_id)
    storage.refuses = False
    proof, _ = await NumberEraser(storage, tmp_path).erase(THEIRS)
    assert proof.complete and len(proof.calls) == 1


async def test_the_command(storage: Stubborn, tmp_path: Path) -> None:
    record = await keep(storage, tmp_path, THEIRS)
    settings = Settings(data_dir=tmp_path)
    listed, _ = await run_erase(settings, THEIRS, dry_run=True)
    assert listed == record_key(record.session_id)
    assert (await read_record(storage, listed)).erased_at is None  # type: ignore[union-attr]
    text, complete = await run_erase(settings, THEIRS, dry_run=False)
    printed = msgspec.json.decode(text)
    assert complete and printed["proof"]["calls"][0]["session_id"] == record.session_id
    stored = await storage.read("transcripts", printed["stored_as"])
    assert msgspec.json.decode(stored) == printed["proof"]
    assert await asyncio.to_thread((tmp_path / "index_outdated").exists)
    with pytest.raises(ConfigError, match="is not a telephone number"):
        await run_erase(settings, "12", dry_run=True)
