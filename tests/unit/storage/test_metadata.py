"""How metadata travels in headers: nothing on the way has a reason to change it."""

import re

import pytest

from storage.metadata import from_header, to_header


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("plain words, as they are", "plain words, as they are"),
        ("two  spaces", "UTF-8''two%20%20spaces"),
        ("three   spaces", "UTF-8''three%20%20 spaces"),
        ("क", "UTF-8''%E0%A4%95"),
        ("क  ख", "UTF-8''%E0%A4%95%20%20%E0%A4%96"),
        ("UTF-8''%41", "UTF-8''UTF-8%27%27%2541"),
    ],
)
def test_a_header_holds_ascii_and_no_two_spaces_together(value: str, header: str) -> None:
    assert to_header(value) == header
    assert re.fullmatch(r"[!-~]+( [!-~]+)*", header)
    assert from_header(header) == value
