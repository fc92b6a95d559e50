"""A whole soak: all that is done, all that is looked at, and the report."""

import asyncio
import random
import subprocess
import time
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Final

from loguru import logger

from bench.processes import BenchError
from bench.soak.books import MOST_LOST_MS, audit
from bench.soak.ends import end
from bench.soak.plan import Course, SoakPlan
from bench.soak.report import Seen, report
from bench.soak.storms import run_soak
from bench.soak.told import ToldBooks, check_backend, check_list, listed_calls
from bench.soak.town import Tell, Town, soak_town

_UNSAID: Final = ("seed", "away_seconds", "s3", "sealed")
_INDEX_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.2


def command_of(plan: SoakPlan) -> str:
    """What does the same again."""
    given = {name: value for name, value in asdict(plan).items() if name not in _UNSAID}
    words = [f"--{name.replace('_', '-')} {value:g}" for name, value in given.items()]
    words += ["--files"] * (not plan.s3) + ["--sealed"] * plan.sealed
    return " ".join(["python -m bench.soak", f"--seed {plan.seed}", *words])


async def soak(
    plan: SoakPlan, folder: Path, header: str, tell: Tell, *, spared_ms: float = 0.0
) -> tuple[str, Seen]:
    """Run it all.

    Args:
        header: What it is measured on.
        spared_ms: So much more sound may be lost in a kill: on a machine that others use, what
            callers have sent waits to be read, and what was read to be written.

    Returns:
        The report, and what it is made of.
    """
    rng = random.Random(plan.seed)
    async with soak_town(folder, s3=plan.s3, sealed=plan.sealed, rng=rng, tell=tell) as town:
        course, listed = Course(), dict[str, str]()
        try:
            await run_soak(town, plan, course, tell)
            listed = await _listed(town)
            await end(town, course)
        # What was seen until then is worth a report all the same.
        except (BenchError, OSError, subprocess.TimeoutExpired, ExceptionGroup) as error:
            course.wrong.append(f"the soak broke off: {error!r}")
            logger.opt(exception=error).error("the soak broke off")
            town.close()
        if errors := await asyncio.to_thread(town.tracebacks):
            course.wrong.append(f"{errors} tracebacks in the server's logs; --keep keeps them")
        placed = town.callers.placed
        tell(f"looking for {len(placed)} calls")
        books = await audit(
            placed, town.storage, town.journals, most_lost_ms=MOST_LOST_MS + spared_ms
        )
        told = ToldBooks()
        refused = {each.call_id for each in placed if not each.answered}
        check_backend(told, town.backend.calls, books.session_ids, refused)
        check_list(told, listed, books.session_ids)
        seen = Seen(
            plan=plan, course=course, books=books, told=told, placed=placed, watch=town.watch
        )
    return report(header, command_of(plan), seen), seen


async def _listed(town: Town) -> dict[str, str]:
    """Status of each call in the server's list, by our id.

    The index is written beside the calls: it has some time to catch up with the store.
    """
    objects = town.storage.list_objects("transcripts", "records/")
    wanted = {PurePosixPath(each.key).stem async for each in objects}
    deadline = time.monotonic() + _INDEX_SECONDS
    while True:
        found = await asyncio.to_thread(listed_calls, town.callers.http)
        if time.monotonic() > deadline or all(found.get(each) == "stored" for each in wanted):
            return found
        await asyncio.sleep(_LOOK_SECONDS)
