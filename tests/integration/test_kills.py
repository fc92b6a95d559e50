"""The server is killed at random moments of calls; the long form is ``make soak``."""

import random
from pathlib import Path

from bench.soak.books import MOST_LOST_MS, audit
from bench.soak.storms import SoakPlan, run_soak
from bench.soak.town import soak_town
from simulators.caller.ticker import RealTicker


async def test_kills_lose_nothing_but_the_last_moment(tmp_path: Path) -> None:
    """One record, recording and transcript for each answered call, and all told to the backend."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to play it again
    plan = SoakPlan(seed=seed, calls=0, minutes=0, away_calls=0, kills=5, kill_calls=4, s3=False)
    async with soak_town(tmp_path, s3=False, rng=random.Random(seed)) as town:
        course = await run_soak(town, plan, lambda text: None)
        # A machine that is busy with others reads what callers send only when it comes to it.
        late_ms = RealTicker.shared().worst_late_ms
        books = await audit(
            town.callers.placed, town.storage, town.journals, most_lost_ms=MOST_LOST_MS + late_ms
        )
    assert course.wrong == [] and books.wrong == []
    assert course.faults["SIGKILL"] == 5 and sum(course.live_at_kills) > 0
    assert books.found >= books.expected > 0
    assert books.crashed == len(books.lost_caller_ms)
    assert books.duplicates == 0
