"""A call that is tried again, perhaps by another process: what stands in the store is not lost."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.events import CallEnded, CarrierNotice
from config.errors import StorageError
from sessions.answered import AnsweredCalls
from sessions.journal_format import EVENTS_NAME, MEDIA_NAME
from sessions.journal_state import JournalState, write_state
from sessions.keeper import RecordKeeper, StoredCall
from sessions.record import CallRecord, CarrierRecording, NoticeRecord
from sessions.spool import JournalBusyError, locked, unfinished_since
from storage.base import StorageKind
from tests.unit.sessions.journals import a_call, header
from tests.unit.sessions.test_keeper import FAST, ShakyStorage, keeping, write_call
from tests.until import until


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[ShakyStorage]:
    made = ShakyStorage(tmp_path / "store")
    yield made
    await made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.mark.parametrize("name", ["recording", "transcript.json", "transcript.vtt"])
async def test_a_file_that_changed_while_it_waited_is_made_anew(
    storage: ShakyStorage, root: Path, name: str
) -> None:
    """As a power failure leaves files: of the right length, with nothing in them."""
    folder = await write_call(root, cause="caller_hangup")
    storage.down = True
    async with keeping(storage, root) as keeper:
        await until(lambda: keeper.stats().failures)
    built = folder / "built" / name
    right = built.read_bytes()
    built.write_bytes(bytes(len(right)))
    storage.down = False
    stored: list[StoredCall] = []
    async with keeping(storage, root, stored):
        await until(lambda: stored)
    record = stored[0].record
    files = [record.recording.file, record.transcript, record.transcript_vtt]
    kept = [await storage.read(file.kind, file.key) for file in files if file is not None]
    assert right in kept
    assert not folder.exists()


async def died_before_it_removed_the_journal(
    storage: ShakyStorage, root: Path
) -> tuple[str, CallRecord]:
    """A record that is stored, with its key, and whose journal is still there."""
    folder = await write_call(
        root,
        header(carrier_recording_seconds=60),
        cause="caller_hangup",
    )

    async def fails(_: StoredCall) -> None:
        raise StorageError("storage_unavailable", "the reports cannot be written")

    first = RecordKeeper(storage, root, options=FAST, report=fails)
    with pytest.raises(StorageError):
        await first.finish(folder)
    await first.close()
    (info,) = [each async for each in storage.list_objects("transcripts", "records/")]
    record = msgspec.json.decode(await storage.read("transcripts", info.key), type=CallRecord)
    assert record.carrier_recording == CarrierRecording(state="pending")
    return info.key, record


async def test_what_was_told_of_a_stored_call_outlives_a_second_try(
    storage: ShakyStorage, root: Path
) -> None:
    key, record = await died_before_it_removed_the_journal(storage, root)
    told = CarrierRecording(state="stored", recording_id="r-1")
    late = NoticeRecord(at_ms=1000.0, name="hangup", detail="busy")
    changed = msgspec.structs.replace(
        record, carrier_recording=told, notices=[*record.notices, late]
    )
    await storage.put_bytes("transcripts", key, msgspec.json.encode(changed), "application/json")
    stored: list[StoredCall] = []
    async with keeping(storage, root, stored):
        await until(lambda: stored)
    assert stored[0].record == changed
    assert await storage.read("transcripts", key) == msgspec.json.encode(changed)


def broken_off(folder: Path, whole: Path) -> None:
    """What a machine that lost its power gives back of a journal that had been removed."""
    shutil.copytree(whole, folder)
    media = (folder / MEDIA_NAME).read_bytes()
    (folder / MEDIA_NAME).write_bytes(media[: len(media) // 3])
    lines = (folder / EVENTS_NAME).read_bytes().splitlines(keepends=True)
    (folder / EVENTS_NAME).write_bytes(b"".join(x for x in lines if b'"CallEnded"' not in x))
    write_state(folder, JournalState())


@pytest.mark.parametrize("cause", ["caller_hangup", ""], ids=["ended", "crashed"])
async def test_a_part_of_a_journal_that_comes_back_takes_nothing_from_the_stored_call(
    storage: ShakyStorage, root: Path, tmp_path: Path, cause: str
) -> None:
    folder = await write_call(root, header(), cause=cause)
    shutil.copytree(folder, tmp_path / "whole")
    stored: list[StoredCall] = []
    async with keeping(storage, root, stored) as keeper:
        await until(lambda: stored)
        before = await everything(storage)
        broken_off(folder, tmp_path / "whole")
        again = await keeper.finish(folder)
    assert again == stored[0]
    assert await everything(storage) == before
    assert not folder.exists()


async def test_the_whole_of_a_call_takes_the_place_of_a_part(
    storage: ShakyStorage, root: Path, tmp_path: Path
) -> None:
    """Where the part came to the store first, as of a journal on a copied folder."""
    folder = await write_call(root, header())
    folder.rename(tmp_path / "whole")
    async with keeping(storage, root) as keeper:
        broken_off(folder, tmp_path / "whole")
        part = (await keeper.finish(folder)).record
        shutil.copytree(tmp_path / "whole", folder)
        whole = (await keeper.finish(folder)).record
    assert part.end_cause == whole.end_cause == "crash"
    assert part.duration_seconds < whole.duration_seconds


async def everything(storage: ShakyStorage) -> dict[str, bytes]:
    kinds: tuple[StorageKind, ...] = ("recordings", "transcripts")
    return {
        each.key: await storage.read(kind, each.key)
        for kind in kinds
        async for each in storage.list_objects(kind, "")
    }


async def test_a_call_that_an_erasing_had_to_leave_takes_nothing_from_the_erased_record(
    storage: ShakyStorage, root: Path
) -> None:
    key, record = await died_before_it_removed_the_journal(storage, root)
    blank = NoticeRecord(at_ms=1000.0, name="hangup", detail="")
    erased = msgspec.structs.replace(
        record, notices=[blank], carrier_recording=None, erased_at="2026-11-02T00:00:00Z"
    )
    await storage.put_bytes("transcripts", key, msgspec.json.encode(erased), "application/json")
    stored: list[StoredCall] = []
    async with keeping(storage, root, stored):
        await until(lambda: stored)
    assert stored[0].record == record


async def test_events_at_times_that_cannot_be_keep_no_call_back(
    storage: ShakyStorage, root: Path
) -> None:
    head = header()
    async with a_call(root, head) as call:
        call.event(CarrierNotice(at_ms=1e300, name="damaged", detail=""))
        call.event(CallEnded(at_ms=1000.0, cause="caller_hangup"))
    async with keeping(storage, root) as keeper:
        record = (await keeper.finish(root / head.session_id)).record
    assert (record.end_cause, record.duration_seconds) == ("caller_hangup", 1.0)
    assert record.notices == []


@pytest.mark.parametrize("started_at", [1e18, -5.0])
async def test_a_call_that_cannot_have_begun_then_is_put_aside(
    storage: ShakyStorage, root: Path, started_at: float
) -> None:
    """And keeps no other from being recovered."""
    folder = await write_call(root, header(started_at=started_at))
    async with keeping(storage, root) as keeper:
        with pytest.raises(StorageError, match="cannot have begun"):
            await keeper.finish(folder)
    assert os.listdir(root) == [f".broken-{folder.name}"]


async def test_a_call_that_another_process_finishes_is_lost_in_no_later_start(
    storage: ShakyStorage, tmp_path: Path
) -> None:
    """Its note goes with the journal, in whichever process's folder it lies."""
    data, head = tmp_path / "data", header()
    answered = AnsweredCalls(data / "answered", data / "journal")
    await answered.kept(head)
    # However slow the disk is.
    await until(lambda: list((data / "answered").glob("[!.]*/[!.]*.json")))
    folder = await write_call(data / "journal", head, cause="caller_hangup")
    async with keeping(storage, data / "journal") as keeper:
        await keeper.finish(folder)
    await answered.close()
    later = AnsweredCalls(data / "answered", data / "journal")
    assert await later.start() == []
    await later.close()


