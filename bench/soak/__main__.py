"""``python -m bench.soak``, or ``make soak``: calls in a storm, and the proof that none is lost."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from bench import machine
from bench.soak.books import MOST_LOST_MS, audit
from bench.soak.report import report
from bench.soak.storms import SoakPlan, run_soak
from bench.soak.town import Tell, soak_town


def _plan(given: list[str] | None) -> tuple[SoakPlan, Path | None]:
    usual = SoakPlan(seed=0)
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seed", type=int, help="a random one by default; it is printed")
    parser.add_argument("--calls", type=int, default=usual.calls, help="short calls, first")
    parser.add_argument("--at-once", type=int, default=usual.at_once, help="the rated load")
    parser.add_argument("--minutes", type=float, default=usual.minutes, help="of rated load")
    parser.add_argument("--kills", type=int, default=usual.kills, help="SIGKILLs of the server")
    parser.add_argument("--kill-calls", type=int, default=usual.kill_calls, help="for each kill")
    parser.add_argument(
        "--away-calls", type=int, default=usual.away_calls, help="that end without the store"
    )
    parser.add_argument(
        "--away-minutes", type=float, default=usual.away_minutes, help="that they come in"
    )
    parser.add_argument("--files", action="store_true", help="store in files, not in MinIO")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and journals")
    asked = parser.parse_args(given)
    plan = SoakPlan(
        seed=random.randrange(2**32) if asked.seed is None else asked.seed,
        calls=asked.calls,
        at_once=asked.at_once,
        minutes=asked.minutes,
        kills=asked.kills,
        kill_calls=asked.kill_calls,
        away_calls=asked.away_calls,
        away_minutes=asked.away_minutes,
        s3=not asked.files,
    )
    return plan, asked.keep


async def soak(plan: SoakPlan, folder: Path, header: str, tell: Tell) -> tuple[str, bool]:
    """Run it all.

    Returns:
        The report, and whether all is well.
    """
    rng = random.Random(plan.seed)
    async with soak_town(folder, s3=plan.s3, rng=rng, tell=tell) as town:
        course = await run_soak(town, plan, tell)
        placed = town.callers.placed
        books = await audit(placed, town.storage, town.journals, most_lost_ms=MOST_LOST_MS)
        text = report(header, plan, course, books, placed, town.watch)
    return text, not (course.wrong or books.wrong)


def main(given: list[str] | None = None) -> int:
    """Run and print; status 1 where anything was lost."""
    plan, keep = _plan(given)
    seen = machine.look()
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"… {text}", file=sys.stderr, flush=True)

    tell(f"seed {plan.seed}")
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        folder = keep.absolute() if keep else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        text, well = asyncio.run(soak(plan, folder, seen.header(), tell))
    print(text)
    print(f"\nTook {time.monotonic() - began:.0f} s.")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
