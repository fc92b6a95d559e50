"""Compares what callers saw with what the store has: nothing missing, nothing twice."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.soak.calls import PlacedCall
from storage.base import Storage, StorageKind

#: Of each leg, by a killed server.
MOST_LOST_MS: Final = 100.0
_PARTS: Final = ("transcript", "transcript_text", "transcript_vtt")


@dataclass(slots=True)
class Books:
    """What was found.

    Attributes:
        wrong: What should not be, in words.
        lost_caller_ms, lost_agent_ms: Of each call whose server was killed.
        missing_ms: Of the caller's sound in calls that the caller ended.
    """

    most_lost_ms: float
    expected: int = 0
    found: int = 0
    recordings: int = 0
    transcripts: int = 0
    duplicates: int = 0
    hashes_equal: int = 0
    crashed: int = 0
    wrong: list[str] = field(default_factory=list)
    lost_caller_ms: list[float] = field(default_factory=list)
    lost_agent_ms: list[float] = field(default_factory=list)
    missing_ms: list[float] = field(default_factory=list)


async def audit(
    placed: Sequence[PlacedCall], storage: Storage, journals: Path, *, most_lost_ms: float
) -> Books:
    """Look at every call and at every object, once nothing waits any more.

    Args:
        most_lost_ms: More sound than this may no leg lose when the server is killed.
    """
    books = Books(most_lost_ms=most_lost_ms)
    records = await _records(storage)
    referenced: set[tuple[str, str]] = set()
    for call in placed:
        found = records.pop(call.call_id, [])
        books.expected += call.expected
        books.found += bool(found)
        if call.expected and not found:
            books.wrong.append(f"{call.call_id}: no record")
        if len(found) > 1:
            books.duplicates += len(found) - 1
            books.wrong.append(f"{call.call_id}: {len(found)} records")
        for record in found:
            await _check_files(books, call, record, storage, referenced)
            _measure(books, call, record)
    books.wrong += [f"{call_id}: a record of nobody's call" for call_id in records]
    await _strangers(books, storage, referenced)
    if journals.exists():  # noqa: ASYNC240 - nothing else happens here
        left = sorted(each.name for each in journals.iterdir())  # noqa: ASYNC240
        books.wrong += [f"a journal is left: {name}" for name in left]
    return books


async def _records(storage: Storage) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    async for each in storage.list_objects("transcripts", "records/"):
        record = json.loads(await storage.read("transcripts", each.key))
        found[record["carrier_call_id"]].append(record)
    return found


async def _check_files(
    books: Books,
    call: PlacedCall,
    record: dict[str, Any],
    storage: Storage,
    referenced: set[tuple[str, str]],
) -> None:
    call_id = call.call_id
    sound = record["recording"]
    files = {name: record[name] for name in _PARTS}
    if call.expected or sound["file"] is not None:
        files["recording"] = sound["file"]
    if call.expected and (sound["state"] != "stored" or not sound["complete"]):
        books.wrong.append(f"{call_id}: recording {sound['state']}")
    for name, file in files.items():
        if file is None:
            books.wrong.append(f"{call_id}: no {name}")
            continue
        referenced.add((file["kind"], file["key"]))
        data = await storage.read(file["kind"], file["key"])
        if hashlib.sha256(data).hexdigest() != file["sha256"]:
            books.wrong.append(f"{call_id}: another hash of {name}")
        else:
            books.hashes_equal += 1
    books.recordings += sound["file"] is not None
    books.transcripts += files["transcript"] is not None
    books.crashed += record["end_cause"] == "crash"


def _measure(books: Books, call: PlacedCall, record: dict[str, Any]) -> None:
    sound = record["recording"]
    missing_ms = max(0.0, call.sent_ms - sound["caller_ms"])
    if call.killed_at_ms is None:
        if call.hung_up and call.answered:
            books.missing_ms.append(missing_ms)
        return
    books.lost_caller_ms.append(missing_ms)
    if not call.cleared:
        books.lost_agent_ms.append(max(0.0, call.heard_ms - sound["agent_ms"]))
    for leg, lost in (("caller", books.lost_caller_ms), ("agent", books.lost_agent_ms)):
        if lost and lost[-1] > books.most_lost_ms and (leg == "caller" or not call.cleared):
            books.wrong.append(f"{call.call_id}: {lost[-1]:.0f} ms of the {leg} lost in a kill")


async def _strangers(books: Books, storage: Storage, referenced: set[tuple[str, str]]) -> None:
    """Files that no record speaks of."""
    kinds: tuple[StorageKind, ...] = ("recordings", "transcripts")
    for kind in kinds:
        async for each in storage.list_objects(kind, ""):
            own = each.key.startswith(("records/", "retention/"))
            if not own and (kind, each.key) not in referenced:
                books.duplicates += 1
                books.wrong.append(f"{kind}/{each.key}: no record speaks of it")
