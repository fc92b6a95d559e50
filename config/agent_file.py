"""Reads an agent's file: its own keys, the server's defaults under them, every check over them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.accounts import filled, missing_options, with_stand_ins
from config.agent import AgentConfig
from config.agent_stages import STAGE_KEYS
from config.check import installation_problems, language_problems
from config.documents import Document, read_document
from config.languages import is_language, resolve_language
from config.layers import lay_over, merge_options
from config.problems import ConfigFileError, KeyPath, Problem, from_validation, placed, unknown
from config.providers import PROVIDER_KINDS, ProviderCatalog, ProviderKind, ProviderOptions
from config.secrets import hide_secrets
from config.settings import Settings
from config.templates import BUILTIN_VARIABLES, template_error
from config.voicera import convert, is_voicera

#: Tells an editor where the schema is; says nothing about the agent.
_EDITOR_KEY = "$schema"

_Options = dict[tuple[ProviderKind, str], ProviderOptions]
_LanguageOptions = dict[tuple[ProviderKind, str, str], ProviderOptions]
#: What may stand in a stage's section of one language beside the sections of its providers.
_LANGUAGE_KEYS = ("provider", "fallback")


def read_agent(
    file: Path, catalog: ProviderCatalog, settings: Settings, *, check_installation: bool = True
) -> AgentConfig:
    """Read and check one agent file.

    Args:
        check_installation: Also refuse an agent whose keys or packages are missing here.

    Raises:
        ConfigFileError: With every problem found, and where.
    """
    document = read_document(file)
    return build_agent(document, catalog, settings, check_installation=check_installation)


def build_agent(
    document: Document,
    catalog: ProviderCatalog,
    settings: Settings,
    *,
    check_installation: bool = True,
) -> AgentConfig:
    """The agent that ``document`` describes; as :func:`read_agent`."""
    document = native_document(document, catalog)
    data = hide_secrets(lay_over(_with_id(document), catalog, settings))
    data = with_stand_ins(data, catalog)
    problems = list(_references(document.data))
    options: _Options = {}
    language_options: _LanguageOptions = {}
    for kind in PROVIDER_KINDS:
        own = document.data.get(kind)
        problems += _sections(kind, data.get(kind), own, catalog, settings, options)
        problems += _by_language(kind, data.get(kind), catalog, settings, language_options)
    problems += _templates(data)
    agent: AgentConfig | None = None
    try:
        agent = AgentConfig.model_validate(data).with_options(options, language_options)
    except ValidationError as error:
        problems += from_validation(error, AgentConfig, data)
    else:
        problems += [*_misfits(agent), *language_problems(agent, catalog)]
    code = "config_invalid" if problems else "unequipped"
    if agent is not None and check_installation:
        problems += installation_problems(agent, catalog, settings)
        problems += missing_options(agent, catalog)
    if agent is None or problems:
        raise ConfigFileError(document.file, _located(problems, document, settings), code=code)
    return agent


def _misfits(agent: AgentConfig) -> Iterator[Problem]:
    """What providers' options refer to and the agent does not have."""
    variables = (*BUILTIN_VARIABLES, *agent.variables)
    for kind in PROVIDER_KINDS:
        for name in agent.section(kind).chain:
            if agent.has_options(kind, name):
                messages = agent.provider_options(kind, name).problems_with(
                    variables=variables, transfer_targets=tuple(agent.call.transfer_to)
                )
                yield from (placed(message, (kind, name)) for message in messages)


def _located(problems: list[Problem], document: Document, settings: Settings) -> list[Problem]:
    """``problems`` in the order of the file, each with its line or where it was inherited."""
    located = []
    for problem in problems:
        server = settings.config_document
        if problem.path not in document.lines and server and problem.path in server.lines:
            where = f"{server.file}:{server.lines[problem.path]}"
            located.append(replace(problem, message=f"{problem.message} (inherited from {where})"))
        else:
            located.append(problem.at(document.line(problem.path)))
    return sorted(located, key=lambda problem: problem.line or 0)


def native_document(document: Document, catalog: ProviderCatalog) -> Document:
    """``document`` itself, or its conversion where it is a VoiceERA agent.

    Raises:
        ConfigFileError: It says something that this server cannot do.
    """
    return convert(document, catalog) if is_voicera(document.data) else document


def _with_id(document: Document) -> dict[str, Any]:
    own = {key: value for key, value in document.data.items() if key != _EDITOR_KEY}
    return {"agent_id": document.file.stem, **own}


