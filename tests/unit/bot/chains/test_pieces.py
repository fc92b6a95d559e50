"""How much of a sentence was spoken, and what is left of it."""

import pytest

from bot.chains.pieces import LETTERS_PER_SECOND, Pace, Piece

TEXT = "aaaa bbbb cccc dddd"


@pytest.mark.parametrize(
    ("letters_heard", "spoken", "rest"),
    [
        (0, "", TEXT),
        (1, "aaaa", "bbbb cccc dddd"),
        (4, "aaaa", "bbbb cccc dddd"),
        (9, "aaaa bbbb cccc", "dddd"),
        (16, TEXT, ""),
        (40, TEXT, ""),
    ],
)
def test_a_word_begun_counts_as_spoken(letters_heard: int, spoken: str, rest: str) -> None:
    piece = Piece(TEXT, "g", audio_ms=letters_heard / LETTERS_PER_SECOND * 1000)
    assert piece.split(Pace()) == (spoken, rest)


def test_word_times_win_over_the_length_of_the_audio() -> None:
    piece = Piece(TEXT, "g", audio_ms=10_000, spoken_words=["aaaa", "bbbb"])
    assert piece.split(Pace()) == ("aaaa bbbb", "cccc dddd")


def test_the_pace_is_learnt_from_whole_sentences() -> None:
    pace = Pace()
    for _ in range(10):
        pace.learn("x" * 20, 2.0)
    assert pace.letters_per_second == pytest.approx(10, abs=0.1)
    pace.learn("x" * 20, 0.1)
    assert pace.letters_per_second == pytest.approx(10, abs=0.1)
