"""What is done to the server, phase by phase."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.soak.town import Tell, Town, phrases_ready


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """How much of everything.

    Attributes:
        calls: Short calls of the churn.
        at_once: The rated load: calls at the same time.
        minutes: Length of the rated load, with outages all along.
        kills: How often the server is killed, each time with ``kill_calls`` calls live.
        away_calls: Calls that end while the store is away.
        away_minutes: How long it is away; the calls come at random moments of that time.
        away_seconds: Longest time that they may take to be stored when it is back.
    """

    seed: int
    calls: int = 2000
    at_once: int = 20
    minutes: float = 30.0
    kills: int = 200
    kill_calls: int = 4
    away_calls: int = 500
    away_minutes: float = 60.0
    away_seconds: float = 600.0
    s3: bool = True


@dataclass(slots=True)
class Course:
    """How it went.

    Attributes:
        faults: Injected, by kind.
        away_minutes: How long the store was away for them who waited for it.
        live_at_kills: Calls live at each kill.
        caught_up_seconds: From the store's return until nothing waited; None where not tried.
        exit_status: Of the last SIGTERM.
    """

    faults: Counter[str] = field(default_factory=Counter)
    live_at_kills: list[int] = field(default_factory=list)
    caught_up_seconds: float | None = None
    waited_for_store: int = 0
    away_minutes: float = 0.0
    exit_status: int | None = None
    wrong: list[str] = field(default_factory=list)


async def run_soak(town: Town, plan: SoakPlan, tell: Tell) -> Course:
    """All phases; at the end the server has been stopped and nothing waits, or it is said."""
    course, rng = Course(), random.Random(plan.seed)
    await town.start()
    await phrases_ready(town)
    async with _watched(town):
        if plan.calls:
            tell(f"churn: {plan.calls} calls")
            await _crowd(town, rng, plan.calls, plan.at_once, (1.0, 5.0))
        if plan.minutes:
            tell(f"{plan.minutes:g} minutes of {plan.at_once} calls, with outages")
            await _rated(town, plan, rng, course)
        if plan.away_calls and "store" in town.gates:
            await _away(town, plan, rng, course, tell)
    for number in range(plan.kills):
        await _kill_once(town, plan, rng, course)
        tell(f"kill {number + 1} of {plan.kills}: {course.live_at_kills[-1]} calls live")
    if not await _empty(town, plan.away_seconds):
        course.wrong.append(f"{town.waiting()} journals are still waiting")
    await _told(town, course)
    await town.look()
    course.exit_status = await town.stop()
    if course.exit_status != 0:
        course.wrong.append(f"the server ended with status {course.exit_status}")
    return course


async def _crowd(
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


async def _rated(town: Town, plan: SoakPlan, rng: random.Random, course: Course) -> None:
    until = time.monotonic() + plan.minutes * 60

    async def line() -> None:
        while (left := until - time.monotonic()) > 0:
            await town.callers.call(min(left, rng.uniform(10.0, 60.0)))
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as group:
        for _ in range(plan.at_once):
            group.create_task(line())
        group.create_task(_outages(town, rng, course, until))


async def _outages(town: Town, rng: random.Random, course: Course, until: float) -> None:
    """One service after the other is away for some seconds."""
    while (left := until - time.monotonic()) > 0:
        gate = town.gates[rng.choice(sorted(town.gates))]
        await asyncio.sleep(min(left, rng.uniform(2.0, 8.0)))
        await gate.shut()
        course.faults[f"{gate.name} away"] += 1
        try:
            await asyncio.sleep(rng.uniform(1.0, 10.0))
        finally:
            await gate.open()


async def _away(town: Town, plan: SoakPlan, rng: random.Random, course: Course, tell: Tell) -> None:
    """Calls end while the store is away; measured is how soon all are stored afterwards."""
    await _empty(town, plan.away_seconds)
    tell(f"the store is away for {plan.away_minutes:g} minutes and {plan.away_calls} calls")
    gone = time.monotonic()
    await town.gates["store"].shut()
    course.faults["store away, long"] += 1
    try:
        await _arrivals(town, rng, plan)
        await asyncio.sleep(max(0.0, gone + plan.away_minutes * 60 - time.monotonic()))
        course.waited_for_store = town.waiting()
        course.away_minutes = (time.monotonic() - gone) / 60
    finally:
        await town.gates["store"].open()
    began = time.monotonic()
    tell(f"the store is back; {course.waited_for_store} calls wait for it")
    if await _empty(town, plan.away_seconds):
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


async def _kill_once(town: Town, plan: SoakPlan, rng: random.Random, course: Course) -> None:
    """Calls at random moments of their lives, and some whose recordings are just made."""
    async with asyncio.TaskGroup() as group:
        for _ in range(plan.kill_calls):
            group.create_task(_late(town, rng.uniform(0.0, 1.5), rng.uniform(1.0, 8.0)))
        await asyncio.sleep(rng.uniform(0.5, 5.0))
        course.live_at_kills.append(town.callers.about_to_kill())
        course.faults["SIGKILL"] += 1
        await town.kill()
    await town.start()


async def _late(town: Town, wait_seconds: float, seconds: float) -> None:
    await asyncio.sleep(wait_seconds)
    if town.server is not None:
        await town.callers.call(seconds)


async def _empty(town: Town, within_seconds: float) -> bool:
    """Wait until every journal is finished."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_seconds):
            while town.waiting():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
            return True
    return False


async def _told(town: Town, course: Course) -> None:
    """Wait until the backend has heard of every call."""
    wanted = {each.call_id for each in town.callers.placed if each.expected}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(120):
            while not wanted <= town.backend.calls.recordings.keys():  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.2)
    missing = wanted - town.backend.calls.recordings.keys()
    course.wrong += [f"{call_id}: the backend was not told" for call_id in sorted(missing)]


@asynccontextmanager
async def _watched(town: Town) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            await town.look()
            await asyncio.sleep(2.0)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
