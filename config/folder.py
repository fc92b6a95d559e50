"""Looks at the folder of agent files: which there are, and whether one has changed."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError
from config.problems import ConfigFileError, Problem

_ENDINGS = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Signature:
    """What tells one version of a file from the next without reading it."""

    mtime_ns: int
    size_bytes: int
    inode: int


def look(folder: Path) -> dict[str, Signature]:
    """The agent files in ``folder`` by name; those that vanish meanwhile are left out.

    Hidden files and JSON schemas are no agents. A name that leads nowhere is listed too, so
    that it is refused in the open.

    Raises:
        ConfigError: The folder cannot be read.
    """
    found: dict[str, Signature] = {}
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError as error:
        message = f"{folder}: the folder of agent files cannot be read: {error.strerror}"
        raise ConfigError(message, code="agents_unreadable") from error
    for name in names:
        if is_agent_file(name):
            signature = _signature(folder / name)
            if signature is not None:
                found[name] = signature
    return found


def is_agent_file(name: str) -> bool:
    """Whether a file of that name is taken for an agent's."""
    if name.startswith(".") or name.endswith(".schema.json"):
        return False
    return name.lower().endswith(_ENDINGS)


def require_inside(folder: Path, file: Path) -> None:
    """Refuse what is not a plain file within ``folder``, links followed.

    Raises:
        ConfigFileError: It leads out of the folder, nowhere, or to something else.
    """
    try:
        target = file.resolve(strict=True)
        mode = target.stat().st_mode
    except (OSError, RuntimeError) as error:
        problem = Problem(path=(), message="is a link that leads nowhere")
        raise ConfigFileError(file, [problem]) from error
    if not target.is_relative_to(folder.resolve()):
        problem = Problem(path=(), message="is a link that leads out of the folder of agents")
        raise ConfigFileError(file, [problem])
    if not stat.S_ISREG(mode):
        raise ConfigFileError(file, [Problem(path=(), message="is not a plain file")])


def _signature(file: Path) -> Signature | None:
    try:
        try:
            status = file.stat()
        except FileNotFoundError:
            status = file.lstat()
    except OSError:
        return None
    return Signature(status.st_mtime_ns, status.st_size, status.st_ino)
