"""The audit of a soak finds what is missing, doubled, changed or left."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bench.soak.books import FAREWELL, Books, audit
from bench.soak.calls import PlacedCall
from bench.soak.odd import ODD
from storage.filesystem import FilesystemStorage


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemStorage]:
    made = FilesystemStorage(tmp_path / "store")
    yield made
    await made.close()


async def keep(
    store: FilesystemStorage,
    call_id: str,
    name: str,
    *,
    cause: str = "caller_hangup",
    degraded: tuple[dict[str, str], ...] = (),
    text: str = "",
    **sound: Any,
) -> dict[str, Any]:
    """Store a call's files and record, as a server does."""
    files: dict[str, Any] = {}
    for part, kind in (
        ("recording", "recordings"),
        ("transcript", "transcripts"),
        ("transcript_text", "transcripts"),
        ("transcript_vtt", "transcripts"),
    ):
        data, key = f"{name} {part} {text}".encode(), f"{name}.{part}"
        await store.put_bytes(kind, key, data, "text/plain")  # type: ignore[arg-type]
        files[part] = {"kind": kind, "key": key, "sha256": hashlib.sha256(data).hexdigest()}
    recording = {
        **{"state": "stored", "complete": True, "caller_ms": 1000.0, "agent_ms": 1000.0},
        **{"file": files.pop("recording"), **sound},
    }
    record = {
        "session_id": name,
        "carrier_call_id": call_id,
        "started_at": name,
        "duration_seconds": 1.2,
        "end_cause": cause,
        "degraded": degraded,
        "recording": recording,
        **files,
    }
    await store.put_bytes(
        "transcripts", f"records/{name}.json", json.dumps(record).encode(), "application/json"
    )
    return record


def ended(call_id: str = "a", **changes: Any) -> PlacedCall:
    values: dict[str, Any] = {"answered": True, "hung_up": True, "sent_ms": 1000.0, **changes}
    return PlacedCall(call_id, **values)


async def look(store: FilesystemStorage, tmp_path: Path, *calls: PlacedCall) -> Books:
    return await audit(calls, store, tmp_path / "journal", most_lost_ms=100)


async def test_all_is_well(store: FilesystemStorage, tmp_path: Path) -> None:
    await keep(store, "a", "one")
    books = await look(store, tmp_path, ended(), PlacedCall("refused", refused="AnswerRejected"))
    assert books.wrong == []
    assert (books.expected, books.found, books.recordings, books.hashes_equal) == (1, 1, 1, 4)


async def test_a_missing_and_a_double_record(store: FilesystemStorage, tmp_path: Path) -> None:
    await keep(store, "a", "one")
    await keep(store, "a", "two")
    await keep(store, "nobody", "three")
    books = await look(store, tmp_path, ended("a"), ended("b"))
    # The four files of the third count as well.
    assert books.duplicates == 1 + 4
    assert books.wrong[:3] == ["a: 2 records", "b: no record", "nobody: a record of nobody's call"]


async def test_changed_bytes_and_strangers(store: FilesystemStorage, tmp_path: Path) -> None:
    await keep(store, "a", "one")
    await store.put_bytes("recordings", "one.recording", b"changed", "audio/wav")
    await store.put_bytes("recordings", "stranger.wav", b"", "audio/wav")
    (tmp_path / "journal" / "left").mkdir(parents=True)
    books = await look(store, tmp_path, ended())
    assert books.wrong == [
        "a: another hash of recording",
        "recordings/stranger.wav: no record speaks of it",
        "a journal is left: left",
    ]


async def test_a_recording_that_failed(store: FilesystemStorage, tmp_path: Path) -> None:
    await keep(store, "a", "one", state="failed", complete=False)
    books = await look(store, tmp_path, ended())
    assert books.wrong == ["a: recording failed, complete False"]


async def test_sound_lost_in_a_kill(store: FilesystemStorage, tmp_path: Path) -> None:
    await keep(store, "a", "one", cause="crash")
    killed = ended(killed_at_ms=1200.0, sent_ms=1200.0, heard_ms=1050.0, received_ms=2000.0)
    books = await look(store, tmp_path, killed)
    assert books.wrong == ["a: 200 ms of the caller lost in a kill, 0 ms were unread"]
    assert (books.lost_caller_ms, books.lost_agent_ms) == ([200.0], [50.0])


