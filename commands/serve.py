"""``main.py serve``: answers calls until it is stopped."""

import argparse
import os
import signal
import sys
from types import FrameType

from config.logs import set_up_logging
from config.settings import Settings

HELP = "answer calls until stopped"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument("--log-level", type=str.upper, help="DEBUG, INFO, WARNING or ERROR")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Answer calls; ends when the server is stopped."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _stopped_early)
    server = {k: v for k in ("host", "port") if (v := getattr(options, k)) is not None}
    changes: dict[str, object] = {"server": {**settings.server.model_dump(), **server}}
    if options.log_level:
        changes["log_level"] = options.log_level
    settings = settings.changed(changes)
    set_up_logging(settings.log_level)
    from api.serve import serve

    return serve(settings)


def _stopped_early(sign: int, _frame: FrameType | None) -> None:
    """Before the server listens there is nothing to bring to an end.

    Not by an exception: it would be raised wherever the interpreter is, and an import has places
    that swallow it, such as the callbacks of weak references. Then the server went on to serve.
    """
    name = signal.Signals(sign).name
    print(  # noqa: T201
        f"{name}: stopped before the first call was taken", file=sys.stderr, flush=True
    )
    os._exit(0)
