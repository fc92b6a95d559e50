"""What the contract tests must know of each vendor, one module for each.

A module has ``SIMULATORS``, who stands in for a vendor that is reached over the network, and,
where an agent cannot do with nothing, ``LEAST``, the least that its file says of the provider.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from config.providers import ProviderKind
from simulators.base import Simulator

Provider = tuple[ProviderKind, str]


def _gather(table: str) -> dict[Any, Any]:
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return {key: entry for module in modules for key, entry in getattr(module, table, {}).items()}


SIMULATORS: dict[Provider, Callable[[], Simulator]] = _gather("SIMULATORS")
LEAST: dict[Provider, dict[str, Any]] = _gather("LEAST")
