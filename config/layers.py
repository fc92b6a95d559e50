"""Lays an agent's file over what the server's configuration says of providers."""

from typing import Any

from config.providers import (
    PROVIDER_KINDS,
    ProviderCatalog,
    ProviderKind,
    ProviderSpec,
    option_spellings,
)
from config.settings import Settings

_DEFAULT_LANGUAGE = "en-IN"


def lay_over(agent: dict[str, Any], catalog: ProviderCatalog, settings: Settings) -> dict[str, Any]:
    """The agent's content with every default of the server under it.

    A section that names its own ``provider`` does not inherit the server's ``fallback``.
    A ``language`` in a provider's section of ``config.yaml`` is the language of agents that
    give none; an address there yields to the environment's.
    """
    result = dict(agent)
    for kind in PROVIDER_KINDS:
        own = agent.get(kind)
        if own is None or isinstance(own, dict):
            result[kind] = _section(own or {}, kind, catalog, settings)
    if "language" not in agent:
        result["language"] = _server_language(settings)
    call = agent.get("call")
    if call is None or isinstance(call, dict):
        longest = {"max_duration_seconds": settings.server.session_timeout_seconds}
        result["call"] = {**longest, **(call or {})}
    return result


def _section(
    own: dict[str, Any], kind: ProviderKind, catalog: ProviderCatalog, settings: Settings
) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key, value in settings.provider_defaults(kind).items():
        if isinstance(value, dict):
            merged[key] = _inherited(value, kind, key, catalog, settings)
        elif key != "fallback" or "provider" not in own:
            merged[key] = value
    for key, value in own.items():
        inherited = merged.get(key)
        if isinstance(value, dict) and isinstance(inherited, dict):
            merged[key] = merge_options(inherited, value, catalog.find(kind, key))
        else:
            merged[key] = value
    return merged


def _inherited(
    section: dict[str, Any],
    kind: ProviderKind,
    name: str,
    catalog: ProviderCatalog,
    settings: Settings,
) -> dict[str, Any]:
    spec = catalog.find(kind, name)
    left_out = {"language"}
    if spec is not None and spec.base_url_env and settings.env_text(spec.base_url_env):
        left_out.add("base_url")
    return {key: value for key, value in section.items() if _field(key, spec) not in left_out}


def merge_options(
    inherited: dict[str, Any], own: dict[str, Any], spec: ProviderSpec | None
) -> dict[str, Any]:
    """Option by option; the spellings of one option count as the same."""
    given = {_field(key, spec) for key in own}
    kept = {key: value for key, value in inherited.items() if _field(key, spec) not in given}
    return {**kept, **own}


def _field(key: str, spec: ProviderSpec | None) -> str:
    return key if spec is None else option_spellings(spec.options).get(key, key)


def _server_language(settings: Settings) -> Any:
    for kind in PROVIDER_KINDS:
        section = settings.provider_defaults(kind)
        options = section.get(section.get("provider", ""))
        if isinstance(options, dict) and options.get("language"):
            return options["language"]
    return _DEFAULT_LANGUAGE
