"""What ``main.py providers`` says: every provider, what it needs, and whether that is here."""

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from config.accounts import filled
from config.packages import missing_packages
from config.problems import MISSING, from_validation
from config.providers import (
    PROVIDER_KINDS,
    ProviderCatalog,
    ProviderKind,
    ProviderOptions,
    ProviderSpec,
    option_spellings,
)
from config.resolve import provider_base_url, provider_secret
from config.settings import Settings

KIND_TITLES: Mapping[ProviderKind, str] = {
    "stt": "Speech to text",
    "llm": "Language models",
    "tts": "Text to speech",
}
#: Of a provider whose client knows where to go.
OWN_ADDRESS = "the vendor's own"
#: Narrow enough for a terminal of 100 columns.
_WIDTH = 98
_INDENT = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderReport:
    """One provider as this installation has it. Holds no secret.

    Attributes:
        spec: Its registration.
        missing_packages: Import names that are not installed.
        has_key: Whether its key is in the environment or in ``config.yaml``; None where it
            needs none.
        address: Where it connects, without credentials; None for one that works in process,
            or whose address nobody has given yet.
        problems: What ``config.yaml`` says wrongly of it.
        agent_options: Options that an agent's file, or ``config.yaml``, must give.
        account_options: Options of the account, each with whether it is here.
        backend_is_asked: Whether the backend is asked for its key, for agents of an organisation.
    """

    spec: ProviderSpec
    missing_packages: tuple[str, ...]
    has_key: bool | None
    address: str | None
    problems: tuple[str, ...]
    agent_options: tuple[str, ...]
    account_options: Mapping[str, bool]
    backend_is_asked: bool

    @property
    def is_installed(self) -> bool:
        """Whether all its packages are here."""
        return not self.missing_packages

    @property
    def is_configured(self) -> bool:
        """Whether its account is here where it needs one, and its address where one must be."""
        has_address = self.address is not None or not needs_address(self.spec)
        has_account = self.has_key is not False and all(self.account_options.values())
        return has_account and has_address and not self.problems


def provider_reports(
    catalog: ProviderCatalog,
    settings: Settings,
    *,
    kind: ProviderKind | None = None,
    language: str | None = None,
) -> list[ProviderReport]:
    """Every provider, or those of a kind or with a language, sorted by kind and name.

    Args:
        language: One of our codes; those that have any language have it too.
    """
    return [
        _report(spec, settings)
        for each in PROVIDER_KINDS
        if kind in (None, each)
        for spec in catalog.of_kind(each)
        if language is None or spec.supports(language)
    ]


def is_remote(spec: ProviderSpec) -> bool:
    """Whether it works on another server: it has an address, or could be given a key."""
    has_address = spec.default_base_url is not None or spec.base_url_env is not None
    return has_address or spec.fixed_address or spec.options.secret_field is not None


def needs_address(spec: ProviderSpec) -> bool:
    """Whether an operator must say where it is; one with a variable may know by itself."""
    has_no_other = spec.base_url_env is None and spec.default_base_url is None
    return spec.address_required or (is_remote(spec) and has_no_other and not spec.fixed_address)


def _report(spec: ProviderSpec, settings: Settings) -> ProviderReport:
    written = _section(spec, settings)
    section = filled(spec, written, settings)
    problems: tuple[str, ...] = ()
    options: ProviderOptions
    try:
        options = spec.options.model_validate(section)
    except ValidationError as error:
        options = _unchecked(spec, section)
        found = from_validation(error, spec.options, section, prefix=(spec.kind, spec.name))
        # What the section leaves out, an agent's file may say.
        problems = tuple(str(p) for p in found if written and p.message != MISSING)
    if spec.base_url_env and settings.env_text(spec.base_url_env):
        # As in config.layers: the environment's address wins over that of config.yaml.
        options = options.model_copy(update={"base_url": None})
    address = provider_base_url(spec, options, settings)
    secret = provider_secret(spec, options, settings)
    required = (name for name, info in spec.options.model_fields.items() if info.is_required())
    return ProviderReport(
        spec=spec,
        missing_packages=tuple(missing_packages(spec)),
        has_key=None if spec.secret_env is None else secret is not None,
        address=OWN_ADDRESS if spec.fixed_address else address and shown_address(address),
        problems=problems,
        agent_options=tuple(name for name in required if getattr(options, name, None) is None),
        account_options={o: bool(getattr(options, o, None)) for o in spec.option_env},
        backend_is_asked=settings.backend.is_usable and spec.backend_model is not None,
    )


def _section(spec: ProviderSpec, settings: Settings) -> dict[str, Any]:
    """What ``config.yaml`` says of a provider, under whichever of its names."""
    defaults = settings.provider_defaults(spec.kind)
    for name in (spec.name, *spec.aliases):
        if isinstance(defaults.get(name), dict):
            section: dict[str, Any] = defaults[name]
            return section
    return {}


