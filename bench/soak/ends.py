"""The server ends in the middle of calls: by SIGKILL, or because it is asked to."""

import asyncio
import random
import signal
from typing import Final

from bench.soak.plan import Course, SoakPlan
from bench.soak.town import Town, until

#: Every so many drains a second signal follows.
_FORCED_EVERY: Final = 3
_BEGIN_SECONDS: Final = 10.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def kill_once(town: Town, plan: SoakPlan, rng: random.Random, course: Course) -> None:
    """Calls at random moments of their lives, and some whose recordings are just made."""
    async with asyncio.TaskGroup() as group:
        for _ in range(plan.kill_calls):
            group.create_task(_late(town, rng.uniform(0.0, 1.5), rng.uniform(1.0, 8.0)))
        await _begun(town)
        frozen = await town.freeze(rng.uniform(0.0, 4.0))
        course.live_at_kills.append(town.callers.about_to_kill(frozen))
        course.faults["SIGKILL"] += 1
        await town.kill()
    course.start_seconds.append(await town.start())


async def drain_once(
    town: Town, plan: SoakPlan, rng: random.Random, course: Course, number: int
) -> None:
    """Some calls end within the time that they are given, some are ended."""
    sent, force = _SIGNALS[number % 2], number % _FORCED_EVERY == _FORCED_EVERY - 1
    second_after = rng.uniform(0.2, 3.0) if force else None
    async with asyncio.TaskGroup() as group:
        for _ in range(plan.kill_calls):
            group.create_task(_late(town, rng.uniform(0.0, 1.5), rng.uniform(3.0, 20.0)))
        await _begun(town)
        await asyncio.sleep(rng.uniform(0.5, 4.0))
        course.live_at_drains.append(town.callers.about_to_stop(force=force))
        course.faults[sent.name + (" twice" if force else "")] += 1
        await end(town, course, sent, second_after)
    course.start_seconds.append(await town.start())


async def end(
    town: Town,
    course: Course,
    sent: signal.Signals = signal.SIGTERM,
    second_after: float | None = None,
) -> None:
    """Ask the server to end, and see that it does so well."""
    status = await town.stop(sent, second_after)
    course.exit_statuses[status] += 1
    # Forced, it may leave with 1 rather than wait for what does not end.
    if status != 0 and not (status == 1 and second_after is not None):
        course.wrong.append(f"the server ended with status {status} after {sent.name}")


async def _begun(town: Town) -> None:
    """Wait until a call is live: a server that has just started may take its time."""
    await until(lambda: town.callers.live > 0, _BEGIN_SECONDS)


async def _late(town: Town, wait_seconds: float, seconds: float) -> None:
    await asyncio.sleep(wait_seconds)
    if town.server is not None:
        await town.callers.call(seconds)
