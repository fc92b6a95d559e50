"""Where a streamed answer is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text.sentences import SentenceCutter


def cut(text: str, *, size: int = 3, first_clause_chars: int = 0) -> list[str]:
    """All pieces of ``text``, streamed ``size`` characters at a time."""
    cutter = SentenceCutter(first_clause_chars=first_clause_chars)
    pieces: list[str] = []
    for start in range(0, len(text), size):
        pieces += cutter.feed(text[start : start + size])
    rest = cutter.flush()
    return pieces + ([rest] if rest else [])


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "pieces",
    [
        ["Hello there.", "How are you?", "Fine!"],
        ["नमस्ते।", "आप कैसे हैं?", "मैं ठीक हूँ।"],
        ["डॉ. शर्मा ने रु. 500 लिए।", "ठीक है।"],
        ["آپ کیسے ہیں؟", "میں ٹھیک ہوں۔"],
        ["ڈاکٹر صاحب آئے ہیں۔", "بیٹھیں۔"],
        ["It costs Rs. 3.50 a kilo.", "Good."],
        ["Dr. A. P. Rao is in.", "Come at 5 p.m. please."],
        ["Hmm...", "let me see.", "Yes."],
        ["Hmm…", "yes."],
        ["He said “come in.”", "She came."],
        ["1. First one", "2. Second one"],
        ["That was in 1990.", "Then it closed."],
        ["See https://example.in/a?b=1 for more.", "Bye."],
        ["டாக்டர். குமார் வந்தார்.", "சரி."],
        ["Great 🎉!", "More 👍🏽."],
    ],
)
def test_pieces(pieces: list[str], size: int) -> None:
    separator = "\n" if pieces[0].startswith("1.") else " "
    assert cut(separator.join(pieces), size=size) == pieces


@pytest.mark.parametrize("pieces", [["(Really?)", "Yes."], ["**Bold.**", "Next."]])
def test_closing_marks_that_are_there_go_with_their_sentence(pieces: list[str]) -> None:
    assert cut(" ".join(pieces), size=1000) == pieces


def test_a_sentence_is_given_out_as_soon_as_it_ends() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("नमस्ते।") == ["नमस्ते।"]
    assert cutter.feed("Are you there?") == ["Are you there?"]
    assert cutter.feed("Yes.") == []
    assert cutter.feed(" ") == ["Yes."]


def test_the_first_piece_may_end_at_a_comma_and_later_ones_not() -> None:
    text = "Our offices in Pune and in Mumbai are open, as you know, all week. We open, of course."
    assert cut(text, first_clause_chars=40) == [
        "Our offices in Pune and in Mumbai are open,",
        "as you know, all week.",
        "We open, of course.",
    ]
    assert cut("It costs 12,50,000 rupees, all in.", first_clause_chars=5) == [
        "It costs 12,50,000 rupees,",
        "all in.",
    ]


def test_each_answer_has_a_first_piece() -> None:
    cutter = SentenceCutter(first_clause_chars=5)
    assert cutter.feed("Hello there, you. ") == ["Hello there,", "you."]
    assert cutter.flush() is None
    assert cutter.feed("Hello again, you") == ["Hello again,"]
    cutter.reset()
    assert cutter.flush() is None


def test_marks_that_stand_alone_go_with_what_follows() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("Really?") == ["Really?"]
    assert cutter.feed("!") == []
    assert cutter.feed(" Yes?") == ["! Yes?"]
    assert cutter.feed("...") == []
    assert cutter.flush() == "..."


def test_text_without_an_end_is_cut_at_a_space() -> None:
    text = "word " * 200
    pieces = cut(text, size=7)
    assert " ".join(pieces) == text.strip()
    assert all(200 < len(piece) <= 300 for piece in pieces[:-1])


def test_text_without_spaces_is_never_cut_inside_a_syllable() -> None:
    pieces = cut("क्षि" * 400, size=50)
    assert "".join(pieces) == "क्षि" * 400
    assert len(pieces) > 3
    assert all(piece.startswith("क") for piece in pieces)


TEXT = st.text(
    alphabet=st.sampled_from(list("ab .,?!।॥۔؟…\n\"')*1क्षिरु🎉-:;")) | st.characters(),
    max_size=400,
)


@given(text=TEXT, cuts=st.lists(st.integers(1, 40)), first=st.sampled_from([0, 5, 40]))
def test_nothing_is_lost_or_doubled(text: str, cuts: list[int], first: int) -> None:
    cutter = SentenceCutter(first_clause_chars=first, max_chars=60)
    pieces: list[str] = []
    start = 0
    for size in [*cuts, len(text)]:
        pieces += cutter.feed(text[start : start + size])
        start += size
    pieces.append(cutter.flush() or "")
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(any(c.isalnum() for c in piece) for piece in pieces[:-1])
    assert all(len(piece) <= 200 for piece in pieces[:-1])
