"""Which server a data folder belongs to, as rows of an index that several servers share say it."""

import contextlib
from pathlib import Path
from uuid import UUID, uuid4

from loguru import logger

_FILE = "server_id"


def server_id(data: Path) -> str:
    """The id of the server whose data folder that is; made at its first start."""
    path = data / _FILE
    with contextlib.suppress(OSError, ValueError):
        return str(UUID(path.read_text("ascii").strip()))
    made = str(uuid4())
    try:
        data.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{made}\n", "ascii")
    except OSError as error:
        # Good for this run; the next will not know this one's calls by it.
        logger.warning(f"{path} cannot be written: {error.strerror}")
    return made
