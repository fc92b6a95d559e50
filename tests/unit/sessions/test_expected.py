"""Calls that were announced: found, forgotten, and told of when they never begin."""

import asyncio

import pytest

from sessions import expected as module
from sessions.expected import ExpectedCall, ExpectedCalls
from tests.unit.bot.agents import make_agent

AGENT = make_agent()


def a_call(call_id: str, from_number: str | None = "+911234567890") -> ExpectedCall:
    return ExpectedCall(
        call_id=call_id,
        agent=AGENT,
        from_number=from_number,
        to_number=None,
        direction="inbound",
    )


@pytest.fixture
def missed() -> list[str]:
    return []


def calls(missed: list[str], seconds: float = 60.0) -> ExpectedCalls:
    return ExpectedCalls(lambda call: missed.append(call.call_id), no_start_seconds=seconds)


async def test_a_call_is_found_by_its_id(missed: list[str]) -> None:
    known = calls(missed)
    known.announce(a_call("a"))
    known.announce(a_call("a", from_number=None))
    found = known.find("a")
    assert found is not None and found.from_number is None
    assert found.facts("stream").carrier_stream_id == "stream"
    assert known.find("b") is None and known.find(None) is None
    assert known.awaits("a") and not known.awaits("b")
    known.started("a")
    assert not known.awaits("a")
    known.close()
    assert known.find("a") is None


async def test_one_that_never_begins_is_told_of_once(missed: list[str]) -> None:
    known = calls(missed, 0.01)
    known.announce(a_call("late"))
    known.announce(a_call("begun"))
    known.started("begun")
    known.started("unknown")
    known.started(None)
    async with asyncio.timeout(5):
        while not missed:  # noqa: ASYNC110 - a timer of the loop fills it
            await asyncio.sleep(0.005)
    known.hung_up("late")
    known.hung_up("begun")
    known.announce(a_call("begun"))
    await asyncio.sleep(0.03)
    known.hung_up("begun")
    assert missed == ["late"]


async def test_a_hangup_before_the_stream_tells_at_once(missed: list[str]) -> None:
    known = calls(missed)
    known.announce(a_call("gone"))
    known.hung_up("gone")
    known.hung_up("gone")
    assert missed == ["gone"]
    known.close()


async def test_only_so_many_are_remembered(
    missed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_EXPECTED", 3)
    known = calls(missed)
    for number in range(5):
        known.announce(a_call(str(number)))
    assert [known.find(str(i)) is not None for i in range(5)] == [False, False, True, True, True]
    known.close()


async def test_one_that_has_not_begun_when_the_server_stops_is_told_of(missed: list[str]) -> None:
    known = calls(missed)
    for call_id in ("rings", "begun", "hung-up"):
        known.announce(a_call(call_id))
    known.started("begun")
    known.hung_up("hung-up")
    known.close()
    assert missed == ["hung-up", "rings"]
    assert known.waiting == 0
