"""Makes docs/providers.md from the registry: who is there, what each needs, who has a language."""

import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from config.documents import read_document
from config.folder import is_agent_file
from config.languages import LANGUAGES
from config.provider_report import (
    KIND_TITLES,
    OWN_ADDRESS,
    formats_text,
    is_remote,
    needs_address,
)
from config.providers import PROVIDER_KINDS, ProviderCatalog, ProviderKind, ProviderSpec

PROVIDER_PAGE_FILE = Path("docs/providers.md")

_PROJECT = Path(__file__).parents[1]
#: Where examples are, those preferred first, and the way there from the page.
_EXAMPLE_FOLDERS = {"agent_configs": "../agent_configs", "docs/examples": "examples"}
_INTRODUCTION = """\
# Providers

Every vendor of speech and models that this server knows, made from its registry by `make schema`.
`python main.py providers` prints the same for one machine: what is installed there, whose key is
set, and where each connects; `--kind stt`, `--language ta` and `--json` narrow it down and hand it
to programs. The options of each are in [configuration.md](configuration.md#providers), the way to
add another in [add-a-provider.md](add-a-provider.md).

- **`provider`** is what an agent's file says, with the other names that are understood.
- **Audio** is what it takes or gives without resampling; a telephone line has 8 kHz.
- **Key** and **address** are the environment's variables; the address is there to be changed, for a
  private deployment or a simulator. Options that have no default stand beside them.
- **Install** is there where `make run` does not install what it needs.
- **Proven** tells how the tests do without the vendor: with a *simulator* that speaks its protocol
  on loopback; with the vendor's own *client with its transport replaced*, where that client cannot
  be pointed elsewhere, so that nothing was seen on a wire; or *in process*, where there is no
  server. The tests use no vendor's account.

An agent whose provider, or one of its fallbacks, lacks the agent's language, a key or a package is
refused when its file is read: [configuration.md](configuration.md#when-an-agent-is-refused).

- [Speech to text](#speech-to-text)
- [Language models](#language-models)
- [Text to speech](#text-to-speech)
- [Languages](#languages)
"""
_HEADS = ["", "`provider`", "languages", "audio", "key", "address", "install", "proven", "example"]
_LANGUAGES = """\
## Languages

The 22 scheduled languages of India, Indian English and Bhili. A cell holds the vendor's own code;
where it is empty, the vendor lacks the language. An agent's file says ours, or a name such as
`Tamil`.
"""


def provider_page(catalog: ProviderCatalog) -> str:
    """The whole page. Links lead to the example agents that there are now."""
    examples = dict(_examples())
    shipped = _base_install()
    parts = [_INTRODUCTION]
    for kind in PROVIDER_KINDS:
        rows = [_provider(spec, catalog, examples, shipped) for spec in catalog.of_kind(kind)]
        parts.append(f"## {KIND_TITLES[kind]}\n\n{_table(*_filled(_HEADS, rows))}")
    parts.append(_LANGUAGES)
    parts += [_matrix(kind, catalog.of_kind(kind)) for kind in PROVIDER_KINDS]
    return "\n".join(parts)


def proof(spec: ProviderSpec) -> str:
    """How the tests do without the vendor."""
    if spec.fixed_address:
        return "client with its transport replaced"
    return "simulator" if is_remote(spec) else "in process"


def _provider(
    spec: ProviderSpec,
    catalog: ProviderCatalog,
    examples: dict[str, dict[str, Any]],
    shipped: Collection[str],
) -> list[str]:
    required = [name for name, info in spec.options.model_fields.items() if info.is_required()]
    key = [f"`{spec.secret_env}`"] if spec.secret_env else ["none"]
    account = (f"`{variable}`" for variable in spec.option_env.values())
    return [
        spec.title,
        ", ".join(f"`{name}`" for name in (spec.name, *spec.aliases)),
        "any" if spec.languages is None else str(len(spec.languages)),
        formats_text(spec),
        "; ".join([*key, *account, *(f"option `{name}`" for name in required)]),
        _address(spec),
        f"`{spec.install}`" if spec.install and _asked(spec.install) - set(shipped) else "",
        proof(spec),
        _example(spec, catalog, examples),
    ]


def _address(spec: ProviderSpec) -> str:
    if spec.fixed_address:
        return OWN_ADDRESS
    if not is_remote(spec):
        return ""
    variable = f"`{spec.base_url_env}`" if spec.base_url_env else "option `base_url`"
    known = spec.default_base_url or ("" if needs_address(spec) else OWN_ADDRESS)
    return f"{variable}: {known}" if known else f"{variable} (must be given)"


def _asked(install: str) -> set[str]:
    """The packages that a command such as ``pip install "a[b]==1.0" c`` installs."""
    words = re.findall(r"[^\s\"']+", install.partition("install ")[2])
    return {_plain(word) for word in words if not word.startswith("-")}


def _plain(requirement: str) -> str:
    """A requirement without version and marker, as pip compares names."""
    name = re.split(r"[;=<>!~ ]", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).casefold()


def _base_install() -> set[str]:
    """The packages that ``make run`` asks for."""
    project = tomllib.loads((_PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {_plain(requirement) for requirement in project["dependencies"]}


def _examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every example agent: the way to it from the page, and what it says."""
    for folder, way in _EXAMPLE_FOLDERS.items():
        for file in sorted((_PROJECT / folder).iterdir()):
            if is_agent_file(file.name):
                yield f"{way}/{file.name}", read_document(file).data


def _example(
    spec: ProviderSpec, catalog: ProviderCatalog, examples: dict[str, dict[str, Any]]
) -> str:
    """A link to an agent that uses the provider, best one named after it."""
    using = [way for way, agent in examples.items() if _uses(agent, spec, catalog)]
    using.sort(key=lambda way: not Path(way).name.startswith(spec.name))
    return f"[{Path(using[0]).name}]({using[0]})" if using else ""


def _uses(agent: dict[str, Any], spec: ProviderSpec, catalog: ProviderCatalog) -> bool:
    section = agent.get(spec.kind)
    if not isinstance(section, dict):
        return False
    names = (section.get("provider"), *section.get("fallback", ()))
    return any(catalog.find(spec.kind, str(name)) is spec for name in names)


def _matrix(kind: ProviderKind, specs: list[ProviderSpec]) -> str:
    """Who has which language, with the vendor's code for it."""
    limited = [spec for spec in specs if spec.languages is not None]
    heads = ["", "ours", *(f"`{spec.name}`" for spec in limited)]
    rows = [
        [
            " ".join(dict.fromkeys((language.name, language.native_name))),
            f"`{code}`",
            *((spec.languages or {}).get(code, "") for spec in limited),
        ]
        for code, language in LANGUAGES.items()
    ]
    note = ""
    if len(limited) < len(specs):
        names = ", ".join(f"`{spec.name}`" for spec in specs if spec.languages is None)
        note = f"No language is refused for {names}: what it can do depends on the model.\n\n"
    table = _table(heads, rows) if limited else ""
    return f"### {KIND_TITLES[kind]}: languages\n\n{note}{table}"


def _filled(heads: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The table without columns that say nothing, such as the audio of language models."""
    kept = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    return [heads[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, *rows]
    head, *body = ("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines)
    return "\n".join([head, "|" + "---|" * len(heads), *body]) + "\n"
