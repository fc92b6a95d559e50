"""``python -m bench.faults``: what callers hear when vendors fail, as a table."""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from bench import machine
from bench.faults.catalogue import catalogue
from bench.faults.report import as_json, report
from bench.faults.town import run_catalogue


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="faults whose name holds all of these words"
    )
    parser.add_argument("--at-once", type=int, default=16, metavar="N", help="calls; default 16")
    parser.add_argument("--calls", action="store_true", help="a row for each call, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep log and recordings")
    parser.add_argument("--quiet", action="store_true", help="say nothing on the way")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Place the calls and print; status 1 where a fault was not borne as it should be."""
    asked = _arguments(given)
    chosen = [each for each in catalogue() if all(w in each.name for w in asked.only.split())]
    # Connections that are torn while they are answered: that is what is simulated.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    seen = machine.look()
    began = time.monotonic()

    def tell(text: str) -> None:
        if not asked.quiet:
            print(f"… {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-faults-") as scratch:
        folder = asked.keep.absolute() if asked.keep else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        results = asyncio.run(run_catalogue(chosen, folder, at_once=asked.at_once, tell=tell))
    print(report(seen.header(), results, every_call=asked.calls))
    print(f"\nTook {time.monotonic() - began:.0f} s.")
    told = as_json(results)
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 1 if any(each["wrong"] for each in told["calls"]) else 0


if __name__ == "__main__":
    sys.exit(main())
