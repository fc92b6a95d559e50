"""``main.py recover``: stores what a dead server left, and mends the index."""

import argparse
import asyncio
import sys

from commands.showing import show
from config.settings import Settings

HELP = "store the calls that a server left when it died, and mend the index"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument(
        "--index", action="store_true", help="make the index of calls again from the store"
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Store what waits; 1 where some still does."""
    from sessions.journal_seal import use_journal_keys
    from sessions.recovery import recover_calls, recover_index

    if settings.storage.journal_key is not None:
        use_journal_keys(settings.storage.journal_key)
    calls = asyncio.run(recover_calls(settings))
    for call in calls.stored:
        show(f"stored {call.record_url}")
    for session_id, reason in calls.failed.items():
        print(f"call {session_id} still waits: {reason}", file=sys.stderr)
    show(f"{len(calls.stored)} calls were left and are stored now, {len(calls.failed)} still wait")
    if calls.left:
        show(
            f"{len(calls.left)} calls are left to the next start of the server, which also tells "
            "the backend and webhooks of them"
        )
    if calls.ringing:
        show(
            f"{len(calls.ringing)} calls were answered in the last half minute, and their streams "
            "may still come: start the server, or recover again in half a minute"
        )
    if options.index:
        index = asyncio.run(recover_index(settings))
        show(
            f"index: {index.stored} stored calls, {index.waiting} that wait, {index.removed} rows "
            f"removed, {index.unreadable} records or journals unreadable"
        )
    return 1 if calls.failed else 0
