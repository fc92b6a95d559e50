"""A loop that stands still is told of once, with the place where it stands."""

import asyncio
import linecache
import time
from collections.abc import Iterator

import pytest
from loguru import logger

from sessions.loop_watch import LoopWatch


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(
        lambda message: lines.append(str(message)), level="WARNING", format="{message}"
    )
    yield lines
    logger.remove(sink)


def hold_up_everybody(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def until_ticks(ticks: list[float], more: int) -> None:
    wanted = len(ticks) + more
    async with asyncio.timeout(20):
        while len(ticks) < wanted:  # noqa: ASYNC110 - the watch ticks by itself
            await asyncio.sleep(0.01)


async def test_a_blocked_loop_is_told_of_once_for_each_incident(log: list[str]) -> None:
    ticks: list[float] = []
    blocked: list[float] = []
    watch = LoopWatch(lambda _, late: ticks.append(late), blocked.append, blocked_seconds=0.25)
    watch.start()
    try:
        await until_ticks(ticks, 1)
        for _ in range(2):
            hold_up_everybody(1.2)
            await until_ticks(ticks, 2)
    finally:
        watch.stop()
    stacks = [line for line in log if "is blocked since" in line]
    assert len(stacks) == len(blocked) == 2
    assert all("hold_up_everybody" in stack for stack in stacks)
    assert all(seconds > 0.25 for seconds in blocked)
    assert len([line for line in log if "was blocked for" in line]) == 2


async def test_the_source_of_what_holds_it_up_is_shown_and_not_kept(log: list[str]) -> None:
    ticks: list[float] = []
    watch = LoopWatch(lambda _, late: ticks.append(late), ticks.append, blocked_seconds=0.25)
    linecache.clearcache()
    watch.start()
    try:
        await until_ticks(ticks, 1)
        hold_up_everybody(1.2)
        await until_ticks(ticks, 1)
    finally:
        watch.stop()
    (stack,) = [line for line in log if "is blocked since" in line]
    places = [line for line in stack.splitlines() if line.startswith('  File "')]
    assert f'  File "{__file__}", line ' in places[-1] and "in hold_up_everybody" in places[-1]
    assert "    hold_up_everybody(1.2)\n" in stack
    assert __file__ not in linecache.cache


async def test_a_loop_that_turns_is_not_told_of(log: list[str]) -> None:
    ticks: list[float] = []
    watch = LoopWatch(lambda _, late: ticks.append(late), ticks.append, blocked_seconds=30.0)
    watch.start()
    try:
        await until_ticks(ticks, 3)
    finally:
        watch.stop()
    assert log == []
    count = len(ticks)
    await asyncio.sleep(0.15)
    assert len(ticks) == count
