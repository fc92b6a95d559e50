"""``main.py erase``: erases the calls of a telephone number."""

import argparse
import asyncio
import sys

from config.settings import Settings

HELP = "erase the calls of a telephone number, and print the proof"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--number", required=True, help="such as +919812345678")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be erased")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Erase, and print the proof; 1 where something is still to be erased."""
    from sessions.erase_command import run_erase

    text, complete = asyncio.run(run_erase(settings, options.number, dry_run=options.dry_run))
    print(text)
    if not complete:
        print("not everything could be erased now: see `pending`, run it again", file=sys.stderr)
    return 0 if complete else 1
