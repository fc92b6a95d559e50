"""``Range`` as RFC 9110 has it, for one part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.ranges import RangeError, Span, parse_range

SIZE = 1000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-499", (0, 500)),
        ("bytes=500-", (500, 500)),
        ("bytes=-1", (999, 1)),
        ("bytes=-500", (500, 500)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=999-5000", (999, 1)),
        ("Bytes=1-2", (1, 2)),
        ("bytes = 1-2 ", (1, 2)),
        ("bytes=,1-2,", (1, 2)),
        ("bytes=0-" + "9" * 5000, (0, 1000)),
        ("bytes=-" + "9" * 5000, (0, 1000)),
        ("bytes=0000-0001", (0, 2)),
    ],
)
def test_a_part(header: str, expected: tuple[int, int]) -> None:
    assert parse_range(header, SIZE) == Span(*expected)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=0x1-2",
        "bytes=1-2-3",
        "bytes=--5",
        "bytes=١-٢",
        "bytes=1-2,x",
        "bytes=1 - 2",
        "seconds=1-2",
        "0-1",
    ],
)
def test_no_range_at_all_asks_for_the_whole(header: str | None) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize(
    "header",
    [
        "bytes=1000-",
        "bytes=1000-1001",
        "bytes=" + "9" * 5000 + "-",
        "bytes=-0",
        "bytes=0-0,2-3",
        "bytes=" + ",".join(["0-"] * 1000),
    ],
)
def test_what_cannot_be_served(header: str) -> None:
    with pytest.raises(RangeError):
        parse_range(header, SIZE)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-5"])
def test_an_empty_file_has_no_parts(header: str) -> None:
    with pytest.raises(RangeError):
        parse_range(header, 0)


def test_content_range() -> None:
    assert Span(5, 10).content_range(100) == "bytes 5-14/100"


@given(st.text(), st.integers(0, 10**12))
def test_nothing_that_is_sent_breaks_it(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        try:
            span = parse_range(text, size)
        except RangeError:
            continue
        if span is not None:
            assert 0 <= span.start < span.start + span.length <= size


@given(st.data(), st.integers(1, 10**9))
def test_every_part_inside_is_given_as_it_was_asked_for(data: st.DataObject, size: int) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size - 1))
    assert parse_range(f"bytes={first}-{last}", size) == Span(first, last - first + 1)
    assert parse_range(f"bytes=-{size - first}", size) == Span(first, size - first)
