"""Whose turn it is to be built: those at the doors are heard first, and keep nobody for long."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bot.building import LONGEST_WAIT_SECONDS, LOOKS, BuildingTurns
from config.errors import ConfigError
from tests.virtual_time import virtual_time


class Site:
    """Calls to be built, and what has happened so far."""

    def __init__(self) -> None:
        self.turns = BuildingTurns()
        self.seen: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def wants(self, name: str, build: Callable[[], Awaitable[None]] | None = None) -> None:
        """A call that could be built from now on."""

        async def note() -> None:
            self.seen.append(name)

        build = build or note
        self.tasks.append(asyncio.create_task(self.turns.take(build, lambda: True)))

    async def done(self) -> None:
        """All have been built."""
        async with asyncio.timeout(60):
            await asyncio.gather(*self.tasks)


def now() -> float:
    return asyncio.get_running_loop().time()


async def some_turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@virtual_time
async def test_a_lone_call_waits_for_no_time_at_all() -> None:
    site, began = Site(), now()
    site.wants("call")
    await some_turns(LOOKS + 2)
    assert site.seen == ["call"]
    assert now() == began


@virtual_time
async def test_who_is_at_a_door_is_heard_first() -> None:
    site = Site()
    with site.turns.heard_first(), site.turns.heard_first():
        site.wants("call")
        await asyncio.sleep(0.05)
        site.seen.append("told")
    await site.done()
    assert site.seen == ["told", "call"]


@virtual_time
async def test_the_last_of_those_at_the_doors_counts() -> None:
    site = Site()
    last = site.turns.heard_first()
    with site.turns.heard_first():
        last.__enter__()
        site.wants("call")
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.02)
    site.seen.append("last")
    last.__exit__(None, None, None)
    await site.done()
    assert site.seen == ["last", "call"]


@virtual_time
@pytest.mark.parametrize("turns", range(LOOKS))
async def test_a_request_that_is_still_on_its_way_to_its_handler_comes_first(turns: int) -> None:
    site = Site()
    site.wants("call")
    await some_turns(turns)
    with site.turns.heard_first():
        await asyncio.sleep(0.02)
        site.seen.append("told")
    await site.done()
    assert site.seen == ["told", "call"]


@virtual_time
async def test_requests_without_end_keep_calls_for_a_bounded_time_in_all() -> None:
    site, built_at, began = Site(), list[float](), now()

    async def build() -> None:
        built_at.append(now() - began)

    with site.turns.heard_first():
        for number in range(5):
            site.wants(str(number), build)
        await site.done()
    assert built_at == pytest.approx([LONGEST_WAIT_SECONDS] * 5)


@virtual_time
async def test_requests_one_after_the_other_are_no_way_round_the_bound() -> None:
    site, began = Site(), now()
    site.wants("call")
    await some_turns(2)
    while not site.seen:
        with site.turns.heard_first():
            await asyncio.sleep(0.01)
        assert now() - began < 2 * LONGEST_WAIT_SECONDS
    assert now() - began >= LONGEST_WAIT_SECONDS - 0.011


@virtual_time
async def test_one_at_a_time_and_those_at_the_doors_between_two() -> None:
    site, may_end = Site(), asyncio.Event()

    async def slowly() -> None:
        site.seen.append("first begins")
        await may_end.wait()
        site.seen.append("first ends")

    site.wants("first", slowly)
    site.wants("second")
    await some_turns(5 * LOOKS)
    with site.turns.heard_first():
        may_end.set()
        await asyncio.sleep(0.02)
        site.seen.append("told")
    await site.done()
    assert site.seen == ["first begins", "first ends", "told", "second"]


@virtual_time
async def test_one_that_is_over_when_its_turn_comes_is_not_built() -> None:
    site, wanted = Site(), True

    async def build() -> None:
        site.seen.append("built")

    with site.turns.heard_first():
        taking = asyncio.create_task(site.turns.take(build, lambda: wanted))
        await asyncio.sleep(0.02)
        wanted = False
    await taking
    assert site.seen == []
    site.wants("next")
    await site.done()
    assert site.seen == ["next"]


@virtual_time
async def test_one_that_fails_holds_up_no_other() -> None:
    site = Site()

    async def fail() -> None:
        raise ConfigError("no such vendor")

    site.wants("bad", fail)
    site.wants("good")
    with pytest.raises(ConfigError):
        await site.tasks[0]
    await site.tasks[1]
    assert site.seen == ["good"]


@virtual_time
async def test_a_request_that_fails_does_not_stay_at_the_door() -> None:
    site = Site()
    with pytest.raises(RuntimeError), site.turns.heard_first():
        raise RuntimeError("a handler's mistake")
    site.wants("call")
    await some_turns(LOOKS + 2)
    assert site.seen == ["call"]
