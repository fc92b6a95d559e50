"""Calls that were announced: found, forgotten, and told of when they never begin."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from serializer.codecs import PCM_8K
from sessions import expected as module
from sessions.expected import OPENING_SECONDS, ExpectedCall, ExpectedCalls
from sessions.facts import CallFacts
from sessions.no_start import never_begun_header
from tests.unit.bot.agents import make_agent
from tests.virtual_time import virtual_time

AGENT = make_agent()


def a_call(call_id: str, from_number: str | None = "+911234567890") -> ExpectedCall:
    facts = CallFacts(direction="inbound", carrier_call_id=call_id, from_number=from_number)
    return ExpectedCall(header=never_begun_header(AGENT, facts, (PCM_8K, PCM_8K)))


@pytest.fixture
def missed() -> list[str]:
    return []


def left_out() -> float:
    return REGISTRY.get_sample_value("queue_dropped_total", {"queue": "announced"}) or 0.0


def calls(missed: list[str], seconds: float = 60.0) -> ExpectedCalls:
    return ExpectedCalls(lambda call: missed.append(call.call_id), no_start_seconds=seconds)


async def test_a_call_is_found_by_its_id(missed: list[str]) -> None:
    known = calls(missed)
    known.announce(a_call("a"))
    known.announce(a_call("a", from_number=None))
    found = known.find("a")
    assert found is not None and found.header.from_number is None
    assert found.facts("stream").carrier_stream_id == "stream"
    assert known.find("b") is None and known.find(None) is None
    assert known.awaits("a") and not known.awaits("b")
    known.started("a")
    assert not known.awaits("a")
    known.close()
    assert known.find("a") is None


@virtual_time
async def test_one_that_never_begins_is_told_of_once(missed: list[str]) -> None:
    known = calls(missed, 1.0)
    known.announce(a_call("late"))
    known.announce(a_call("begun"))
    known.started("begun")
    known.started("unknown")
    known.started(None)
    await asyncio.sleep(1.1)
    assert missed == ["late"]
    assert not known.hung_up("late", "") and not known.hung_up("begun", "")
    known.announce(a_call("begun"))
    await asyncio.sleep(1.1)
    assert not known.hung_up("begun", "")
    assert missed == ["late"]
    known.close()


@virtual_time
async def test_a_hangup_before_the_stream_tells_once_no_stream_can_be_opening(
    missed: list[str],
) -> None:
    known = calls(missed)
    known.announce(a_call("gone"))
    assert known.hung_up("gone", "busy") and known.waiting == 0
    await asyncio.sleep(OPENING_SECONDS - 0.5)
    assert known.hung_up("gone", "again")
    assert missed == []
    await asyncio.sleep(0.6)
    assert missed == ["gone"]
    found = known.find("gone")
    assert found is not None and found.hangup == "busy"
    known.close()


@virtual_time
async def test_a_hangup_while_the_stream_opens_leaves_the_call_its_id(missed: list[str]) -> None:
    known = calls(missed)
    announced = known.announce(a_call("opening"))
    known.hung_up("opening", "normal")
    await asyncio.sleep(OPENING_SECONDS - 0.1)
    assert known.is_promised("opening") and not known.awaits("opening")
    begun = known.started("opening")
    assert begun is not None and begun.hangup == "normal"
    assert begun.header.session_id == announced.header.session_id
    await asyncio.sleep(60)
    assert missed == []
    known.close()


@virtual_time
async def test_a_promise_is_kept_once_and_in_time(missed: list[str]) -> None:
    known = calls(missed, 1.0)
    known.announce(a_call("begun"))
    known.announce(a_call("late"))
    assert known.is_promised("begun") and not known.is_promised("other")
    assert not known.is_promised(None)
    known.started("begun")
    assert not known.is_promised("begun") and known.is_promised("late")
    await asyncio.sleep(1.1)
    assert missed == ["late"] and not known.is_promised("late")
    assert known.find("begun") is not None and known.find("late") is not None
    known.close()


@virtual_time
async def test_a_hangup_makes_no_wait_longer(missed: list[str]) -> None:
    known = calls(missed, 1.0)
    known.announce(a_call("late"))
    await asyncio.sleep(0.5)
    known.hung_up("late", "normal")
    await asyncio.sleep(0.6)
    assert missed == ["late"]
    known.close()


async def test_only_so_many_are_remembered(
    missed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_EXPECTED", 3)
    known = calls(missed)
    before = left_out()
    for number in range(5):
        known.announce(a_call(str(number)))
    assert left_out() - before == 2
    assert [known.find(str(i)) is not None for i in range(5)] == [False, False, True, True, True]
    assert missed == ["0", "1"]
    known.close()


async def test_a_call_that_has_its_stream_is_forgotten_and_not_dropped(
    missed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_EXPECTED", 1)
    known = calls(missed)
    before = left_out()
    known.announce(a_call("begun"))
    known.started("begun")
    known.announce(a_call("next"))
    assert (known.find("begun"), left_out() - before, missed) == (None, 0, [])
    known.close()


async def test_the_first_stream_has_the_id_that_the_call_was_given_at_its_answer(
    missed: list[str],
) -> None:
    known = calls(missed)
    first = known.announce(a_call("a")).header
    again = known.announce(a_call("a", from_number=None)).header
    assert (again.session_id, again.started_at) == (first.session_id, first.started_at)
    assert again.from_number is None
    begun = known.started("a")
    assert begun is not None and begun.header.session_id == first.session_id
    assert known.started("a") is None
    third = known.announce(a_call("a")).header  # It has its line: another stream is another call.
    assert third.session_id != first.session_id and not known.awaits("a")
    assert known.started("a") is None
    known.close()
    assert missed == []


@virtual_time
async def test_a_stream_that_comes_after_its_record_was_made_gets_another_id(
    missed: list[str],
) -> None:
    known = calls(missed)
    first = known.announce(a_call("late")).header
    known.hung_up("late", "")
    await asyncio.sleep(OPENING_SECONDS + 0.1)
    assert missed == ["late"] and known.started("late") is None
    assert known.announce(a_call("late")).header.session_id != first.session_id
    known.close()


async def test_one_that_has_not_begun_when_the_server_stops_is_told_of(missed: list[str]) -> None:
    known = calls(missed)
    for call_id in ("rings", "begun", "hung-up"):
        known.announce(a_call(call_id))
    known.started("begun")
    known.hung_up("hung-up", "")
    assert known.waiting == 1
    known.close()
    assert sorted(missed) == ["hung-up", "rings"]
    assert known.waiting == 0
