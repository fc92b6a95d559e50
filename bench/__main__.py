"""What a call costs and how fast it is answered: ``python -m bench``, or ``make bench``.

Runs this server, a plain Pipecat bot of the same vendors and a bare echo in turn, each alone
with simulated vendors and callers on loopback, and prints one table. See docs/benchmarks.md.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench import figures, machine
from bench.figures import Figures, Greeting
from bench.processes import BenchError
from bench.runs import Plan, measure_system
from bench.systems import SYSTEMS

_CALLS: Final = (1, 10, 20)
_QUICK_CALLS: Final = (10,)
_QUICK_WINDOW_SECONDS: Final = 5.0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--calls",
        type=int,
        nargs="+",
        metavar="N",
        help="calls at once; default 1 10 20, and 24 for this server",
    )
    parser.add_argument(
        "--only", nargs="+", choices=tuple(SYSTEMS), default=tuple(SYSTEMS), help="not all three"
    )
    parser.add_argument("--quick", action="store_true", help="10 calls, shortly: a first look")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of the watched window")
    parser.add_argument(
        "--pin", action="store_true", help="server on the first core, the rest on the last"
    )
    parser.add_argument("--no-greeting", action="store_true", help="skip the slow vendors")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and recordings")
    return parser.parse_args(words)


def _plan(given: argparse.Namespace, key: str) -> Plan:
    calls = tuple(given.calls or (_QUICK_CALLS if given.quick else _CALLS))
    if key == "ours" and not given.calls and not given.quick:
        calls = (*calls, figures.TARGET_CALLS)
    return Plan(
        calls=calls,
        window_seconds=_QUICK_WINDOW_SECONDS if given.quick else given.seconds,
        greeting=not given.no_greeting and not (given.quick and key != "ours"),
        pin=given.pin,
        tell=_tell,
    )


def _tell(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _run(given: argparse.Namespace, root: Path) -> tuple[list[Figures], list[Greeting]]:
    rows: list[Figures] = []
    greetings: list[Greeting] = []
    for key in given.only:
        folder = root / key
        folder.mkdir(parents=True, exist_ok=True)
        measured, greeting = measure_system(key, _plan(given, key), folder)
        rows += measured
        greetings += [greeting] if greeting is not None else []
    return rows, greetings


def main(words: list[str] | None = None) -> int:
    """Measure and print; status 1 where something could not be measured."""
    given = _arguments(words)
    seen = machine.look()
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            rows, greetings = _run(given, given.keep or Path(folder))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(figures.report(seen.header(), rows, greetings))
    print(f"\nTook {time.monotonic() - began:.0f} s.")
    if given.json:
        told = figures.as_json(asdict(seen), rows, greetings)
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
