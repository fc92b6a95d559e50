"""Only written language reaches the library, and proper sentences reach it whole."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.espeak.text import LONGEST_WORD, clean, pieces
from tests.unit.services.espeak.speech import SENTENCES


@pytest.mark.parametrize("sentence", SENTENCES.values(), ids=SENTENCES.keys())
def test_proper_sentences_are_left_alone(sentence: str) -> None:
    composed = sentence.replace("\u09af\u09bc", "\u09df")
    assert clean(sentence) == composed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        (" \n\t ", ""),
        ("🙂👍🏽", ""),
        ("\x00\x01\x1b[0m", "0m"),
        ("\x0150Phello", "50Phello"),
        ("<speak>Hi <break time='1s'/>there</speak>", "Hi there"),
        ("3 < 4 > 2", "3 4 2"),
        ("**bold** and `code`", "bold and code"),
        ("* one\n* two\n\nthree", "one. two. three"),
        ("Wait... what?!", "Wait. what?"),
        ("[[h@l'oU]]", "h@l'oU,"),
        ("मेरा OTPको", "मेरा OTP को"),
        ("५०० रुपये", "500 रुपये"),
        ("সহা\u09af\u09bc ব\u09a1\u09bc", "সহা\u09df ব\u09dc"),
        ("₹1,00,000 and 5,00,000.50", "₹100000 and 500000.50"),
        ("12th of 3, 4", "12th of 3, 4"),
        ("धीरे-धीरे 10-15", "धीरे धीरे 10 15"),
        ("+91-98765 43210", "+91 9 8 7 6 5 4 3 2 1 0"),
        ("code 0042 at 10:30", "code 0 0 4 2 at 10:30"),
        ("don’t — e‑mail", "don't, e mail"),
        ("中文 русский हिन्दी", "हिन्दी"),
        ("\ud800x", "x"),
    ],
)
def test_what_is_said_of_other_texts(text: str, said: str) -> None:
    assert clean(text) == said


@pytest.mark.parametrize("text", ["<-മ", "'-ൢ൞", "[-q", ";-മ", "മ-മ", "ऽ-ॠ", "a-b"])
def test_hyphens_that_crash_the_library_are_dropped(text: str) -> None:
    assert "-" not in clean(text)


def test_a_word_longer_than_the_librarys_buffer_is_broken_up() -> None:
    words = clean("नमस्ते" * 40).split()
    assert max(map(len, words)) <= LONGEST_WORD
    assert "".join(words) == "नमस्ते" * 40


@given(st.text())
def test_any_text_comes_out_speakable(text: str) -> None:
    said = clean(text)
    said.encode()
    assert re.search(r"[\x00-\x1f<>\[\]{}\\^~|*_`\"#-]", said) is None
    assert all(len(word) <= LONGEST_WORD * 2 for word in said.split())


@given(st.text(alphabet="ab ,.।", max_size=2000))
def test_pieces_lose_nothing_and_are_short(text: str) -> None:
    cut = pieces(text)
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(0 < len(piece) <= 200 for piece in cut)


def test_pieces_end_at_pauses_but_not_at_abbreviations() -> None:
    text = "The doctor that you asked for, and that we all know well, is Dr. Rao of Mumbai. " * 5
    assert all(piece.endswith((",", "Mumbai.")) for piece in pieces(text))
