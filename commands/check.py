"""``main.py check``: checks agents' files."""

import argparse
import sys
from pathlib import Path

from config.errors import ConfigError
from config.settings import Settings

HELP = "check agent files and say what is wrong"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--no-secrets", action="store_true", help="do not mind keys that are not set"
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Check each file; 1 where one cannot be served."""
    from config.report import checked_file
    from services.registry import catalog

    failed = 0
    for file in options.files:
        try:
            print(checked_file(file, catalog, settings, installation=not options.no_secrets))
        except ConfigError as error:
            failed += 1
            print(error.message, file=sys.stderr)
    return 1 if failed else 0
