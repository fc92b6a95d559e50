"""What a vendor's account is made of beside its key, and who serves an agent's language."""

from collections.abc import Iterator, Mapping
from typing import Any

from config.agent import AgentConfig
from config.check import provider_place
from config.errors import ConfigError
from config.languages import resolve_language
from config.problems import KeyPath, Problem
from config.providers import (
    PROVIDER_KINDS,
    ProviderCatalog,
    ProviderKind,
    ProviderSpec,
    option_spellings,
)
from config.settings import Settings


def with_stand_ins(data: dict[str, Any], catalog: ProviderCatalog) -> dict[str, Any]:
    """An agent's content with each provider replaced that serves its language by another.

    Bhashini, say, hears Bhili through a model with an account of its own, which is another
    provider here.
    """
    try:
        language = resolve_language(str(data.get("language")))
    except ConfigError:
        return data
    sections: dict[str, Any] = {
        kind: _section(data[kind], kind, language, catalog)
        for kind in PROVIDER_KINDS
        if isinstance(data.get(kind), dict)
    }
    return {**data, **sections}


def _section(
    section: dict[str, Any], kind: ProviderKind, language: str, catalog: ProviderCatalog
) -> dict[str, Any]:
    def served(name: Any) -> Any:
        spec = catalog.find(kind, name) if isinstance(name, str) else None
        own = section.get(name)
        if spec is None or (isinstance(own, dict) and own.get("language")):
            return name
        return spec.elsewhere.get(language, name)

    settled = dict(section)
    if "provider" in section:
        settled["provider"] = served(section["provider"])
    if isinstance(section.get("fallback"), list):
        settled["fallback"] = [served(name) for name in section["fallback"]]
    return settled


def filled(spec: ProviderSpec, content: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """A provider's options with those under them that the environment has."""
    spellings = option_spellings(spec.options)
    given = {spellings.get(key, key) for key in content}
    found = {
        option: text
        for option, variable in spec.option_env.items()
        if option not in given and (text := settings.env_text(variable))
    }
    return {**found, **content}


def missing_options(agent: AgentConfig, catalog: ProviderCatalog) -> Iterator[Problem]:
    """Options that an account needs, and that neither a file nor the environment has."""
    for kind, name, language, place in _everybody(agent):
        spec = catalog.find(kind, name)
        if spec is None or not agent.has_options(kind, name, language):
            continue
        options = agent.provider_options(kind, name, language)
        for option, variable in spec.option_env.items():
            if not getattr(options, option):
                message = (
                    f"{spec.title} needs its {option}; set {variable} in the environment or "
                    f"{kind}.{spec.name}.{option}"
                )
                yield Problem(path=place, message=message)


def _everybody(agent: AgentConfig) -> Iterator[tuple[ProviderKind, str, str, KeyPath]]:
    """The providers of all chains with the language and the key that each is named for."""
    for kind in PROVIDER_KINDS:
        section = agent.section(kind)
        for name in section.chain:
            yield kind, name, agent.language, provider_place(agent, kind, name)
        for code in section.languages:
            for name in section.named_for(code):
                yield kind, name, code, (kind, "languages", code)
