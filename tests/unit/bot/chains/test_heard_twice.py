"""Words that a replay brings a second time."""

import pytest

from bot.chains.heard_twice import HeardTwice


@pytest.mark.parametrize(
    "before, replayed, new",
    [
        # All of it again, or its end only.
        ("i would like", ["i would like two tickets"], ["two tickets"]),
        ("i would like", ["would like two tickets"], ["two tickets"]),
        ("I would like,", ["i would like two tickets."], ["two tickets."]),
        ("मुझे दो", ["मुझे दो टिकट चाहिए।"], ["टिकट चाहिए।"]),
        # In pieces.
        ("a b c", ["a b", "c d", "c"], ["", "d", "c"]),
        ("a b c", ["a", "b", "c", "d"], ["", "", "", "d"]),
        # Nothing in common, or not at its end.
        ("i would like", ["two tickets"], ["two tickets"]),
        ("i would like", ["i want two tickets"], ["i want two tickets"]),
        ("", ["two tickets"], ["two tickets"]),
        # What is new may well be the same word.
        ("no", ["no no"], ["no"]),
        ("no", ["yes", "no"], ["yes", "no"]),
    ],
)
def test_only_what_is_new_is_left(before: str, replayed: list[str], new: list[str]) -> None:
    twice = HeardTwice(before)
    assert [twice.rest(text) for text in replayed] == new
