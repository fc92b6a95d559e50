"""What carriers tell late reaches the right record, once."""

import asyncio
import gc
from dataclasses import replace

import msgspec
import pytest
from prometheus_client import REGISTRY

from config.errors import StorageError
from sessions import ended as module
from sessions.ended import EndedCalls
from sessions.keeper import StoredCall
from sessions.record import CallRecord, NoticeRecord, RecordingRecord, TurnRecord, make_record
from sessions.waiting import Backoff
from tests.unit.sessions.journals import header
from tests.virtual_time import virtual_time

BACKOFF = Backoff(first_seconds=2, longest_seconds=60)


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
        self.broken: set[str] = set()

    def details(self, call: StoredCall) -> list[str]:
        """What the notices of a stored record say."""
        return [notice.detail for notice in self.records[call.record_key].notices]

    async def amend(self, record_key: str, name: str, detail: str) -> CallRecord:
        self.asked.append((record_key[8:-5], name, detail))
        await asyncio.sleep(0)
        if self.away:
            raise StorageError("storage_unavailable", "away")
        if record_key in self.broken:
            raise msgspec.ValidationError("no record")
        if record_key not in self.records:
            raise StorageError("storage_not_found", "no such thing")
        record = self.records[record_key]
        notices = [*record.notices, NoticeRecord(at_ms=0, name=name, detail=detail)]
        record = msgspec.structs.replace(record, notices=notices)
        self.records[record_key] = record
        return record


def dropped() -> float:
    return REGISTRY.get_sample_value("queue_dropped_total", {"queue": "notices"}) or 0.0


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


@virtual_time
async def test_a_word_that_comes_while_the_store_stumbles_is_added_once_it_is_back() -> None:
    call = stored()
    store = Store(call)
    calls = EndedCalls(store.amend, BACKOFF)
    calls.stored(call)
    store.away = True
    for _ in range(3):
        assert calls.notice("carrier", "hangup", "d")
    await calls.settled()
    assert len(store.asked) == 1 and store.details(call) == []
    store.away = False
    await asyncio.sleep(3.1)
    assert store.details(call) == ["d"]


@virtual_time
async def test_what_is_waited_for_at_the_servers_stop_is_tried_at_once() -> None:
    call = stored()
    store = Store(call)
    calls = EndedCalls(store.amend, Backoff(first_seconds=1000, longest_seconds=1000))
    calls.stored(call)
    store.away = True
    calls.notice("carrier", "hangup", "d")
    async with asyncio.timeout(1):
        await calls.settled()
        await calls.settled()
    assert len(store.asked) == 2
    store.away = False
    async with asyncio.timeout(1):
        await calls.settled()
    assert store.details(call) == ["d"]


@virtual_time
async def test_a_store_that_is_away_is_tried_now_and_then_however_many_wait() -> None:
    many = [stored(str(number)) for number in range(200)]
    store = Store(*many)
    calls = EndedCalls(store.amend, BACKOFF)
    store.away = True
    for call in many:
        calls.expect(call.record.session_id, call.record.carrier_call_id)
        for detail in ("one", "two"):
            calls.notice(call.record.carrier_call_id or "", "hangup", detail)
        calls.stored(call)
    await asyncio.sleep(3600)
    assert 3600 / 90 < len(store.asked) < 3600 / 30 + 10
    # Nobody is in the way of the others.
    assert len({session_id for session_id, _, _ in store.asked}) == len(store.asked)
    store.away = False
    await asyncio.sleep(91)
    assert all(store.details(call) == ["one", "two"] for call in many)
    asked = len(store.asked)
    await asyncio.sleep(3600)
    assert len(store.asked) == asked


async def test_a_record_that_was_deleted_takes_no_word_and_a_broken_one_loses_it() -> None:
    deleted, broken, sound = stored("deleted"), stored("broken"), stored("sound")
    store = Store(broken, sound)
    store.broken.add(broken.record_key)
    calls = EndedCalls(store.amend)
    before = dropped()
    for call, drops in ((deleted, 0), (broken, 1), (sound, 1)):
        calls.stored(call)
        assert calls.notice(call.record.carrier_call_id or "", "hangup", "d")
        await calls.settled()
        assert dropped() - before == drops
    assert len(store.asked) == 3 and store.details(sound) == ["d"]


@virtual_time
async def test_thousands_of_calls_may_wait_for_the_store_with_their_last_words() -> None:
    many = [stored(f"call-{number}") for number in range(3000)]
    store = Store(*many)
    calls = EndedCalls(store.amend)
    before = dropped()
    for call in many:
        calls.expect(call.record.session_id, call.record.carrier_call_id)
    for call in many:
        assert calls.notice(call.record.carrier_call_id or "", "hangup", "d")
    for call in many:
        calls.stored(call)
    await calls.settled()
    assert all(store.details(call) == ["d"] for call in many)
    assert dropped() == before


async def test_what_finds_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MAX_UNSTORED", 3), ("MAX_NOTICES_OF_CALL", 2), ("MAX_NOTICES", 4)):
        monkeypatch.setattr(module, name, most)
    four = [stored(name) for name in "abcd"]
    store = Store(*four)
    calls = EndedCalls(store.amend)
    before = dropped()
    for call in four[:3]:
        calls.expect(call.record.session_id, call.record.carrier_call_id)
    for name in "aab":
        for detail in ("one", "two", "three"):
            assert calls.notice(name, "hangup", detail)
    # Each call's third, told twice of the first; then all places are taken.
    assert dropped() - before == 3
    assert calls.notice("c", "hangup", "one")
    assert dropped() - before == 4
    calls.expect(four[3].record.session_id, "d")
    assert dropped() - before == 6 and not calls.notice("a", "hangup", "four")
    # And its places are free again.
    assert calls.notice("c", "hangup", "one") and calls.notice("d", "hangup", "one")
    assert dropped() - before == 6
    store.away = True
    for call in four:
        calls.stored(call)
    await calls.settled()
    assert calls.notice("d", "hangup", "two") and dropped() - before == 7
    store.away = False
    await calls.settled()
    assert [store.details(call) for call in four] == [[], ["one", "two"], ["one"], ["one"]]
    assert calls.notice("d", "hangup", "two")
    await calls.settled()
    assert store.details(four[3]) == ["one", "two"] and dropped() - before == 7


async def test_a_call_that_nothing_was_told_of_counts_as_its_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_UNSTORED", 1)
    calls = EndedCalls(Store().amend)
    before = dropped()
    calls.expect("first", "a")
    calls.expect("second", "b")
    assert dropped() - before == 1
    assert not calls.notice("a", "hangup", "d") and calls.notice("b", "hangup", "d")


async def test_only_so_many_calls_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    calls = EndedCalls(Store().amend)
    for name in "abc":
        call = stored(name)
        calls.expect(call.record.session_id, name)
        calls.stored(call)
    assert [calls.find(name) is not None for name in "abc"] == [False, True, True]
    assert not calls.notice("a", "hangup", "d")
    assert len(calls._latest) == 2


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
    left: list[object] = [calls._stored, calls._unstored, calls._latest, calls._late]
    while left:
        each = left.pop()
        if id(each) not in found and not isinstance(each, type):
            found[id(each)] = each
            left += gc.get_referents(each)
    return list(found.values())
