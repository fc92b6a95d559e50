"""Puts values of the environment into a configuration file: ``${NAME}``, ``${NAME:-default}``."""

import re
from collections.abc import Mapping
from typing import Any

from config.problems import KeyPath, Problem

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def expand(
    value: Any, env: Mapping[str, str], path: KeyPath = ()
) -> tuple[Any, list[tuple[KeyPath, str]]]:
    """``value`` with every reference replaced, and what could not be.

    A default holds for a name that is unset or empty, as in a shell.

    Returns:
        The new value, and pairs of a path and the name that has no value there.
    """
    missing: list[tuple[KeyPath, str]] = []
    return _expand(value, env, path, missing), missing


def unset_names(missing: list[tuple[KeyPath, str]]) -> list[Problem]:
    """Problems for names that the environment lacks."""
    return [
        Problem(
            path=path,
            message=f"environment variable {name} is not set; set it, or write "
            f"${{{name}:-default}} to give a default",
        )
        for path, name in missing
    ]


def _expand(
    value: Any, env: Mapping[str, str], path: KeyPath, missing: list[tuple[KeyPath, str]]
) -> Any:
    if isinstance(value, dict):
        return {k: _expand(v, env, (*path, k), missing) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, env, (*path, i), missing) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = env.get(name)
        if default is not None:
            return found or default
        if found is None:
            missing.append((path, name))
            return ""
        return found

    return _REFERENCE.sub(replace, value)
