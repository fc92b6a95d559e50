"""Cursors lead to where they were made, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api.cursors import CursorError, Cursors
from storage.index.entry import CallFilter, Place

CURSORS = Cursors(SecretStr("s" * 32))
PLACE = Place(1_793_514_600_250, "5f0c7a52-8f5d-4c7e-9d7b-0d4cf1f0a111")
EVERY = CallFilter()
filters = st.builds(
    CallFilter,
    agent_id=st.none() | st.text(max_size=20),
    number=st.none() | st.text(max_size=20),
    started_from_ms=st.none() | st.integers(-(2**53), 2**53),
    started_before_ms=st.none() | st.integers(-(2**53), 2**53),
    status=st.sampled_from([None, "live", "stored"]),
    end_cause=st.sampled_from([None, "silence"]),
)


@given(st.integers(-(2**63), 2**63 - 1), st.uuids(), filters)
def test_there_and_back(started_at_ms: int, session_id: object, wanted: CallFilter) -> None:
    place = Place(started_at_ms, str(session_id))
    cursor = CURSORS.make(place, wanted)
    assert cursor.isascii() and len(cursor) < 200
    assert CURSORS.read(cursor, wanted) == place


@given(filters, filters)
def test_a_cursor_is_of_one_filter(one: CallFilter, other: CallFilter) -> None:
    cursor = CURSORS.make(PLACE, one)
    if one == other:
        assert CURSORS.read(cursor, other) == PLACE
    else:
        with pytest.raises(CursorError):
            CURSORS.read(cursor, other)


@given(st.text(max_size=600) | st.text("abcdefXYZ0129-_=", max_size=600))
def test_nothing_else_is_a_cursor(text: str) -> None:
    with pytest.raises(CursorError):
        CURSORS.read(text, EVERY)


@given(st.data())
def test_a_changed_cursor_is_none(data: st.DataObject) -> None:
    cursor = CURSORS.make(PLACE, EVERY)
    at = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from("ABCDwxyz0189-_"))
    changed = cursor[:at] + letter + cursor[at + 1 :]
    try:
        assert CURSORS.read(changed, EVERY) == PLACE  # The last letter has bits that do not count.
    except CursorError:
        assert changed != cursor


def test_another_servers_cursor_is_none() -> None:
    with pytest.raises(CursorError):
        Cursors(SecretStr("t" * 32)).read(CURSORS.make(PLACE, EVERY), EVERY)
