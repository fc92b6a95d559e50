"""``python -m bench.soak``, or ``make soak``: calls in a storm, and the proof that none is lost."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from bench import machine
from bench.soak.plan import SoakPlan
from bench.soak.run import soak


def _parser() -> argparse.ArgumentParser:
    usual = SoakPlan(seed=0)
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, help="a random one by default; it is printed")
    add("--calls", type=int, default=usual.calls, help="short calls, first")
    add("--at-once", type=int, default=usual.at_once, help="the rated load")
    add("--minutes", type=float, default=usual.minutes, help="of rated load amid faults")
    add("--away-calls", type=int, default=usual.away_calls, help="that end without the store")
    add("--away-minutes", type=float, default=usual.away_minutes, help="that they come in")
    add("--bursts", type=int, default=usual.bursts, help="of twice the rated load")
    add("--drains", type=int, default=usual.drains, help="SIGTERMs and SIGINTs in calls")
    add("--kills", type=int, default=usual.kills, help="SIGKILLs in calls")
    add("--kill-calls", type=int, default=usual.kill_calls, help="for each kill and drain")
    add("--files", action="store_true", help="store in files, not in MinIO")
    add("--sealed", action="store_true", help="encrypt what waits on disk")
    add("--keep", type=Path, metavar="FOLDER", help="keep logs and journals")
    return parser


def _plan(given: list[str] | None) -> tuple[SoakPlan, Path | None]:
    asked = vars(_parser().parse_args(given))
    keep, files = asked.pop("keep"), asked.pop("files")
    if asked["seed"] is None:
        asked["seed"] = random.randrange(2**32)
    return SoakPlan(**asked, s3=not files), keep


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
        text, found = asyncio.run(soak(plan, folder, seen.header(), tell))
    print(text)
    print(f"\nTook {time.monotonic() - began:.0f} s.")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
