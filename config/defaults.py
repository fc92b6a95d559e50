"""Checks what ``config.yaml`` says of providers, at start-up, before any agent lies over it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.agent_stages import STAGE_KEYS
from config.errors import ConfigError
from config.problems import ConfigFileError, KeyPath, Problem, from_validation, unknown
from config.providers import PROVIDER_KINDS, ProviderCatalog, ProviderKind, ProviderSpec
from config.resolve import provider_language
from config.settings import DEFAULT_CONFIG_FILE, Settings


def require_usable_defaults(settings: Settings, catalog: ProviderCatalog) -> None:
    """Refuse provider sections that no agent could use.

    Keys that an agent may still add, such as a script's dialogue, may be missing.

    Raises:
        ConfigFileError: With every problem found.
    """
    document = settings.config_document
    problems: list[Problem] = []
    for kind in PROVIDER_KINDS:
        problems += _section(kind, settings.provider_defaults(kind), catalog)
    if problems:
        file = document.file if document is not None else Path(DEFAULT_CONFIG_FILE)
        located = [p.at(document.line(p.path) if document else None) for p in problems]
        raise ConfigFileError(file, located)


def _section(
    kind: ProviderKind, section: dict[str, Any], catalog: ProviderCatalog
) -> Iterator[Problem]:
    names = catalog.names(kind)
    fallback = section.get("fallback", [])
    if not isinstance(fallback, list):
        yield Problem(path=(kind, "fallback"), message="must be a list of providers")
        fallback = []
    chosen: dict[KeyPath, Any] = {(kind, "provider"): section.get("provider")}
    chosen |= {(kind, "fallback", i): name for i, name in enumerate(fallback)}
    for path, name in chosen.items():
        if catalog.find(kind, str(name)) is None:
            yield Problem(path=path, message=unknown(f"{kind} provider", str(name), names))
    for name, content in section.items():
        if name in STAGE_KEYS:
            continue
        spec = catalog.find(kind, name)
        if spec is None:
            allowed = [*STAGE_KEYS, *names]
            yield Problem(path=(kind, name), message=unknown("key", name, allowed))
        elif content is not None and not isinstance(content, dict):
            yield Problem(path=(kind, name), message="must be a mapping of options")
        else:
            yield from _options(spec, name, content or {})


def _options(spec: ProviderSpec, name: str, content: dict[str, Any]) -> Iterator[Problem]:
    try:
        options = spec.options.model_validate(content)
    except ValidationError as error:
        found = from_validation(error, spec.options, content, prefix=(spec.kind, name))
        yield from (p for p in found if p.message != "is missing")
        return
    try:
        provider_language(spec, options, next(iter(spec.languages or ("en-IN",))))
    except ConfigError as error:
        yield Problem(path=(spec.kind, name, "language"), message=error.message)
