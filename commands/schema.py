"""``main.py schema``: rewrites the files that are made from the models."""

import argparse

from config.settings import Settings

HELP = "rewrite the files that are made from the models: see `make schema`"


def arguments(_parser: argparse.ArgumentParser) -> None:
    """It takes nothing."""


def run(_options: argparse.Namespace, _settings: Settings) -> int:
    """Write the files."""
    from config.schema import generated_files
    from services.registry import catalog

    for path, text in generated_files(catalog).items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0
