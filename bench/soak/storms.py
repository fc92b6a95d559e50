"""What is done to the server, phase by phase."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.soak.ends import drain_once, end, kill_once
from bench.soak.loads import away, bursts, crowd, rated
from bench.soak.plan import Course, SoakPlan
from bench.soak.town import Tell, Town, phrases_ready


async def run_soak(town: Town, plan: SoakPlan, course: Course, tell: Tell) -> None:
    """All phases; at the end the server still runs, and nothing waits, or it is said.

    Args:
        course: What happens is put down there as it happens.

    Raises:
        BenchError: The server would not start.
    """
    rng = random.Random(plan.seed)
    course.start_seconds.append(await town.start())
    await phrases_ready(town)
    async with _watched(town):
        if plan.calls:
            tell(f"churn: {plan.calls} calls")
            await crowd(town, rng, plan.calls, plan.at_once, (1.0, 5.0))
        if plan.minutes:
            tell(f"{plan.minutes:g} minutes of {plan.at_once} calls, with faults")
            await rated(town, plan, rng, course)
        if plan.away_calls and "store" in town.gates:
            await away(town, plan, rng, course, tell)
    if plan.bursts:
        tell(
            f"{plan.bursts} times {2 * plan.at_once} calls at once, where {plan.at_once} find room"
        )
        await end(town, course)
        course.start_seconds.append(await town.start(MAX_CONNECTIONS=str(plan.at_once)))
        await bursts(town, plan, rng, course)
        await end(town, course)
        course.start_seconds.append(await town.start())
    for number in range(plan.drains):
        await drain_once(town, plan, rng, course, number)
        tell(f"drain {number + 1} of {plan.drains}: {course.live_at_drains[-1]} calls live")
    for number in range(plan.kills):
        await kill_once(town, plan, rng, course)
        tell(f"kill {number + 1} of {plan.kills}: {course.live_at_kills[-1]} calls live")
    if not await town.empty(plan.away_seconds):
        course.wrong.append(f"{town.waiting()} journals are still waiting")
    if not await town.given_up():
        course.wrong.append(f"{town.answered()} calls still ring")
    if not await town.told(120.0):
        course.wrong.append(f"{town.untold()} reports still wait for the backend")
    await town.look()


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
