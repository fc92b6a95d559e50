"""What carriers tell late reaches the right record, once."""

import asyncio
import gc
from dataclasses import replace

import msgspec
import pytest

from config.errors import StorageError
from sessions import ended as module
from sessions.ended import EndedCalls
from sessions.keeper import StoredCall
from sessions.record import CallRecord, NoticeRecord, RecordingRecord, TurnRecord, make_record
from tests.unit.sessions.journals import header


def stored(carrier: str | None = "carrier", session_id: str | None = None) -> StoredCall:
    head = header(carrier_call_id=carrier)
    if session_id is not None:
        head = msgspec.structs.replace(head, session_id=session_id)
    record = make_record(head, [], RecordingRecord(state="empty"))
    key = f"records/{record.session_id}.json"
    return StoredCall(record=record, transcript_text="", record_key=key, record_url="file:///k")


class Store:
    """Amends records in memory, and can be away."""

    def __init__(self, *calls: StoredCall) -> None:
        self.records = {call.record_key: call.record for call in calls}
        self.asked: list[tuple[str, str, str]] = []
        self.away = False

    def details(self, call: StoredCall) -> list[str]:
        """What the notices of a stored record say."""
        return [notice.detail for notice in self.records[call.record_key].notices]

    async def amend(self, record_key: str, name: str, detail: str) -> CallRecord:
        record = self.records[record_key]
        self.asked.append((record.session_id, name, detail))
        await asyncio.sleep(0)
        if self.away:
            raise StorageError("storage_unavailable", "away")
        notices = [*record.notices, NoticeRecord(at_ms=0, name=name, detail=detail)]
        record = msgspec.structs.replace(record, notices=notices)
        self.records[record_key] = record
        return record


async def test_a_notice_for_a_stored_call_is_added_once() -> None:
    call = stored()
    store = Store(call)
    calls = EndedCalls(store.amend)
    calls.expect(call.record.session_id, "carrier")
    assert calls.find("carrier") is None
    calls.stored(call)
    for _ in range(3):
        assert calls.notice("carrier", "hangup", "d")
        await calls.settled()
    assert store.asked == [(call.record.session_id, "hangup", "d")]
    found = calls.find("carrier")
    assert found is not None and found == calls.find(call.record.session_id)
    assert (found.record_key, found.status) == (call.record_key, "stored")
    assert store.details(call) == ["d"]


async def test_a_notice_that_comes_before_the_record_waits_for_it() -> None:
    call = stored()
    store = Store(call)
    calls = EndedCalls(store.amend)
    calls.expect(call.record.session_id, "carrier")
    for detail in ("one", "two", "one"):
        assert calls.notice("carrier", "hangup", detail)
    assert store.asked == []
    calls.stored(call)
    await calls.settled()
    assert [asked[2] for asked in store.asked] == ["one", "two"]


async def test_of_two_records_of_a_call_the_later_one_gets_it() -> None:
    first, second = stored(), stored()
    store = Store(first, second)
    calls = EndedCalls(store.amend)
    calls.expect(first.record.session_id, "carrier")
    calls.expect(second.record.session_id, "carrier")
    calls.stored(second)
    calls.stored(first)
    calls.notice("carrier", "hangup", "d")
    await calls.settled()
    assert [asked[0] for asked in store.asked] == [second.record.session_id]


async def test_what_is_not_known_is_not_kept() -> None:
    calls = EndedCalls(Store().amend)
    assert not calls.notice("nobody", "hangup", "d")
    assert not calls.notice("", "hangup", "d")
    assert calls.find("nobody") is None


async def test_a_store_that_is_away_is_survived() -> None:
    call = stored()
    store = Store(call)
    calls = EndedCalls(store.amend)
    calls.stored(call)
    store.away = True
    assert calls.notice("carrier", "hangup", "d")
    await calls.settled()
    store.away = False
    assert calls.notice("carrier", "hangup", "d")
    await calls.settled()
    assert calls.find("carrier") is not None and store.details(call) == ["d"]


async def test_only_so_many_calls_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    calls = EndedCalls(Store().amend)
    for name in "abc":
        call = stored(name)
        calls.expect(call.record.session_id, name)
        calls.stored(call)
    assert [calls.find(name) is not None for name in "abc"] == [False, True, True]


async def test_what_a_call_was_made_of_is_not_remembered() -> None:
    """An hour's turns and words would be a hundred times what is asked for later."""
    call = stored()
    turn = TurnRecord(turn=1, at_ms=1.0, response_ms=1.0, stt_ms=1.0, llm_ms=1.0, tts_ms=1.0)
    record = msgspec.structs.replace(call.record, turns=[turn] * 300)
    calls = EndedCalls(Store(call).amend)
    calls.stored(replace(call, record=record, transcript_text="words " * 1000))
    assert calls.notice("carrier", "hangup", "d")
    await calls.settled()
    assert not [each for each in _held(calls) if isinstance(each, CallRecord | TurnRecord)]


def _held(calls: EndedCalls) -> list[object]:
    """All that the memory of ended calls holds, however deep."""
    found: dict[int, object] = {}
    left: list[object] = [calls._stored, calls._unstored, calls._latest, calls._amending]
    while left:
        each = left.pop()
        if id(each) not in found and not isinstance(each, type):
            found[id(each)] = each
            left += gc.get_referents(each)
    return list(found.values())
