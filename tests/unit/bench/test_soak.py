"""The audit of a soak finds what is missing, doubled, changed or left."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bench.soak.books import Books, audit
from bench.soak.calls import PlacedCall
from bench.soak.report import spread
from storage.filesystem import FilesystemStorage


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemStorage]:
    made = FilesystemStorage(tmp_path / "store")
    yield made
    await made.close()


async def keep(store: FilesystemStorage, call_id: str, name: str, **sound: Any) -> dict[str, Any]:
    """Store a call's files and record, as a server does."""
    files: dict[str, Any] = {}
    for part, kind in (
        ("recording", "recordings"),
        ("transcript", "transcripts"),
        ("transcript_text", "transcripts"),
        ("transcript_vtt", "transcripts"),
    ):
        data, key = f"{name} {part}".encode(), f"{name}.{part}"
        await store.put_bytes(kind, key, data, "text/plain")  # type: ignore[arg-type]
        files[part] = {"kind": kind, "key": key, "sha256": hashlib.sha256(data).hexdigest()}
    recording = {
        **{"state": "stored", "complete": True, "caller_ms": 1000.0, "agent_ms": 1000.0},
        **{"file": files.pop("recording"), **sound},
    }
    record = {"carrier_call_id": call_id, "end_cause": "crash", "recording": recording, **files}
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
    assert (await look(store, tmp_path, ended())).wrong == ["a: recording failed"]


async def test_sound_lost_in_a_kill(store: FilesystemStorage, tmp_path: Path) -> None:
    await keep(store, "a", "one")
    killed = ended(killed_at_ms=1200.0, sent_ms=1200.0, heard_ms=1050.0, received_ms=2000.0)
    books = await look(store, tmp_path, killed)
    assert books.wrong == ["a: 200 ms of the caller lost in a kill"]
    assert (books.lost_caller_ms, books.lost_agent_ms) == ([200.0], [50.0])


def test_only_a_call_of_a_moment_may_be_lost_whole() -> None:
    assert not ended(killed_at_ms=90.0, sent_ms=100.0).expected
    assert ended(killed_at_ms=130.0, sent_ms=120.0).expected
    assert ended(killed_at_ms=90.0, sent_ms=100.0, heard_ms=120.0).expected


def test_distributions() -> None:
    assert spread([]) == "0 | - | - | -"
    assert spread([float(n) for n in range(1, 101)]) == "100 | 50 | 95 | 100"
