"""Every queue is in the table of ``docs/architecture.md``, with the bound that it has."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge

from sessions import metrics

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Queues and their bounds")[1].split("\n## ")[0]
#: A bound in words and the constant that it is.
REFERENCE = re.compile(r"`([a-z_/]+)\.py:([A-Z_]+)`")
PRODUCTION = ("api", "bot", "commands", "serializer", "services", "sessions", "storage", "main.py")
QUEUES = {"deque": "maxlen", "Queue": "maxsize", "PriorityQueue": "maxsize", "LifoQueue": "maxsize"}


def rows() -> list[str]:
    return [line for line in SECTION.splitlines() if line.startswith("| ")][1:]


def references() -> list[tuple[str, str, str]]:
    """The cell that a constant is named in, its module and its name."""
    found = []
    for row in rows():
        for cell in row.strip("| ").split(" | "):
            found += [(cell, path, name) for path, name in REFERENCE.findall(cell)]
    return found


def sources() -> Iterator[Path]:
    for name in PRODUCTION:
        path = ROOT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def without_bound(source: str) -> list[int]:
    """Lines that make a queue without a bound."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        argument = QUEUES.get(name)
        if argument is None or any(keyword.arg == argument for keyword in node.keywords):
            continue
        place = 1 if name == "deque" else 0
        if len(node.args) <= place:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(("cell", "path", "name"), references())
def test_a_bound_is_what_the_table_says(cell: str, path: str, name: str) -> None:
    value = getattr(importlib.import_module(path.replace("/", ".")), name)
    before = cell.split(f"`{path}.py:{name}`")[0]
    written = "two" if value == 2 else f"{value:,.0f}"
    assert re.search(rf"(^|[^\d,]){re.escape(written)}([^\d,]|$)", before), (cell, value)


def test_the_table_names_many_bounds() -> None:
    assert len(references()) > 30


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`([a-z_]+)(?:\{[^}]*\})?` \|$", SECTION, re.M)))
)
def test_what_counts_is_a_metric(name: str) -> None:
    known = {
        next(iter(metric.describe())).name + ("_total" if isinstance(metric, Counter) else "")
        for metric in vars(metrics).values()
        if isinstance(metric, (Counter, Gauge))
    }
    assert name in known


def test_queues_that_are_counted_by_name_are_documented() -> None:
    """Whoever drops something names the queue; operators find each name in the table."""
    named = set()
    for path in sources():
        named |= set(re.findall(r"\bdropped\(\s*\"([a-z_]+)\"", path.read_text(encoding="utf-8")))
    assert named == set(re.findall(r'queue_dropped_total\{queue="([a-z_]+)"\}', SECTION))


def test_a_queue_without_a_bound_of_its_own_has_another_that_is_told() -> None:
    for path in sources():
        lines = without_bound(path.read_text(encoding="utf-8"))
        where = str(path.relative_to(ROOT))
        assert not lines or where in SECTION, (
            f"{where}:{lines[0]} makes a queue without a bound: give it one, or say in "
            "docs/architecture.md, Queues and their bounds, what bounds it"
        )


def test_the_search_finds_queues_without_a_bound() -> None:
    assert without_bound("q = deque()\nr = asyncio.Queue()\ns = deque([1])") == [1, 2, 3]
    assert without_bound("q = deque(maxlen=3)\nr = asyncio.Queue(5)\ns = deque([1], 3)") == []
