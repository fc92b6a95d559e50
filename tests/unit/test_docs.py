"""The documentation speaks of what exists: commands, files, links, variables, layers, causes."""

import argparse
import hashlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from prometheus_client import Counter, Gauge, Histogram

import main
from bot.events import END_CAUSES
from config import privacy
from sessions import metrics
from sessions.session import State
from tests.unit.test_layers import ALLOWED

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
#: Made while the server runs, or by an operator; no part of the project.
OF_AN_OPERATOR = re.compile(
    r"config/config\.yaml|agent_configs/(my_agent|clinic|sathi|acme_demo)\."
)
#: A vendor that exists only on docs/add-a-provider.md.
INVENTED = re.compile(r"acme", re.IGNORECASE)
FOLDERS = [
    "agent_configs",
    "api",
    "bench",
    "bot",
    "commands",
    "config",
    "docs",
    "examples",
    "scripts",
    "serializer",
    "services",
    "sessions",
    "simulators",
    "storage",
    "tests",
    "web",
    ".ci",
]
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code(page: Path) -> Iterator[str]:
    """Everything a page shows as code, a line or a span at a time."""
    whole = text(page)
    for block in _FENCE.findall(whole):
        yield from block.splitlines()[1:-1]
    rest = _FENCE.sub("", whole)
    yield from (line.strip() for line in rest.splitlines() if line.startswith("    "))
    yield from _INLINE.findall(rest)


def test_the_pages_are_there() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert names >= {
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/add-a-provider.md",
        "docs/architecture.md",
        "docs/client-protocol.md",
        "docs/configuration.md",
        "docs/dependencies.md",
        "docs/operations.md",
        "docs/script.md",
        "docs/vobiz.md",
    }


@every_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {m for line in code(page) for m in re.findall(r"\bmake ([a-z]+)", line)}
    assert named <= targets


def parser_of(command: str) -> argparse.ArgumentParser:
    actions: Any = main._parser()._subparsers
    parser: argparse.ArgumentParser = actions._group_actions[0].choices[command]
    return parser


@every_page
def test_commands_can_be_given(page: Path) -> None:
    for line in code(page):
        for found in re.findall(r"python main\.py ([a-z][^#|\n]*)", line):
            command, *words = shlex.split(found)
            options = {word.split("=")[0] for word in words if word.startswith("-")}
            assert options <= set(parser_of(command)._option_string_actions), line
        for found in re.findall(r'CALL="([^"]*)"', line):
            options = {word for word in shlex.split(found) if word.startswith("-")}
            assert options <= set(parser_of("call")._option_string_actions), line


@every_page
def test_modules_that_are_run_exist(page: Path) -> None:
    for line in code(page):
        for name in re.findall(r"python -m ((?:bench|simulators|services)[\w.]*)", line):
            path = ROOT / name.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name


@every_page
def test_files_exist(page: Path) -> None:
    folders = "|".join(map(re.escape, FOLDERS))
    paths = re.compile(rf"(?<![\w./:-])((?:{folders})/[\w./-]*[\w-]/?)(?![\w*{{])")
    # A block of code shows what is to be written, not what is there.
    rest = _FENCE.sub("", text(page))
    named = {path for span in _INLINE.findall(rest) for path in paths.findall(span)}
    real = {name for name in named if not (OF_AN_OPERATOR.search(name) or INVENTED.search(name))}
    assert {name for name in real if not (ROOT / name).exists()} == set()


@every_page
def test_names_of_single_files_exist(page: Path) -> None:
    rest = _FENCE.sub("", text(page))
    single = re.compile(r"(Makefile|Dockerfile|env\.example|requirements[\w-]*\.txt|[\w-]+\.toml)")
    named = {span for span in _INLINE.findall(rest) if single.fullmatch(span)}
    assert {name for name in named if not (ROOT / name).exists()} == set()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text(page)), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", text(page))):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


