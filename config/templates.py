"""``{{variable}}`` in prompts and phrases."""

import re
from collections.abc import Collection, Mapping

from config.errors import ConfigError
from config.problems import unknown

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")

#: Variables every agent has. The numbers are known only in a call.
CALL_VARIABLES = ("caller_number", "called_number")
BUILTIN_VARIABLES = ("agent_name", *CALL_VARIABLES)


def template_variables(text: str) -> tuple[str, ...]:
    """Names that ``text`` refers to, each once, in order."""
    return tuple(dict.fromkeys(_REFERENCE.findall(text)))


def template_error(text: str, known: Collection[str]) -> str | None:
    """What is wrong with the references in ``text``; None for nothing."""
    for name in template_variables(text):
        if name not in known:
            return unknown("variable", name, known)
    rest = _REFERENCE.sub("", text)
    if "{{" in rest or "}}" in rest:
        return "has {{ or }} that does not enclose the name of a variable"
    return None


def render_template(text: str, variables: Mapping[str, str]) -> str:
    """``text`` with each ``{{name}}`` replaced, once: values are not looked into.

    Raises:
        ConfigError: ``variables`` lacks a name.
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            raise ConfigError(unknown("variable", name, variables), code="unknown_variable")
        return variables[name]

    return _REFERENCE.sub(replace, text)
