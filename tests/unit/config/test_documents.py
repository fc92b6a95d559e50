import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.documents import MAX_FILE_BYTES, Document, parse_document, read_document
from config.problems import ConfigFileError


def yaml_document(text: str) -> Document:
    return parse_document(text, Path("a.yaml"))


def json_document(text: str) -> Document:
    return parse_document(text, Path("a.json"))


def test_yaml_keeps_words_times_and_numbers_as_they_are_written() -> None:
    data = yaml_document(
        "phrases: [yes, no, on, off]\nopen: 10:30\nday: 2026-01-01\nnumber: +919812345678\n"
        "code: 0123\nkeys: {1: one, '*': star, yes: word}\n"
    ).data
    assert data == {
        "phrases": ["yes", "no", "on", "off"],
        "open": "10:30",
        "day": "2026-01-01",
        "number": "+919812345678",
        "code": "0123",
        "keys": {"1": "one", "*": "star", "yes": "word"},
    }


def test_yaml_reads_plain_values_and_leaves_quoted_ones_alone() -> None:
    data = yaml_document("a: 1\nb: 1.5\nc: true\nd: null\ne: '1'\nf: \"true\"\ng: -3\n").data
    assert data == {"a": 1, "b": 1.5, "c": True, "d": None, "e": "1", "f": "true", "g": -3}


@pytest.mark.parametrize("indent", [2, "\t", None])
def test_json_lines_are_found_however_it_is_indented(indent: int | str | None) -> None:
    text = json.dumps({"a": {"b": [1, {"c": "x\tyé😀"}]}}, indent=indent)
    document = json_document(text)
    assert document.data == {"a": {"b": [1, {"c": "x\tyé😀"}]}}
    expected = 1 if indent is None else 6
    assert document.line(("a", "b", 1, "c")) == expected


def test_the_line_of_something_absent_is_that_of_what_is_around_it() -> None:
    document = yaml_document("a:\n  b:\n    c: 1\n")
    assert document.line(("a", "b", "missing", "deeper")) == 2
    assert document.line(("nowhere",)) is None


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("a.json", '{\n "a": 1\n "b": 2}', 3, "not valid JSON"),
        ("a.json", '{"a": 1,\n "a": 2}', 2, "stands twice, first on line 1"),
        ("a.yaml", "a: 1\nb: 2\na: 3\n", 3, "stands twice, first on line 1"),
        ("a.yaml", "a: [1\nb: 2\n", 2, "not valid YAML"),
        ("a.yaml", "- a\n", None, "keys and values"),
        ("a.yaml", "", None, "keys and values"),
        ("a.json", "[]", None, "keys and values"),
        ("a.yaml", "? [a, b]\n: c\n", 1, "plain word"),
        ("a.yaml", "a: \x00\n", None, "not valid YAML"),
        ("a.yaml", "a: *nothing\n", 1, "undefined alias"),
    ],
)
def test_malformed_text_is_refused_with_its_line(
    name: str, text: str, line: int | None, reason: str
) -> None:
    with pytest.raises(ConfigFileError, match=reason) as caught:
        parse_document(text, Path(name))
    assert caught.value.problems[0].line == line


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 5000,
        "a: " + "{b: " * 40 + "c" + "}" * 40,
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{n}: &{n} [{', '.join([f'*{p}'] * 10)}]\n"
            for p, n in zip("abcdef", "bcdefg", strict=True)
        ),
    ],
    ids=["brackets", "deep", "multiplying aliases"],
)
def test_a_file_that_would_explode_is_refused(text: str) -> None:
    with pytest.raises(ConfigFileError, match="nested too deeply|not valid"):
        yaml_document(text)


def test_a_deep_json_file_is_refused() -> None:
    with pytest.raises(ConfigFileError):
        json_document('{"a":' + "[" * 100_000)


def test_a_large_file_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a: " + b"x" * MAX_FILE_BYTES)
    with pytest.raises(ConfigFileError, match="larger than 1024 KiB"):
        read_document(file)


def test_what_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigFileError, match=r"a\.yaml:2: is not UTF-8"):
        read_document(file)


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_document(file).data == {"a": 1}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match="cannot be read"):
        read_document(tmp_path / "none.yaml")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_any_json_object_is_read_as_json_reads_it(data: dict[str, object]) -> None:
    text = json.dumps(data)
    assert json_document(text).data == json.loads(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_but_never_fails(text: str) -> None:
    for read in (yaml_document, json_document):
        try:
            assert isinstance(read(text).data, dict)
        except ConfigFileError as error:
            assert error.problems