async def test_a_note_that_cannot_be_removed_keeps_the_journal(
    storage: ShakyStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = await write_call(root, header(), cause="caller_hangup")

    def fails(*_: object) -> None:
        raise OSError("read-only")

    with monkeypatch.context() as patch:
        patch.setattr("sessions.keeper.forget_note", fails)
        async with keeping(storage, root) as keeper:
            with pytest.raises(StorageError, match="cannot be removed: read-only"):
                await keeper.finish(folder)
            assert folder.exists()
    stored: list[StoredCall] = []
    async with keeping(storage, root, stored):
        await until(lambda: stored)
    assert not folder.exists()


async def test_a_search_that_fails_as_nobody_foresaw_ends_no_trying(
    storage: ShakyStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = 0

    def search(where: Path) -> list[tuple[float, Path]]:
        nonlocal searches
        searches += 1
        if searches == 2:
            raise RuntimeError("on purpose")
        return unfinished_since(where)

    monkeypatch.setattr("sessions.keeper.unfinished_since", search)
    monkeypatch.setattr("sessions.keeper._WATCH_SECONDS", 0.05)
    stored: list[StoredCall] = []
    options = replace(FAST, rescan_seconds=0.05)
    keeper = RecordKeeper(storage, root, options=options, on_stored=stored.append)
    await keeper.start()
    await until(lambda: searches > 2)
    await write_call(root, header(), cause="caller_hangup")
    await until(lambda: stored)
    await keeper.close()


async def test_a_record_that_cannot_be_read_is_written_again(
    storage: ShakyStorage, root: Path
) -> None:
    head = header()
    folder = await write_call(root, head, cause="caller_hangup")
    key = f"records/2026/11/01/{head.session_id}.json"
    await storage.put_bytes("transcripts", key, b'{"session_id":', "application/json")
    async with keeping(storage, root) as keeper:
        call = await keeper.finish(folder)
    assert call.record_key == key
    assert await storage.read("transcripts", key) == msgspec.json.encode(call.record)


async def test_a_journal_of_which_no_recording_can_be_made_is_kept_for_a_person(
    storage: ShakyStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said is stored all the same, and the record says that the sound is not."""

    def fails(*_: Any) -> None:
        raise ValueError("on purpose")

    monkeypatch.setattr("sessions.build.make_recording", fails)
    folder = await write_call(root, cause="caller_hangup")
    sound = (folder / MEDIA_NAME).read_bytes()
    async with keeping(storage, root) as keeper:
        call = await keeper.finish(folder)
    assert (call.record.recording.state, call.record.recording.file) == ("failed", None)
    assert "hello" in call.transcript_text
    assert os.listdir(root) == [f".broken-{folder.name}"]
    assert (root / f".broken-{folder.name}" / MEDIA_NAME).read_bytes() == sound


async def test_a_record_that_comes_back_changed_keeps_the_journal(
    storage: ShakyStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, is_changed = storage.read, True

    async def read(kind: StorageKind, key: str) -> bytes:
        data = await real(kind, key)
        return data + b" " if is_changed and key.startswith("records/") else data

    monkeypatch.setattr(storage, "read", read)
    folder = await write_call(root, cause="caller_hangup")
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        with pytest.raises(StorageError, match="came back changed"):
            await keeper.finish(folder)
        assert folder.exists() and told == []
        is_changed = False
        await until(lambda: told)
    assert not folder.exists()


async def test_a_search_that_holds_a_journal_for_an_instant_is_waited_for(
    storage: ShakyStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def held_once(folder: Path) -> AbstractContextManager[None]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise JournalBusyError(folder.name)
        return locked(folder)

    async with keeping(storage, root) as keeper:
        folder = await write_call(root, cause="caller_hangup")
        monkeypatch.setattr("sessions.keeper.locked", held_once)
        await keeper.finish(folder)
        assert (tries, keeper.stats().failures) == (2, 0)


async def test_what_is_wrong_with_a_journal_is_not_put_down_to_the_store(
    storage: ShakyStorage, root: Path
) -> None:
    folder = await write_call(root, cause="caller_hangup")
    told: list[StoredCall] = []
    async with keeping(storage, root, told) as keeper:
        with locked(folder), pytest.raises(StorageError, match="in use"):
            await keeper.finish(folder)
        await until(lambda: told)
    assert told[0].record.degraded == []
