"""What lies in a folder, also while a server works in it."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def call_records(data_dir: Path) -> list[dict[str, Any]]:
    """Every call record stored in the folder of a server's data."""
    stored = contents(data_dir / "storage" / "transcripts" / "records")
    return [json.loads(content) for content in stored.values()]


def contents(folder: Path, *, index: bool = True) -> dict[str, bytes]:
    """Every file below a folder, by its path in it; what goes while the others are read is left.

    Args:
        index: Whether the index of calls is among them.
    """
    found: dict[str, bytes] = {}
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(place, name)
            if index or not name.startswith("calls.db"):
                with suppress(FileNotFoundError):
                    found[str(path.relative_to(folder))] = path.read_bytes()
    return found