async def test_a_call_that_ends_as_the_server_is_killed(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    await keep(store, "a", "one", cause="crash")
    books = await look(store, tmp_path, ended(near_kill=True, sent_ms=1200.0))
    assert books.wrong == ["a: 200 ms lost in a kill at its end"]
    assert (books.lost_caller_ms, books.missing_ms) == ([200.0], [])


async def test_of_a_call_of_a_moment_only_the_sound_may_be_lost(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    moment = ended(killed_at_ms=90.0, sent_ms=100.0)
    assert (await look(store, tmp_path, moment)).wrong == ["a: no record"]
    await keep(store, "a", "one", cause="crash", file=None, caller_ms=0.0, agent_ms=0.0)
    assert (await look(store, tmp_path, moment)).wrong == [
        "recordings/one.recording: no record speaks of it"
    ]
    for sent_ms, heard_ms in ((120.0, 0.0), (100.0, 120.0)):
        longer = ended(killed_at_ms=130.0, sent_ms=sent_ms, heard_ms=heard_ms)
        books = await look(store, tmp_path, longer)
        assert "a: no recording" in books.wrong


async def test_a_caller_who_calls_again_is_owed_two_records(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    await keep(store, "a", "one")
    assert (await look(store, tmp_path, ended(), ended())).wrong == ["a: 1 records"]
    await keep(store, "a", "two")
    books = await look(store, tmp_path, ended(), ended())
    assert books.wrong == [] and (books.expected, books.found) == (2, 2)
    assert books.session_ids == {"one": "a", "two": "a"}


async def test_every_manner_of_calling_owes_its_end(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    await keep(store, "a", "one")
    manners = {manner.name: manner for manner in ODD}
    wrong = manners["sends another start"]
    call = ended(manner=wrong.name, owes=wrong.owes)
    assert (await look(store, tmp_path, call)).wrong == [
        "a (sends another start): ended by caller_hangup, not wire_error"
    ]
    twice = manners["loses its stream and opens another"].owes
    assert (twice.least, twice.most) == (1, 2)
    assert len(manners) == len(ODD)


async def test_a_crash_that_nobody_caused(store: FilesystemStorage, tmp_path: Path) -> None:
    await keep(store, "a", "one", cause="crash")
    assert (await look(store, tmp_path, ended())).wrong == [
        "a: ended by crash, and nobody killed the server"
    ]
    assert (await look(store, tmp_path, ended(stopped=True, forced=True))).wrong == []


async def test_sound_that_a_disk_did_not_take_has_to_be_told(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    await keep(store, "a", "one", state="failed", complete=False)
    call = ended(disk_failed=True)
    assert len((await look(store, tmp_path, call)).wrong) == 1
    told = ({"stage": "journal", "kind": "recording_failed"},)
    await keep(store, "a", "one", degraded=told, state="failed", complete=False, caller_ms=1.0)
    books = await look(store, tmp_path, call)
    assert books.wrong == [] and (books.disk_failed, books.disk_incomplete) == (1, 1)
    # One that says that it is complete has to be.
    await keep(store, "a", "one", caller_ms=1.0)
    assert (await look(store, tmp_path, call)).wrong == ["a: 999 ms lost, and nobody killed"]


async def test_sound_lost_while_the_server_is_asked_to_end(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    await keep(store, "a", "one", cause="drained", text=FAREWELL)
    books = await look(store, tmp_path, ended(stopped=True, sent_ms=2500.0, hung_up=False))
    assert books.wrong == ["a: 1500 ms lost in a drain"]
    assert (books.farewells, books.stopped_ms) == (1, [1500.0])


async def test_a_call_whose_length_follows_the_clock(
    store: FilesystemStorage, tmp_path: Path
) -> None:
    record = await keep(store, "a", "one")
    record["duration_seconds"] = 7200.0
    await store.put_bytes(
        "transcripts", "records/one.json", json.dumps(record).encode(), "application/json"
    )
    books = await look(store, tmp_path, ended(lasted_seconds=1.3))
    assert books.wrong == ["a: 7200 s long, and lasted 1 s"]
