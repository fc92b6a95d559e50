"""Whether this installation can serve an agent: languages, credentials, addresses, packages.

A fallback must be fit to serve like the first choice: an agent whose chain was silently shorter
than its file says would be found out by a caller, on the day the first choice fails.
"""

from collections.abc import Iterator

from config.agent import AgentConfig
from config.agent_stages import StageLanguage
from config.errors import ConfigError
from config.languages import LANGUAGES, is_language, resolve_language
from config.packages import missing_packages
from config.problems import KeyPath, Problem
from config.providers import (
    PROVIDER_KINDS,
    ProviderCatalog,
    ProviderKind,
    ProviderOptions,
    ProviderSpec,
)
from config.resolve import (
    backend_config_id,
    chain_in,
    comes_from_backend,
    provider_base_url,
    provider_language,
    provider_secret,
    serves,
)
from config.settings import Settings


def check(agent: AgentConfig, catalog: ProviderCatalog, settings: Settings) -> list[Problem]:
    """Everything that keeps ``agent`` from being served here, each with a way out."""
    return language_problems(agent, catalog) + installation_problems(agent, catalog, settings)


def language_problems(agent: AgentConfig, catalog: ProviderCatalog) -> list[Problem]:
    """Languages of the agent that a provider in its chains lacks; so on every installation."""
    problems: list[Problem] = []
    for spec, options, place in _of_own_language(agent, catalog):
        problems += _own_language(spec, options, agent, catalog, place)
    for kind in PROVIDER_KINDS:
        problems += _unspoken(agent, kind)
        for code in agent.spoken_languages[1:]:
            problems += _further_language(agent, kind, code, catalog)
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
    yield from _of_own_language(agent, catalog)
    for kind in PROVIDER_KINDS:
        for code, own in agent.section(kind).languages.items():
            for name in agent.section(kind).named_for(code):
                spec = catalog.find(kind, name)
                if spec is not None and agent.has_options(kind, name, code):
                    place = _language_place(kind, code, own, name)
                    yield spec, agent.provider_options(kind, name, code), place


def _language_place(kind: ProviderKind, code: str, own: StageLanguage, name: str) -> KeyPath:
    """The key that chose a provider for a further language."""
    if name == own.provider:
        return (kind, "languages", code, "provider")
    return (kind, "languages", code, "fallback", (own.fallback or ()).index(name))


def _of_own_language(
    agent: AgentConfig, catalog: ProviderCatalog
) -> Iterator[tuple[ProviderSpec, ProviderOptions, KeyPath]]:
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


def _own_language(
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
    if spec.supports(agent.language):
        return []
    message = _lacks(spec, agent.language, catalog) + _of_a_fallback(place)
    return [Problem(path=place, message=message)]


def _unspoken(agent: AgentConfig, kind: ProviderKind) -> Iterator[Problem]:
    """What a stage says of languages that the agent does not turn to."""
    for code in agent.section(kind).languages:
        message = None
        if code == agent.language:
            message = f"{code} is the agent's own language; its providers stand in {kind} itself"
        elif code not in agent.spoken_languages:
            message = f"the agent does not turn to {LANGUAGES[code].name}; add it to languages"
        if message is not None:
            yield Problem(path=(kind, "languages", code), message=message)


def _further_language(
    agent: AgentConfig, kind: ProviderKind, code: str, catalog: ProviderCatalog
) -> Iterator[Problem]:
    """What is named for a further language must have it, and of the rest somebody."""
    section = agent.section(kind)
    own = section.languages.get(code)
    for name in section.named_for(code):
        spec = catalog.find(kind, name)
        if own is None or spec is None or not agent.has_options(kind, name, code):
            continue
        place = _language_place(kind, code, own, name)
        if not serves(spec, agent.provider_options(kind, name, code), code):
            yield Problem(path=place, message=_lacks(spec, code, catalog) + _of_a_fallback(place))
    names = section.chain_for(code)
    specs = [spec for name in names if (spec := catalog.find(kind, name)) is not None]
    if len(specs) < len(names) or any(not agent.has_options(kind, n, code) for n in names):
        return  # Told of already.
    if not chain_in(agent, kind, code, catalog):
        spec = specs[0]
        options = agent.provider_options(kind, spec.name, code)
        message = _lacks(spec, code, catalog)
        if spec.supports(code) and options.language:
            message = f"{spec.title} is held to the language {options.language} by its section"
        place = (kind, "provider") if own is None else (kind, "languages", code)
        way_out = f"; name one for {LANGUAGES[code].name} alone in {kind}.languages.{code}"
        yield Problem(path=place, message=message + way_out)


def _lacks(spec: ProviderSpec, code: str, catalog: ProviderCatalog) -> str:
    """That the provider lacks a language, and which others have it."""
    verb = "hear" if spec.kind == "stt" else "speak"
    others = [s.name for s in catalog.of_kind(spec.kind) if s.supports(code)]
    way_out = f"providers that do: {', '.join(others)}" if others else "no provider here does"
    return f"{spec.title} does not {verb} {LANGUAGES[code].name} ({code}); {way_out}"


def _of_a_fallback(place: KeyPath) -> str:
    """The further way out where it is a fallback that cannot serve."""
    if "fallback" not in place:
        return ""
    chain = ".".join(map(str, place[: place.index("fallback")]))
    return f"; or take it out of {chain}.fallback"


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
    if place[1] == "languages":
        own = section.languages[str(place[2])]
        fallback, provider = own.fallback or (), own.provider or section.provider
    else:
        fallback, provider = section.fallback, section.provider
    return fallback[position] if isinstance(position, int) else provider
