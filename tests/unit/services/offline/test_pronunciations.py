"""Words become phones, whatever script they are in."""

import pytest

from services.offline.acoustic_model import load_model
from services.offline.phones import BY_LANGUAGE, COMMON, spell
from services.offline.pronunciations import Pronunciation, pronounce


def first_choice(pronunciation: Pronunciation) -> list[str]:
    return [phone for sound in pronunciation for phone in sound[0][0]]


def test_english_words_come_from_the_dictionary_in_all_their_variants() -> None:
    said = [" ".join(first_choice(way)) for way in pronounce("either", "en-us")]
    assert "IY DH ER" in said
    assert "AY DH ER" in said


def test_case_and_quotes_do_not_matter() -> None:
    assert pronounce("Hello", "en-us") == pronounce("'hello'", "en-us")


def test_an_english_word_the_dictionary_lacks_is_read_by_espeak() -> None:
    (way,) = pronounce("xylobiotics", "en-us")
    assert first_choice(way)[0] == "Z"


def test_devanagari_is_read_in_hindi() -> None:
    (way,) = pronounce("नमस्ते", "hi")
    assert first_choice(way) == ["N", "AH", "M", "AH", "S", "T", "EY"]


def test_an_english_word_in_a_hindi_sentence_is_english() -> None:
    assert ["K", "AA", "R", "D"] in [first_choice(way) for way in pronounce("card", "hi")]


def test_numerals_are_read_out_in_the_language() -> None:
    (hindi,) = pronounce("7", "hi")
    (telugu,) = pronounce("7", "te")
    assert first_choice(hindi) == ["S", "AA", "T"]
    assert first_choice(telugu) != first_choice(hindi)


def test_punctuation_makes_no_sound() -> None:
    assert pronounce("—", "hi") == ()


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("kʰaː", ["K", "AA"]),  # aspiration is no sound of its own
        ("ʈʰiːk", ["T", "IY", "K"]),
        ("pakka", ["P", "AA", "K", "AA"]),  # a double consonant is a long one
        ("mɪʈʈi", ["M", "IH", "T", "IY"]),
        ("ˈʃʌˌhər", ["SH", "AH", "HH", "AH", "R"]),
        ("☃", []),  # what nobody has mapped is left out
    ],
)
def test_sounds_are_mapped(ipa: str, phones: list[str]) -> None:
    assert [phone for sound in spell(ipa, "hi") for phone in sound[0][0]] == phones


def test_every_phone_in_the_tables_is_one_of_the_models() -> None:
    known = set(load_model().phones)
    for table in (COMMON, *BY_LANGUAGE.values()):
        for entry in table.values():
            for spelling in entry.replace("~", "").split():
                assert spelling == "-" or set(spelling.split("+")) <= known
