"""Whether this installation can serve an agent: languages, credentials, addresses, packages.

A fallback must be fit to serve like the first choice: an agent whose chain was silently shorter
than its file says would be found out by a caller, on the day the first choice fails.
"""

from collections.abc import Iterator

from config.agent import PROVIDER_KINDS, AgentConfig
from config.errors import ConfigError
from config.languages import LANGUAGES, is_language, resolve_language
from config.packages import missing_packages
from config.problems import KeyPath, Problem
from config.providers import ProviderCatalog, ProviderKind, ProviderOptions, ProviderSpec
from config.resolve import (
    backend_config_id,
    comes_from_backend,
    provider_base_url,
    provider_language,
    provider_secret,
)
from config.settings import Settings


def check(agent: AgentConfig, catalog: ProviderCatalog, settings: Settings) -> list[Problem]:
    """Everything that keeps ``agent`` from being served here, each with a way out."""
    return language_problems(agent, catalog) + installation_problems(agent, catalog, settings)


def language_problems(agent: AgentConfig, catalog: ProviderCatalog) -> list[Problem]:
    """Languages of the agent that a provider in its chains lacks; so on every installation."""
    problems: list[Problem] = []
    for spec, options, place in _chosen(agent, catalog):
        problems += _languages(spec, options, agent, catalog, place)
    return problems


def installation_problems(
    agent: AgentConfig, catalog: ProviderCatalog, settings: Settings
) -> list[Problem]:
    """Keys, addresses and packages that are missing here."""
    problems: list[Problem] = []
    for spec, options, place in _chosen(agent, catalog):
        if not comes_from_backend(spec, options, agent, settings):
            problems += _secret(spec, options, agent, settings, place)
            problems += _backend_config(spec, options, place)
        problems += _address(spec, options, agent, settings, place)
        problems += _packages(spec, place)
    return problems


def _chosen(
    agent: AgentConfig, catalog: ProviderCatalog
) -> Iterator[tuple[ProviderSpec, ProviderOptions, KeyPath]]:
    """The providers of all chains whose options are valid, and the key that chose each."""
    for kind in PROVIDER_KINDS:
        for name in agent.section(kind).chain:
            spec = catalog.find(kind, name)
            if spec is not None and agent.has_options(kind, name):
                place = provider_place(agent, kind, name)
                yield spec, agent.provider_options(kind, name), place


def provider_place(agent: AgentConfig, kind: ProviderKind, name: str) -> KeyPath:
    """The key that chose a provider."""
    section = agent.section(kind)
    if name == section.provider:
        return (kind, "provider")
    return (kind, "fallback", section.fallback.index(name))


def _languages(
    spec: ProviderSpec,
    options: ProviderOptions,
    agent: AgentConfig,
    catalog: ProviderCatalog,
    place: KeyPath,
) -> list[Problem]:
    if options.language:
        try:
            provider_language(spec, options, agent.language)
        except ConfigError as error:
            message = error.message
            if is_language(options.language):
                message = _lacks(spec, resolve_language(options.language), catalog)
            path = (spec.kind, _section_name(place, agent, spec), "language")
            return [Problem(path=path, message=message)]
        return []
    return [
        Problem(path=place, message=_lacks(spec, code, catalog) + _of_a_fallback(place))
        for code in agent.spoken_languages
        if not spec.supports(code)
    ]


def _lacks(spec: ProviderSpec, code: str, catalog: ProviderCatalog) -> str:
    """That the provider lacks a language, and which others have it."""
    verb = "hear" if spec.kind == "stt" else "speak"
    others = [s.name for s in catalog.of_kind(spec.kind) if s.supports(code)]
    way_out = f"providers that do: {', '.join(others)}" if others else "no provider here does"
    return f"{spec.title} does not {verb} {LANGUAGES[code].name} ({code}); {way_out}"


def _of_a_fallback(place: KeyPath) -> str:
    """The further way out where it is a fallback that cannot serve."""
    return f"; or take it out of {place[0]}.fallback" if place[1] == "fallback" else ""


def _secret(
    spec: ProviderSpec,
    options: ProviderOptions,
    agent: AgentConfig,
    settings: Settings,
    place: KeyPath,
) -> list[Problem]:
    if spec.secret_env is None or provider_secret(spec, options, settings) is not None:
        return []
    written = f"{spec.kind}.{_section_name(place, agent, spec)}.{options.secret_field or 'api_key'}"
    message = (
        f"{spec.title} needs a key; set {spec.secret_env} in the environment or in .env, "
        f"or {written}{_of_a_fallback(place)}"
    )
    return [Problem(path=place, message=message)]


def _address(
    spec: ProviderSpec,
    options: ProviderOptions,
    agent: AgentConfig,
    settings: Settings,
    place: KeyPath,
) -> list[Problem]:
    if not spec.address_required or provider_base_url(spec, options, settings) is not None:
        return []
    variable = (
        f"{spec.base_url_env} in the environment or in .env, or " if spec.base_url_env else ""
    )
    written = f"{spec.kind}.{_section_name(place, agent, spec)}.base_url"
    message = f"{spec.title} needs an address; set {variable}{written}{_of_a_fallback(place)}"
    return [Problem(path=place, message=message)]


def _backend_config(spec: ProviderSpec, options: ProviderOptions, place: KeyPath) -> list[Problem]:
    if backend_config_id(options) is None:
        return []
    message = (
        f"{spec.title} is described in the VoiceERA backend by its {options.backend_config_field}: "
        "set VOICERA_BACKEND_URL and INTERNAL_API_KEY, and metadata.org_id in the agent's file"
    )
    return [Problem(path=place, message=message)]


def _packages(spec: ProviderSpec, place: KeyPath) -> list[Problem]:
    missing = missing_packages(spec)
    if not missing:
        return []
    install = f"; install with: {spec.install}" if spec.install else ""
    message = f"{spec.title} needs the Python package {', '.join(missing)}{install}"
    return [Problem(path=place, message=message + _of_a_fallback(place))]


def _section_name(place: KeyPath, agent: AgentConfig, spec: ProviderSpec) -> str:
    """The provider's name as the file writes it; its section goes by the same."""
    section = agent.section(spec.kind)
    position = place[-1]
    return section.fallback[position] if isinstance(position, int) else section.provider