@every_page
def test_environment_variables_are_those_of_the_server(page: Path) -> None:
    known = set(re.findall(r"^#(\w+)=", (ROOT / "env.example").read_text(), re.MULTILINE))
    words = {m for line in code(page) for m in re.findall(r"\b[A-Z]+(?:_[A-Z0-9]+)+\b", line)}
    others = {word for word in words if word in constants() or INVENTED.search(word)}
    # Shown as examples of an operator's own names.
    known |= {"CHAT_MODEL", "SEND_MS", "WEBHOOK_SECRET"}
    assert words - others - known <= {privacy.VARIABLE}


@cache
def constants() -> frozenset[str]:
    """Names in capitals that the code defines."""
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    found = (re.findall(r"^_?([A-Z][A-Z_0-9]+)\b", path.read_text(), re.M) for path in sources)
    return frozenset(name for names in found for name in names)


@every_page
def test_no_page_knows_a_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users|mnt|opt)/", text(page)) == []


def test_the_layers_are_drawn_as_they_are() -> None:
    section = text(ROOT / "docs/architecture.md").split("| package | imports |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert {name: set(_INLINE.findall(cell)) for name, cell in rows} == ALLOWED


def test_states_and_causes_are_explained() -> None:
    page = text(ROOT / "docs/architecture.md")
    causes = page.split("| cause | |")[1].split("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", causes, re.MULTILINE)) == END_CAUSES
    assert " → ".join(f"`{state}`" for state in get_args(State)) in page


def test_the_layout_names_every_folder() -> None:
    page = text(ROOT / "docs/architecture.md")
    named = set(re.findall(r"^    (\w+)/ +\w", page, re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert named >= packages | {"agent_configs", "web", "docs"}
    assert all((ROOT / name).is_dir() for name in named)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("*.svg")), ids=lambda p: p.name)
def test_a_picture_stands_alone(picture: Path) -> None:
    """It has words for who cannot see it, and loads nothing from elsewhere."""
    tree = ElementTree.parse(picture).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert all((tree.findtext(space + name) or "").strip() for name in ("title", "desc"))
    values = [value for element in tree.iter() for value in element.attrib.values()]
    assert [value for value in values if re.match(r"(https?:|//|data:)", value)] == []


def test_the_licence_is_the_plain_text() -> None:
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"


def test_every_dependency_is_accounted_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[;=<>\[ ]", name)[0] for name in project["dependencies"]}
    page = text(ROOT / "docs/dependencies.md")
    table = page.split("## What the server asks for")[1].split("##")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == asked
    development = page.split("## For development")[1].split("##")[0]
    extras = page.split("## Extras")[1].split("##")[0]
    offered = set(project["optional-dependencies"]) - {"dev"}
    assert set(re.findall(r"^\| `([\w-]+)` \|", extras, re.MULTILINE)) == offered
    for name in project["optional-dependencies"]["dev"][1:]:
        plain = re.split(r"[=<>\[]", name)[0]
        assert plain.startswith("types-") or f"`{plain}`" in development, plain


def test_every_metric_is_explained() -> None:
    page = text(ROOT / "docs/operations.md")
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            described = next(iter(metric.describe()))
            name = described.name + ("_total" if described.type == "counter" else "")
            assert f"| `{name}` |" in page, name


def test_every_door_is_in_the_table_of_doors() -> None:
    """What an operator must keep closed is said of every door there is."""
    table = text(ROOT / "docs/operations.md").split("| door |")[1].split("\n\n")[0]
    cells = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    told = {span for cell in cells for span in _INLINE.findall(cell)}
    modules = [import_module(f"api.{path.stem}") for path in (ROOT / "api").glob("*.py")]
    routers = [module.router for module in modules if hasattr(module, "router")]
    paths = {route.path for router in routers for route in router.routes}
    assert "/voice/{agent_id}" in paths
    unlisted = {"/api/v1/health", "/dev/token"}
    assert paths - unlisted - told == set()
