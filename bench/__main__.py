"""What a call costs and how fast it is answered: ``python -m bench``, or ``make bench``.

Runs this server, a plain Pipecat bot of the same vendors and a bare echo in turn, each alone
with simulated vendors and callers on loopback, and prints one table. See docs/benchmarks.md.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from bench import figures, machine
from bench.figures import Figures, Greeting
from bench.processes import BenchError
from bench.runs import Plan, measure_system
from bench.systems import SYSTEMS

_CALLS: Final = (1, 10, 20)
_QUICK_CALLS: Final = (10,)
_QUICK_WINDOW_SECONDS: Final = 3.0


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


@dataclass(slots=True)
class _Results:
    rows: list[Figures] = field(default_factory=list)
    greetings: list[Greeting] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def _run(given: argparse.Namespace, root: Path) -> _Results:
    """Measure system by system; one that cannot be measured does not cost the others."""
    results = _Results()
    for key in given.only:
        folder = root / key
        folder.mkdir(parents=True, exist_ok=True)
        try:
            rows, greeting = measure_system(key, _plan(given, key), folder)
        except BenchError as error:
            results.failures.append(f"{SYSTEMS[key][0]}: {figures.MISSED}: {error}")
            continue
        results.rows += rows
        results.greetings += [greeting] if greeting is not None else []
    return results


def main(words: list[str] | None = None) -> int:
    """Measure and print; status 1 where a system could not be measured."""
    given = _arguments(words)
    seen = machine.look()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        results = _run(given, given.keep.absolute() if given.keep else Path(folder))
    print(figures.report(seen.header(), results.rows, results.greetings))
    print(f"\nTook {time.monotonic() - began:.0f} s.")
    if given.json:
        told = figures.as_json(asdict(seen), results.rows, results.greetings)
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for failure in results.failures:
        print(f"bench: {failure}", file=sys.stderr)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
