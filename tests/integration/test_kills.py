"""The server is killed at random moments of calls; the long form is ``make soak``."""

import random
from pathlib import Path

import pytest

from bench.soak.plan import SoakPlan
from bench.soak.run import soak

#: A busy machine has what callers send wait; ``make soak`` judges a quiet one.
SPARED_MS = 1000.0


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
async def test_kills_lose_nothing_but_the_last_moment(tmp_path: Path, sealed: bool) -> None:
    """One record, recording and transcript for each answered call, and all told to the backend."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to play it again
    plan = SoakPlan(
        seed=seed,
        calls=0,
        minutes=0,
        away_calls=0,
        bursts=0,
        drains=0,
        kills=5,
        s3=False,
        sealed=sealed,
    )
    text, seen = await soak(plan, tmp_path, "", lambda text: None, spared_ms=SPARED_MS)
    assert seen.wrong == [], text
    course, books = seen.course, seen.books
    assert course.faults["SIGKILL"] == 5 and sum(course.live_at_kills) > 0
    assert books.found >= books.expected > 0
    # Who hung up in the moment of the kill is measured too, whichever of the two came first.
    ended_well = books.causes["caller_hangup"]
    assert 0 < books.crashed <= len(books.lost_caller_ms) <= books.crashed + ended_well
    assert books.duplicates == 0
