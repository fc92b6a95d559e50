"""``make soak`` in short: parts of it, each as long as a test may take."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.soak.plan import SoakPlan
from bench.soak.report import Seen
from bench.soak.run import soak

#: A busy machine has what callers send wait; ``make soak`` judges a quiet one.
SPARED_MS = 1000.0


async def short_soak(folder: Path, **parts: Any) -> tuple[str, Seen]:
    """Run ``parts`` of a plan and nothing else; nothing may be wrong.

    Returns:
        The report, and what it is made of.
    """
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to play it again
    nothing = SoakPlan(
        seed=seed, calls=0, minutes=0, bursts=0, drains=0, kills=0, away_calls=0, s3=False
    )
    plan = replace(nothing, **parts)
    text, seen = await soak(plan, folder, "", lambda text: None, spared_ms=SPARED_MS)
    assert seen.wrong == [], text
    assert f"Seed {seed}" in text
    return text, seen
