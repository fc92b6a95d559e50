"""A loop that stands still is told of once, with the place where it stands."""

import asyncio
import linecache
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from loguru import logger

from sessions.loop_watch import LoopWatch
from tests.until import until


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
        time.sleep(0)  # Whoever looks on has a turn, as in every call of the system.


def stacks(log: list[str]) -> list[str]:
    """Where the loop stood, each time that it was told."""
    return [line for line in log if "is blocked since" in line]


async def until_ticks(ticks: list[float], more: int) -> None:
    wanted = len(ticks) + more
    await until(lambda: len(ticks) >= wanted)


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
    # The machine itself may stand still besides, for less than a second.
    assert len([line for line in stacks(log) if "hold_up_everybody" in line]) == 2
    assert len([seconds for seconds in blocked if seconds > 1]) == 2
    assert len(stacks(log)) <= len(blocked)
    assert all(seconds > 0.25 for seconds in blocked)
    assert len([line for line in log if "was blocked for" in line]) == len(blocked)


class Held(float):
    """A limit that holds up whoever looks on, the second time in an incident, until it is over."""

    def __init__(self, _: float) -> None:
        self.is_told: Callable[[], bool] = lambda: False

    def __lt__(self, late_seconds: float) -> bool:
        while threading.current_thread().name == "loop-watch" and self.is_told():
            time.sleep(0.001)
        return float(self) < late_seconds


async def test_an_incident_that_ends_as_it_is_looked_at_is_not_told_of_again(
    log: list[str],
) -> None:
    limit, blocked = Held(0.25), list[float]()
    ticks: list[float] = []
    watch = LoopWatch(lambda _, late: ticks.append(late), blocked.append, blocked_seconds=limit)
    limit.is_told = lambda: watch._told
    watch.start()
    try:
        await until_ticks(ticks, 1)
        hold_up_everybody(1.2)
        await until(lambda: blocked)
        await asyncio.sleep(0.3)  # Long enough for another look.
    finally:
        watch.stop()
    assert len(stacks(log)) <= len(blocked)


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
    (stack,) = [line for line in stacks(log) if "hold_up_everybody" in line]
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