def _unchecked(spec: ProviderSpec, section: dict[str, Any]) -> ProviderOptions:
    """The address and the key of a section that is not whole, such as an empty one."""
    spellings = option_spellings(spec.options)
    written = {spellings.get(key, key): value for key, value in section.items()}
    wanted: dict[str, Any] = {"base_url": written.get("base_url"), "language": None}
    if spec.options.secret_field:
        wanted[spec.options.secret_field] = written.get(spec.options.secret_field)
    return spec.options.model_construct(None, **wanted)


def shown_address(address: str) -> str:
    """An address without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(no valid address)"
    return parts._replace(netloc=host, query="", fragment="").geturl()


def formats_text(spec: ProviderSpec) -> str:
    """``pcm 8, 16 kHz``; empty for a language model."""
    rates: dict[str, list[str]] = {}
    for wire_format in spec.wire_formats:
        rates.setdefault(wire_format.encoding, []).append(f"{wire_format.rate_hz / 1000:g}")
    return "; ".join(f"{encoding} {', '.join(khz)} kHz" for encoding, khz in rates.items())


def as_text(reports: Iterable[ProviderReport]) -> str:
    """The reports for a terminal of 100 columns, a paragraph each."""
    lines: list[str] = []
    kind = None
    for report in reports:
        if report.spec.kind != kind:
            kind = report.spec.kind
            lines += ["", f"{KIND_TITLES[kind]} ({kind})"]
        lines += ["", *_paragraph(report)]
    return "\n".join(lines[1:])


def _paragraph(report: ProviderReport) -> list[str]:
    spec = report.spec
    names = ", ".join((spec.name, *spec.aliases))
    codes = "any" if spec.languages is None else " ".join(sorted(spec.languages))
    count = "" if spec.languages is None else f" ({len(spec.languages)})"
    rows = [
        ("languages", codes + count),
        ("audio", formats_text(spec)),
        ("needs", "; ".join(_needs(report))),
        ("connects to", _connects(report)),
        *(("mend", problem) for problem in report.problems),
    ]
    lines = _wrapped(f"  {names}: {spec.title}", _state(report))
    for label, text in rows:
        if text:
            lines += textwrap.wrap(
                f"    {label:<{_INDENT - 4}}{text}",
                _WIDTH,
                subsequent_indent=" " * _INDENT,
                break_on_hyphens=False,
            )
    return lines


def _wrapped(head: str, state: str) -> list[str]:
    return textwrap.wrap(f"{head} [{state}]", _WIDTH, subsequent_indent="    ")


def _state(report: ProviderReport) -> str:
    installed = "installed" if report.is_installed else "not installed"
    return f"{installed}, {'configured' if report.is_configured else 'not configured'}"


def _needs(report: ProviderReport) -> list[str]:
    spec = report.spec
    needs = []
    if spec.secret_env:
        unset = "not set" + ("; the backend is asked" if report.backend_is_asked else "")
        needs.append(f"key {spec.secret_env} ({'set' if report.has_key else unset})")
    for option, is_here in report.account_options.items():
        needs.append(f"{option} {spec.option_env[option]} ({'set' if is_here else 'not set'})")
    if spec.packages:
        packages = f"package {', '.join(spec.packages)}"
        missing = f" (missing {', '.join(report.missing_packages)}: {spec.install})"
        needs.append(packages + ("" if report.is_installed else missing))
    if report.agent_options:
        needs.append(f"in an agent's file: {', '.join(report.agent_options)}")
    return needs


def _connects(report: ProviderReport) -> str:
    spec = report.spec
    if not is_remote(spec):
        return "nothing: it works in this process"
    variable = f" ({spec.base_url_env})" if spec.base_url_env else ""
    if report.address is None and needs_address(spec):
        unknown = f"set {spec.base_url_env}" if spec.base_url_env else "give base_url"
        return f"nothing yet: {unknown}"
    return f"{report.address or OWN_ADDRESS}{variable}"


def as_json(reports: Iterable[ProviderReport]) -> str:
    """The reports as a JSON list, for programs."""
    return json.dumps([_fields(report) for report in reports], indent=2, ensure_ascii=False)


def _fields(report: ProviderReport) -> dict[str, Any]:
    spec = report.spec
    return {
        "kind": spec.kind,
        "name": spec.name,
        "aliases": list(spec.aliases),
        "title": spec.title,
        "languages": None if spec.languages is None else dict(sorted(spec.languages.items())),
        "audio_formats": [
            {"encoding": wire_format.encoding, "rate_hz": wire_format.rate_hz}
            for wire_format in spec.wire_formats
        ],
        "closed_vocabulary": spec.closed_vocabulary,
        "secret_env": spec.secret_env,
        "has_key": report.has_key,
        "backend_is_asked": report.backend_is_asked,
        "account_options": {
            option: {"env": spec.option_env[option], "set": is_here}
            for option, is_here in report.account_options.items()
        },
        "packages": list(spec.packages),
        "missing_packages": list(report.missing_packages),
        "install": spec.install,
        "agent_options": list(report.agent_options),
        "installed": report.is_installed,
        "configured": report.is_configured,
        "problems": list(report.problems),
        "remote": is_remote(spec),
        "address": None if spec.fixed_address else report.address,
        "base_url_env": spec.base_url_env,
        "fixed_address": spec.fixed_address,
    }
