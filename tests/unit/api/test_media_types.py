"""``Accept`` chooses among forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.media_types import preferred

FORMS = {"application/json": "json", "text/plain": "text", "text/vtt": "vtt"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("text/vtt", "vtt"),
        ("TEXT/VTT; charset=utf-8", "vtt"),
        ("text/*", "text"),
        ("text/*, text/plain;q=0", "vtt"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "json"),
        ("application/json;q=0.5, text/plain", "text"),
        ("text/plain;q=0.5, text/vtt;q=0.5", "text"),
        ("*/*;q=0.1, text/vtt;q=0.2", "vtt"),
        ("image/png", None),
        ("*/*;q=0", None),
        ("application/json;q=x, text/plain;q=0.1", "text"),
        ("application/json;q=nan, text/plain;q=0.1", "text"),
    ],
)
def test_the_best_form(accept: str | None, expected: str | None) -> None:
    assert preferred(accept, FORMS) == expected


@given(st.text())
def test_nothing_that_is_sent_breaks_it(accept: str) -> None:
    assert preferred(accept, FORMS) in (None, *FORMS.values())
