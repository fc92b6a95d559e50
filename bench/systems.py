"""The systems under test: how each is started, and where it takes calls."""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import ECHO, OURS, PLAIN
from bench.scenario import write_agent

_AGENT_ID: Final = "bench"
#: More than any run asks for: what is measured is not the refusal.
_MAX_CONNECTIONS: Final = 1000
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")

Vendors = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server.

    Attributes:
        arguments: What follows ``python``.
        environment: All of its variables.
        path: Of its media socket.
        speaks_first: Whether it greets.
        uses_vendors: Whether it talks to the simulated vendors.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    path: str
    speaks_first: bool = True
    uses_vendors: bool = True


def _ours(port: int, vendors: Vendors, folder: Path) -> Launch:
    agents, data = folder / "agents", folder / "data"
    write_agent(agents, _AGENT_ID)
    config = folder / "config.yaml"
    config.write_text("log_level: INFO\n", encoding="utf-8")
    environment = {
        **base_environment(),
        **vendors,
        **{f"{name}_API_KEY": secrets.token_hex(16) for name in ("DEEPGRAM", "OPENAI", "CARTESIA")},
        "AGENTS_DIR": str(agents),
        "DATA_DIR": str(data),
        "DEFAULT_AGENT": _AGENT_ID,
        "MAX_CONNECTIONS": str(_MAX_CONNECTIONS),
        "ENVIRONMENT": "development",
        "STORAGE_KIND": "filesystem",
        "DRAIN_TIMEOUT": "5",
    }
    arguments = ("main.py", "--config", str(config), "serve", "--port", str(port))
    return Launch(arguments, environment, f"/voice/{_AGENT_ID}")


def _plain(port: int, vendors: Vendors, folder: Path) -> Launch:
    recordings = folder / "recordings"
    recordings.mkdir(exist_ok=True)
    arguments = [
        *("-m", "bench.plain_bot", "--port", str(port), "--recordings", str(recordings)),
        *("--key", secrets.token_hex(16)),
    ]
    for vendor in ("deepgram", "openai", "cartesia"):
        arguments += [f"--{vendor}-url", vendors[f"{vendor.upper()}_BASE_URL"]]
    return Launch(tuple(arguments), base_environment(), "/ws")


def _echo(port: int, _vendors: Vendors, _folder: Path) -> Launch:
    arguments = ("-m", "bench.echo", "--port", str(port))
    return Launch(arguments, base_environment(), "/ws", speaks_first=False, uses_vendors=False)


def base_environment() -> dict[str, str]:
    """Variables of this process that a server may see."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


#: By the word that ``--only`` takes: the name in the table, and how to start it.
SYSTEMS: Final[Mapping[str, tuple[str, Callable[[int, Vendors, Path], Launch]]]] = {
    "ours": (OURS, _ours),
    "plain": (PLAIN, _plain),
    "echo": (ECHO, _echo),
}
