"""``make soak`` in short: odd callers amid faults, then an end in the middle of calls."""

import random
from pathlib import Path

from bench.soak.plan import SoakPlan
from bench.soak.run import soak

#: A busy machine has what callers send wait; ``make soak`` judges a quiet one.
SPARED_MS = 1000.0


async def test_faults_and_odd_callers_lose_nothing(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to play it again
    plan = SoakPlan(
        seed=seed,
        calls=0,
        at_once=8,
        minutes=0.1,
        drains=1,
        bursts=0,
        kills=0,
        away_calls=0,
        s3=False,
    )
    text, seen = await soak(plan, tmp_path, "", lambda text: None, spared_ms=SPARED_MS)
    assert seen.wrong == [], text
    odd = sum(times for kind, times in seen.course.faults.items() if kind.startswith("caller "))
    around = sum(seen.course.faults.values()) - odd
    assert odd > 0 and around > 1
    assert seen.books.found >= seen.books.expected > 4
    assert seen.told.listed == seen.books.found
    assert seen.told.reports >= 3 * seen.books.found
    assert "**Nothing was lost.**" in text and f"Seed {seed}" in text
