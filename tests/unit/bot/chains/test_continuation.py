"""What a second answer repeats of the first is held back."""

import pytest

from bot.chains.continuation import PrefixSkipper


def let_through(said: str, answer: str, size: int) -> str:
    skipper = PrefixSkipper(said)
    pieces = [answer[start : start + size] for start in range(0, len(answer), size)]
    return "".join(map(skipper.feed, pieces)) + skipper.flush()


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("said", "answer", "rest"),
    [
        ("", "All of it.", "All of it."),
        ("One two", "One two three four.", "three four."),
        ("One two thr", "One two three four.", "four."),
        ("One two.", "one, TWO! Three.", "Three."),
        ("One two three.", "One two three.", ""),
        ("One two three four.", "One two.", ""),
        ("One two three four.", "Quite another answer.", "Quite another answer."),
        ("One two three four five.", "One two three four seven.", "seven."),
        ("One two three four five.", "One then another answer.", "One then another answer."),
        ("मंडी में कपास का", "मंडी में कपास का भाव सात हज़ार है।", "भाव सात हज़ार है।"),
        ("பருத்தி விலை", "பருத்தி விலை ஏழாயிரம்.", "ஏழாயிரம்."),
    ],
)
def test_only_what_is_new_is_let_through(said: str, answer: str, rest: str, size: int) -> None:
    assert let_through(said, answer, size).strip() == rest
