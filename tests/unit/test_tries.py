"""What a test of real calls forgives a busy machine, and what it does not."""

import pytest

from tests.tries import Tries

CALLS = {"r": (False, False), "l": (False, True), "d": (True, True), "w": (True, False)}


def after(calls: str) -> str:
    """What is known after calls that were right, right though late, disturbed, or wrong."""
    tries = Tries()
    for call in calls:
        wrong, disturbed = CALLS[call]
        tries.add(wrong=wrong, disturbed=disturbed)
    assert not (tries.is_good and tries.is_unsure)
    return "good" if tries.is_good else "unsure" if tries.is_unsure else "bad"


@pytest.mark.parametrize(
    ("calls", "known"),
    [
        ("", "unsure"),
        ("r", "good"),
        ("l", "good"),
        ("d", "unsure"),
        ("ddddd", "unsure"),
        ("dr", "good"),
        ("w", "unsure"),
        ("wrr", "unsure"),
        ("wdrr", "unsure"),
        ("wrrr", "good"),
        ("rrw", "unsure"),
        ("ww", "bad"),
        ("wrrrw", "bad"),
        ("wrwrrr", "bad"),
    ],
)
def test_one_call_that_nothing_disturbed_and_that_went_wrong_is_a_doubt(
    calls: str, known: str
) -> None:
    """It is dispelled by three that are right, and a second is none any more."""
    assert after(calls) == known
