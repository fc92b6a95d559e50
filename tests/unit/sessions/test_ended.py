"""What carriers tell late reaches the right record, once."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from config.errors import StorageError
from sessions import ended as module
from sessions.ended import EndedCalls
from sessions.keeper import StoredCall
from sessions.record import NoticeRecord, RecordingRecord, make_record
from tests.unit.sessions.journals import header


def stored(carrier: str | None = "carrier", session_id: str | None = None) -> StoredCall:
    head = header(carrier_call_id=carrier)
    if session_id is not None:
        head = msgspec.structs.replace(head, session_id=session_id)
    record = make_record(head, [], RecordingRecord(state="empty"))
    return StoredCall(record=record, transcript_text="", record_key="k", record_url="file:///k")


class Store:
    """Amends records in memory, and can be away."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.away = False

    async def amend(self, call: StoredCall, name: str, detail: str) -> StoredCall:
        self.asked.append((call.record.session_id, name, detail))
        await asyncio.sleep(0)
        if self.away:
            raise StorageError("storage_unavailable", "away")
        notice = NoticeRecord(at_ms=0, name=name, detail=detail)
        notices = [*call.record.notices, notice]
        return replace(call, record=msgspec.structs.replace(call.record, notices=notices))


async def test_a_notice_for_a_stored_call_is_added_once() -> None:
    store = Store()
    calls = EndedCalls(store.amend)
    call = stored()
    calls.expect(call.record.session_id, "carrier")
    assert calls.find("carrier") is None
    calls.stored(call)
    for _ in range(3):
        assert calls.notice("carrier", "hangup", "d")
        await calls.settled()
    assert store.asked == [(call.record.session_id, "hangup", "d")]
    found = calls.find("carrier")
    assert found is not None and found is calls.find(call.record.session_id)
    assert [n.detail for n in found.record.notices] == ["d"]


async def test_a_notice_that_comes_before_the_record_waits_for_it() -> None:
    store = Store()
    calls = EndedCalls(store.amend)
    call = stored()
    calls.expect(call.record.session_id, "carrier")
    for detail in ("one", "two", "one"):
        assert calls.notice("carrier", "hangup", detail)
    assert store.asked == []
    calls.stored(call)
    await calls.settled()
    assert [asked[2] for asked in store.asked] == ["one", "two"]


async def test_of_two_records_of_a_call_the_later_one_gets_it() -> None:
    store = Store()
    calls = EndedCalls(store.amend)
    first, second = stored(), stored()
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
    store = Store()
    calls = EndedCalls(store.amend)
    call = stored()
    calls.stored(call)
    store.away = True
    assert calls.notice("carrier", "hangup", "d")
    await calls.settled()
    store.away = False
    assert calls.notice("carrier", "hangup", "d")
    await calls.settled()
    found = calls.find("carrier")
    assert found is not None and len(found.record.notices) == 1


async def test_only_so_many_calls_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    calls = EndedCalls(Store().amend)
    for name in "abc":
        call = stored(name)
        calls.expect(call.record.session_id, name)
        calls.stored(call)
    assert [calls.find(name) is not None for name in "abc"] == [False, True, True]