def _sections(
    kind: ProviderKind,
    section: Any,
    own: Any,
    catalog: ProviderCatalog,
    settings: Settings,
    options: _Options,
) -> Iterator[Problem]:
    """Checks one stage's section and adds the options of its chain to ``options``."""
    if not isinstance(section, dict):
        return
    names = catalog.names(kind)
    chosen: dict[str, KeyPath] = {}
    if isinstance(section.get("provider"), str):
        chosen[section["provider"]] = (kind, "provider")
    fallback = section.get("fallback")
    for i, name in enumerate(fallback if isinstance(fallback, list) else []):
        if isinstance(name, str):
            chosen.setdefault(name, (kind, "fallback", i))
    for name, place in chosen.items():
        if catalog.find(kind, name) is None:
            yield Problem(path=place, message=unknown(f"{kind} provider", name, names))
    written = own if isinstance(own, dict) else {}
    for name in dict.fromkeys((*chosen, *written)):
        spec = catalog.find(kind, name)
        content = section.get(name) or {}
        if spec is None:
            if name not in STAGE_KEYS and name in written:
                allowed = [*STAGE_KEYS, *names]
                yield Problem(path=(kind, name), message=unknown("key", name, allowed))
        elif isinstance(content, dict):
            content = filled(spec, content, settings)
            try:
                options[(kind, name)] = spec.options.model_validate(content)
            except ValidationError as error:
                yield from from_validation(error, spec.options, content, prefix=(kind, name))


def _by_language(
    kind: ProviderKind,
    section: Any,
    catalog: ProviderCatalog,
    settings: Settings,
    options: _LanguageOptions,
) -> Iterator[Problem]:
    """Checks what a stage says of further languages and adds its providers' options there."""
    languages = section.get("languages") if isinstance(section, dict) else None
    if not isinstance(languages, dict):
        return
    for written, own in languages.items():
        if isinstance(own, dict) and is_language(str(written)):
            place: KeyPath = (kind, "languages", written)
            code = resolve_language(str(written))
            yield from _in_language(kind, section, own, place, code, catalog, settings, options)


def _in_language(
    kind: ProviderKind,
    section: dict[str, Any],
    own: dict[str, Any],
    place: KeyPath,
    code: str,
    catalog: ProviderCatalog,
    settings: Settings,
    options: _LanguageOptions,
) -> Iterator[Problem]:
    names = catalog.names(kind)
    chosen: dict[str, KeyPath] = {}
    if isinstance(own.get("provider"), str):
        chosen[own["provider"]] = (*place, "provider")
    fallback = own.get("fallback")
    for i, name in enumerate(fallback if isinstance(fallback, list) else []):
        if isinstance(name, str):
            chosen.setdefault(name, (*place, "fallback", i))
    for name, where in chosen.items():
        if catalog.find(kind, name) is None:
            yield Problem(path=where, message=unknown(f"{kind} provider", name, names))
    for name in dict.fromkeys((*chosen, *own)):
        spec = catalog.find(kind, name)
        content = own.get(name) or {}
        if spec is None:
            if name not in (*_LANGUAGE_KEYS, *chosen):
                allowed = [*_LANGUAGE_KEYS, *names]
                yield Problem(path=(*place, name), message=unknown("key", name, allowed))
        elif isinstance(content, dict):
            # A language that the stage's section fixes is that of the agent's own.
            under = {k: v for k, v in (section.get(name) or {}).items() if k != "language"}
            merged = filled(spec, merge_options(under, content, spec), settings)
            try:
                options[(kind, name, code)] = spec.options.model_validate(merged)
            except ValidationError as error:
                yield from from_validation(error, spec.options, merged, prefix=(*place, name))


def _references(data: dict[str, Any]) -> Iterator[Problem]:
    """Agent files can be written by others than who runs the server: no environment for them."""
    for kind in PROVIDER_KINDS:
        for path, text in _texts(data.get(kind), (kind,)):
            if "${" in text:
                message = (
                    "${NAME} works in config.yaml only; leave a key out here and set its "
                    "variable in the environment"
                )
                yield Problem(path=path, message=message)


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, (*path, i))


_TEMPLATES: tuple[KeyPath, ...] = (
    ("system_prompt",),
    ("greeting",),
    ("translations",),
    ("turns", "no_input_prompt"),
    ("turns", "hold_messages"),
    ("call", "farewell"),
    ("call", "apology"),
    ("call", "busy"),
)


def _templates(data: dict[str, Any]) -> Iterator[Problem]:
    variables = data.get("variables")
    known = (*BUILTIN_VARIABLES, *(variables if isinstance(variables, dict) else ()))
    for place in _TEMPLATES:
        value: Any = data
        for part in place:
            value = value.get(part) if isinstance(value, dict) else None
        for path, text in _texts(value, place):
            message = template_error(text, known)
            if message is not None:
                yield Problem(path=path, message=message)
