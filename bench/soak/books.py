"""Compares what callers saw with what the store has: nothing missing, nothing twice."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.soak.calls import PlacedCall
from storage.base import Storage, StorageKind

#: Of each leg, by a killed server.
MOST_LOST_MS: Final = 100.0
#: Of the caller's leg, by a server that was asked to end: what was on its way when it closed.
_MOST_LOST_STOPPED_MS: Final = 1000.0
#: A call may be longer to the server than to its caller: it looks for peers that are gone.
_LONGER_SECONDS: Final = 60.0
_PARTS: Final = ("transcript", "transcript_text", "transcript_vtt")
#: Ends that a storm may bring over any call.
_FATES: Final = frozenset({"provider_failed", "drained"})
#: What a call is told that outlives its server.
FAREWELL: Final = "Thank you for calling. Goodbye."

Record = dict[str, Any]


@dataclass(slots=True)
class Books:
    """What was found.

    Attributes:
        expected: Records that have to be there; ``found`` are those that are.
        wrong: What should not be, in words; ``remarks`` are of what is worth a look.
        causes: Records, by the cause of their end.
        farewells: Calls that a stopping server ended, and was heard to.
        disk_failed: Calls in whose life nothing could be written; ``disk_incomplete`` of them
            have a recording that says that it is not complete.
        lost_caller_ms, lost_agent_ms: Of each call whose server was killed.
        unread_ms: Of the caller's sound in such a call, what the server had not read.
        stopped_ms: Of the caller's sound in calls whose server was asked to end.
        missing_ms: Of the caller's sound in calls that the caller ended.
        session_ids: Of all records, with the carrier's id of each.
    """

    most_lost_ms: float
    expected: int = 0
    found: int = 0
    recordings: int = 0
    transcripts: int = 0
    duplicates: int = 0
    hashes_equal: int = 0
    crashed: int = 0
    farewells: int = 0
    disk_failed: int = 0
    disk_incomplete: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    lost_caller_ms: list[float] = field(default_factory=list)
    lost_agent_ms: list[float] = field(default_factory=list)
    unread_ms: list[float] = field(default_factory=list)
    stopped_ms: list[float] = field(default_factory=list)
    missing_ms: list[float] = field(default_factory=list)
    session_ids: dict[str, str] = field(default_factory=dict)


async def audit(
    placed: Sequence[PlacedCall], storage: Storage, journals: Path, *, most_lost_ms: float
) -> Books:
    """Look at every call and at every object, once nothing waits any more.

    Args:
        most_lost_ms: More sound than this may no leg lose when the server is killed.
    """
    books = Books(most_lost_ms=most_lost_ms)
    records = await _records(storage)
    calls: dict[str, list[PlacedCall]] = defaultdict(list)
    for call in placed:
        calls[call.call_id].append(call)
    referenced: set[tuple[str, str]] = set()
    for call_id, same in calls.items():
        found = sorted(records.pop(call_id, []), key=lambda each: str(each.get("started_at")))
        _count(books, call_id, same, found)
        for number, record in enumerate(found):
            # Where one call has two records, they are two parts of the same.
            call = same[min(number, len(same) - 1)]
            texts = await _check_files(books, call, record, storage, referenced)
            _check_end(books, call, record, texts.get("transcript_text", ""))
            if len(found) == len(same) == 1:
                _measure(books, call, record)
    books.wrong += [f"{call_id}: a record of nobody's call" for call_id in records]
    await _strangers(books, storage, referenced)
    if journals.exists():  # noqa: ASYNC240 - nothing else happens here
        left = sorted(each.name for each in journals.iterdir())  # noqa: ASYNC240
        books.wrong += [f"a journal is left: {name}" for name in left]
    return books


async def _records(storage: Storage) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    async for each in storage.list_objects("transcripts", "records/"):
        record = json.loads(await storage.read("transcripts", each.key))
        found[record["carrier_call_id"]].append(record)
    return found


def _count(books: Books, call_id: str, same: Sequence[PlacedCall], found: Sequence[Record]) -> None:
    least = sum(call.owed.least for call in same)
    most = sum(call.owed.most for call in same)
    books.expected += least
    books.found += len(found)
    books.duplicates += max(0, len(found) - most)
    for record in found:
        books.session_ids[record["session_id"]] = call_id
        books.causes[record["end_cause"]] += 1
    if not least <= len(found) <= most:
        said = f"{len(found)} records" if found else "no record"
        books.wrong.append(f"{_name(same[0])}: {said}")


async def _check_files(
    books: Books,
    call: PlacedCall,
    record: Record,
    storage: Storage,
    referenced: set[tuple[str, str]],
) -> dict[str, str]:
    """Hashes, and that nothing is missing; returns the texts of the transcript."""
    sound = record["recording"]
    files = {name: record[name] for name in _PARTS}
    # Of a call that was killed this young all sound may be lost; its record may not.
    young = call.killed_at_ms is not None and max(call.sent_ms, call.heard_ms) <= books.most_lost_ms
    wanted = call.owed.sound and call.expected and not young and record["end_cause"] != "no_start"
    if wanted or sound["file"] is not None:
        files["recording"] = sound["file"]
    if wanted and (sound["state"] != "stored" or not sound["complete"]):
        _note_incomplete(books, call, record)
    texts: dict[str, str] = {}
    for name, file in files.items():
        if file is None:
            books.wrong.append(f"{_name(call)}: no {name}")
            continue
        referenced.add((file["kind"], file["key"]))
        data = await storage.read(file["kind"], file["key"])
        if hashlib.sha256(data).hexdigest() != file["sha256"]:
            books.wrong.append(f"{_name(call)}: another hash of {name}")
        else:
            books.hashes_equal += 1
        if name in _PARTS:
            texts[name] = data.decode(errors="replace")
    books.recordings += sound["file"] is not None
    books.transcripts += files["transcript"] is not None
    books.disk_failed += call.disk_failed
    return texts


def _note_incomplete(books: Books, call: PlacedCall, record: Record) -> None:
    """A recording may be incomplete where the disk failed, and the record has to say so."""
    sound = record["recording"]
    told = any(each["stage"] == "journal" for each in record["degraded"])
    if call.disk_failed and told and not sound["complete"]:
        books.disk_incomplete += 1
        return
    books.wrong.append(f"{_name(call)}: recording {sound['state']}, complete {sound['complete']}")


def _check_end(books: Books, call: PlacedCall, record: Record, text: str) -> None:
    cause = record["end_cause"]
    books.crashed += cause == "crash"
    if cause == "drained" and FAREWELL in text:
        books.farewells += 1
    allowed = call.owed.causes
    killed = call.near_kill or call.killed_at_ms is not None
    crash = killed or call.forced
    length, lasted = record["duration_seconds"], call.lasted_seconds
    if lasted is not None and not -1.0 < length < lasted + _LONGER_SECONDS:
        books.wrong.append(f"{_name(call)}: {length:.0f} s long, and lasted {lasted:.0f} s")
    if cause == "crash" and not crash:
        books.wrong.append(f"{_name(call)}: ended by crash, and nobody killed the server")
    elif allowed and not killed and cause not in allowed | _FATES:
        books.wrong.append(f"{_name(call)}: ended by {cause}, not {' or '.join(sorted(allowed))}")


def _measure(books: Books, call: PlacedCall, record: Record) -> None:
    sound = record["recording"]
    missing_ms = max(0.0, call.sent_ms - sound["caller_ms"])
    if call.disk_failed and not sound["complete"]:
        return
    if call.killed_at_ms is None:
        if call.stopped and call.measured and not call.forced:
            books.stopped_ms.append(missing_ms)
            if missing_ms > _MOST_LOST_STOPPED_MS:
                books.wrong.append(f"{_name(call)}: {missing_ms:.0f} ms lost in a drain")
        elif call.hung_up and call.measured and call.near_kill:
            books.lost_caller_ms.append(missing_ms)
            if missing_ms > books.most_lost_ms:
                books.wrong.append(f"{_name(call)}: {missing_ms:.0f} ms lost in a kill at its end")
        elif call.hung_up and call.measured and not call.stopped:
            books.missing_ms.append(missing_ms)
            if missing_ms > 0:
                books.remarks.append(f"{_name(call)}: {missing_ms:.0f} ms not in the recording")
            if missing_ms > MOST_LOST_MS:
                books.wrong.append(f"{_name(call)}: {missing_ms:.0f} ms lost, and nobody killed")
        return
    books.lost_caller_ms.append(missing_ms)
    books.unread_ms.append(call.unread_ms)
    if not call.cleared:
        books.lost_agent_ms.append(max(0.0, call.heard_ms - sound["agent_ms"]))
    for leg, lost in (("caller", books.lost_caller_ms), ("agent", books.lost_agent_ms)):
        if lost and lost[-1] > books.most_lost_ms and (leg == "caller" or not call.cleared):
            unread = f", {call.unread_ms:.0f} ms were unread" if leg == "caller" else ""
            books.wrong.append(
                f"{_name(call)}: {lost[-1]:.0f} ms of the {leg} lost in a kill{unread}"
            )


async def _strangers(books: Books, storage: Storage, referenced: set[tuple[str, str]]) -> None:
    """Files that no record speaks of."""
    kinds: tuple[StorageKind, ...] = ("recordings", "transcripts")
    for kind in kinds:
        async for each in storage.list_objects(kind, ""):
            own = each.key.startswith(("records/", "retention/"))
            if not own and (kind, each.key) not in referenced:
                books.duplicates += 1
                books.wrong.append(f"{kind}/{each.key}: no record speaks of it")


def _name(call: PlacedCall) -> str:
    """Who is spoken of; what is remarkable about them is said as well."""
    odd = "" if call.manner == "plain" else f" ({call.manner})"
    return f"{call.call_id}{odd}"
