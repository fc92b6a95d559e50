"""Imports point one way, as docs/architecture.md draws them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Each package and the packages of ours that it may import besides itself.
ALLOWED: dict[str, set[str]] = {
    "config": set(),
    "serializer": {"config"},
    "services": {"config"},
    "storage": {"config"},
    "bot": {"services", "serializer", "config"},
    "sessions": {"bot", "storage", "services", "serializer", "config"},
    "api": {"sessions", "bot", "storage", "services", "serializer", "config"},
    "simulators": set(),
    "commands": {
        "api",
        "sessions",
        "bot",
        "storage",
        "services",
        "serializer",
        "config",
        "simulators",
    },
}
PACKAGES = {*ALLOWED, "bench", "tests"}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, node.module or ""


def sources(package: str) -> list[Path]:
    """Python files of one package."""
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources(package)
        for line, name in imports(path)
        if (top := name.partition(".")[0]) in PACKAGES and top not in {package, *ALLOWED[package]}
    ]
    assert wrong == []


def test_pipecat_stays_where_calls_are_wired() -> None:
    allowed = {"bot", "services", "serializer/frames.py", "bench", "tests"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for package in (*ALLOWED, "main.py")
        for path in (sources(package) or [ROOT / package])
        for line, name in imports(path)
        if name.partition(".")[0] == "pipecat" and not _in(path, allowed)
    ]
    assert wrong == []


def test_pipecat_is_not_needed_to_read_an_agent_file() -> None:
    """Registrations are cheap: what a vendor's package says of itself imports no Pipecat."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in (
            *(ROOT / "services").glob("*/__init__.py"),
            ROOT / "services/registry.py",
            ROOT / "services/factory.py",
            ROOT / "services/context.py",
        )
        for line, name in imports(path)
        if name.partition(".")[0] == "pipecat"
    ]
    assert wrong == []


def test_only_settings_reads_the_environment() -> None:
    # What a library reads when it is loaded is set before any setting is read.
    allowed = {ROOT / "config/settings.py", ROOT / "config/privacy.py"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ALLOWED
        if package != "simulators"
        for path in sources(package)
        if path not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert wrong == []


def test_no_room_for_leftovers() -> None:
    names = {path.stem for package in ALLOWED for path in sources(package)}
    assert names.isdisjoint({"utils", "helpers", "util", "misc", "common"})


def _in(path: Path, places: set[str]) -> bool:
    relative = path.relative_to(ROOT)
    return relative.parts[0] in places or str(relative) in places
