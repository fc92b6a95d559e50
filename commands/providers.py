"""``main.py providers``: lists the vendors."""

import argparse
import sys

from config.settings import Settings

HELP = "list the vendors, what each needs, and whether that is here"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--kind", choices=("stt", "llm", "tts"), help="only those of one kind")
    parser.add_argument("--language", help="only those that have it, such as ta or Tamil")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Print the list; 1 where it is empty."""
    from config.languages import resolve_language
    from config.provider_report import as_json, as_text, provider_reports
    from services.registry import catalog

    language = resolve_language(options.language) if options.language else None
    reports = provider_reports(catalog, settings, kind=options.kind, language=language)
    print(as_json(reports) if options.json else as_text(reports))
    if not reports:
        print(f"no provider here has the language {language}", file=sys.stderr)
    return 0 if reports else 1
