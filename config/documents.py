"""Reads a YAML or JSON file into plain data, and remembers on which line each key stands.

YAML is read by the rules of its version 1.2: only ``true`` and ``false`` are booleans, so that
``yes`` and ``no`` stay words, and ``10:30``, ``2026-01-01`` and ``+919812345678`` stay text.
Keys are always text. A key that stands twice is an error.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from config.problems import ConfigFileError, KeyPath, Problem

#: Largest file that is read, in bytes.
MAX_FILE_BYTES = 1024 * 1024
_MAX_DEPTH = 32
_MAX_NODES = 100_000

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says.

    Attributes:
        file: Where it was read, for messages.
        data: Its content; the top level is always a mapping.
        lines: The line, from one, of each key or list item, by its path.
    """

    file: Path
    data: dict[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int | None:
        """The line of ``path``, or of the nearest thing around it that has one."""
        for length in range(len(path), 0, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return None


def read_document(file: Path) -> Document:
    """Read ``file``, JSON by its ending and YAML otherwise.

    Raises:
        ConfigFileError: It cannot be read, is too large, is not UTF-8 or not well formed.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refusal(file, f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise _refusal(file, f"is larger than {MAX_FILE_BYTES // 1024} KiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refusal(file, "is not UTF-8 text", line) from error
    return parse_document(text, file)


def parse_document(text: str, file: Path) -> Document:
    """Read ``text`` as the content of ``file``.

    Raises:
        ConfigFileError: It is not well formed, or not a mapping.
    """
    is_json = file.suffix.lower() == ".json"
    try:
        # JSON is read by its own parser; YAML, its superset, then tells the lines. A raw tab
        # can only be white space in JSON, but YAML does not take it there.
        data = json.loads(text) if is_json else None
        node = yaml.compose(text.replace("\t", " ") if is_json else text, yaml.SafeLoader)
        document = _document(node, file)
        return Document(file, data, document.lines) if data is not None else document
    except json.JSONDecodeError as error:
        raise _refusal(file, f"is not valid JSON: {error.msg}", error.lineno) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        raise _refusal(
            file, f"is not valid YAML: {error.problem or error.context}", line
        ) from error
    except yaml.YAMLError as error:
        raise _refusal(file, f"is not valid YAML: {error}") from error
    except RecursionError as error:
        raise _refusal(file, "is nested too deeply") from error


def _document(node: yaml.Node | None, file: Path) -> Document:
    if not isinstance(node, yaml.MappingNode):
        raise _refusal(file, "must hold keys and values at its top level")
    reader = _Reader(file)
    data = reader.mapping(node, ())
    if reader.problems:
        raise ConfigFileError(file, reader.problems)
    return Document(file, data, reader.lines)


class _Reader:
    """Turns YAML nodes into plain data; one per document."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        # Aliases are followed as copies; these two bounds stop a file that multiplies itself.
        if self._nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise _refusal(self.file, "is nested too deeply or has too many values", _line(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(child, (*path, i)) for i, child in enumerate(node.value)]
        return _scalar(node)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise _refusal(self.file, "a key must be a plain word", _line(key_node))
            here = (*path, key)
            if key in result:
                message = f"stands twice, first on line {self.lines[here]}"
                self.problems.append(Problem(path=here, message=message, line=_line(key_node)))
                continue
            self.lines[here] = _line(key_node)
            result[key] = self.value(value_node, here)
        return result

    def _item(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines[path] = _line(node)
        return self.value(node, path)


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= 18 else text
    return float(text) if _NUMBER.fullmatch(text) else text


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _refusal(file: Path, message: str, line: int | None = None) -> ConfigFileError:
    return ConfigFileError(file, [Problem(path=(), message=message, line=line)])
