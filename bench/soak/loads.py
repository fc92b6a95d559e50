"""Calls in numbers: churn, the rated load amid faults, twice of it, and calls without a store."""

import asyncio
import itertools
import random
import time
from typing import Final

from bench.soak.calls import PlacedCall
from bench.soak.deck import Deck
from bench.soak.faults import faults
from bench.soak.gate import Mode
from bench.soak.odd import ODD, PLAIN
from bench.soak.plan import Course, SoakPlan
from bench.soak.town import Tell, Town

#: From so many minutes of rated load on there is time for what takes long.
_LONG_MINUTES: Final = 5.0
#: Every third call is odd, the first among them.
_ODD_EVERY: Final = 3
#: So much time has every caller, odd ones for what they do.
_LEAST_SECONDS: Final = 10.0
_BURST_SECONDS: Final = (5.0, 9.0)
_NORMAL_SECONDS: Final = 20.0


async def crowd(
    town: Town, rng: random.Random, calls: int, at_once: int, seconds: tuple[float, float]
) -> None:
    """So many calls, so many at once."""
    places = asyncio.Semaphore(at_once)

    async def one(length: float) -> None:
        async with places:
            await town.callers.call(length)

    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(one(rng.uniform(*seconds)))


async def rated(town: Town, plan: SoakPlan, rng: random.Random, course: Course) -> None:
    """The rated load: every third caller is odd, and something fails nearly always."""
    until = time.monotonic() + plan.minutes * 60
    odd = [each for each in ODD if each.least_seconds <= plan.minutes * 60]
    manners, callers = Deck(odd, rng), itertools.count()

    async def line() -> None:
        while (left := until - time.monotonic()) > 0:
            manner = PLAIN if next(callers) % _ODD_EVERY else manners.draw()
            if manner is not PLAIN:
                course.faults[f"caller {manner.name}"] += 1
            seconds = min(max(left, _LEAST_SECONDS), rng.uniform(_LEAST_SECONDS, 60.0))
            placed = await town.callers.call(seconds, manner)
            if manner.again:
                await town.callers.call(rng.uniform(1.0, 8.0), PLAIN, placed.call_id)
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as group:
        for _ in range(plan.at_once):
            group.create_task(line())
        group.create_task(_failures(town, plan, rng, course, until))


async def _failures(
    town: Town, plan: SoakPlan, rng: random.Random, course: Course, until: float
) -> None:
    """One thing after the other fails for some seconds."""
    deck = Deck(faults(town, rng, long=plan.minutes >= _LONG_MINUTES), rng)
    while time.monotonic() < until:
        fault = deck.draw()
        await asyncio.sleep(rng.uniform(0.5, 4.0))
        course.faults[fault.name] += 1
        async with fault.inject():
            await asyncio.sleep(rng.uniform(*fault.seconds))


async def bursts(town: Town, plan: SoakPlan, rng: random.Random, course: Course) -> None:
    """Twice the rated load at a server that takes no more than that: half is told so at once."""
    for _ in range(plan.bursts):
        await _idle(town)
        course.faults["twice the rated load"] += 1
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(town.callers.call(rng.uniform(*_BURST_SECONDS)))
                for _ in range(2 * plan.at_once)
            ]
        calls = [task.result() for task in tasks]
        _judge_burst(calls, plan.at_once, course)
        # And it is as it was, soon after.
        again = await _idle(town) and await town.callers.call(1.0)
        if not again or not again.answered:
            course.wrong.append(f"no call is taken {_NORMAL_SECONDS:g} s after a burst")


def _judge_burst(calls: list[PlacedCall], at_once: int, course: Course) -> None:
    served = [call for call in calls if call.answered]
    course.told_ms += [call.told_ms for call in calls if not call.answered]
    if len(served) != at_once:
        course.wrong.append(f"of {len(calls)} calls at once {len(served)} were served")
    broken = [call.call_id for call in served if not call.hung_up]
    course.wrong += [f"{call_id}: broken off while others were refused" for call_id in broken]


async def _idle(town: Town) -> bool:
    """Wait until no call is live."""
    until = time.monotonic() + _NORMAL_SECONDS
    while time.monotonic() < until:
        if await town.active() == 0:
            return True
        await asyncio.sleep(0.1)
    return False


async def away(town: Town, plan: SoakPlan, rng: random.Random, course: Course, tell: Tell) -> None:
    """Calls end while the store is away; measured is how soon all are stored afterwards."""
    await town.empty(plan.away_seconds)
    tell(f"the store is away for {plan.away_minutes:g} minutes and {plan.away_calls} calls")
    gone = time.monotonic()
    await town.gates["store"].become(Mode.SHUT)
    course.faults["store away, long"] += 1
    try:
        await _arrivals(town, rng, plan)
        await asyncio.sleep(max(0.0, gone + plan.away_minutes * 60 - time.monotonic()))
        course.waited_for_store = town.waiting()
        course.away_minutes = (time.monotonic() - gone) / 60
    finally:
        await town.gates["store"].become(Mode.OPEN)
    began = time.monotonic()
    tell(f"the store is back; {course.waited_for_store} calls wait for it")
    if await town.empty(plan.away_seconds):
        course.caught_up_seconds = time.monotonic() - began
    else:
        course.wrong.append(f"not all were stored {plan.away_seconds:g} s after the store's return")


async def _arrivals(town: Town, rng: random.Random, plan: SoakPlan) -> None:
    """Calls at random moments of the time that the store is away, at most so many at once."""
    places = asyncio.Semaphore(plan.at_once)

    async def one(at_seconds: float, length: float) -> None:
        await asyncio.sleep(at_seconds)
        async with places:
            await town.callers.call(length)

    seconds = plan.away_minutes * 60
    async with asyncio.TaskGroup() as group:
        for _ in range(plan.away_calls):
            group.create_task(one(rng.uniform(0.0, seconds), rng.uniform(1.0, 4.0)))
