"""Whether this installation can serve an agent: languages, credentials, packages."""

from collections.abc import Iterator
from importlib.util import find_spec

from config.agent import PROVIDER_KINDS, AgentConfig
from config.errors import ConfigError
from config.languages import LANGUAGES
from config.problems import KeyPath, Problem
from config.providers import ProviderCatalog, ProviderKind, ProviderOptions, ProviderSpec
from config.resolve import provider_language, provider_secret
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
    """Keys and packages that are missing here."""
    problems: list[Problem] = []
    for spec, options, place in _chosen(agent, catalog):
        problems += _secret(spec, options, settings, place)
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
            path = (spec.kind, _section_name(place, agent, spec), "language")
            return [Problem(path=path, message=error.message)]
        return []
    verb = "hear" if spec.kind == "stt" else "speak"
    problems = []
    for code in agent.spoken_languages:
        if spec.supports(code):
            continue
        others = [s.name for s in catalog.of_kind(spec.kind) if s.supports(code)]
        way_out = f"providers that do: {', '.join(others)}" if others else "no provider here does"
        message = f"{spec.title} does not {verb} {LANGUAGES[code].name} ({code}); {way_out}"
        problems.append(Problem(path=place, message=message))
    return problems


def _secret(
    spec: ProviderSpec, options: ProviderOptions, settings: Settings, place: KeyPath
) -> list[Problem]:
    if spec.secret_env is None or provider_secret(spec, options, settings) is not None:
        return []
    written = f"{spec.kind}.{spec.name}.{options.secret_field or 'api_key'}"
    message = f"{spec.title} needs a key; set {spec.secret_env} in the environment or {written}"
    return [Problem(path=place, message=message)]


def _packages(spec: ProviderSpec, place: KeyPath) -> list[Problem]:
    missing = [package for package in spec.packages if not _installed(package)]
    if not missing:
        return []
    install = f"; install with: {spec.install}" if spec.install else ""
    message = f"{spec.title} needs the Python package {', '.join(missing)}{install}"
    return [Problem(path=place, message=message)]


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _section_name(place: KeyPath, agent: AgentConfig, spec: ProviderSpec) -> str:
    section = agent.section(spec.kind)
    position = place[-1]
    return section.fallback[position] if isinstance(position, int) else section.provider
