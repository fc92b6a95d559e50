import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.script import number_words
from services.script.numbers import lone_digit, phone_number, spoken_digits, spoken_number
from services.script.text import normalize


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("nine eight seven", "987"),
        ("my pin is four one one zero three eight", "411038"),
        ("nine eight double seven triple zero", "9877000"),
        ("double five", "55"),
        ("twenty five thirty six", "2536"),
        ("nine thousand eight hundred", "9800"),
        ("one eight hundred", "1800"),
        ("nine eight and then seven", "987"),
        ("98765-43210", "9876543210"),
        ("+91 98765 43210", "919876543210"),
        ("1,500", "1500"),
        ("९८७६५", "98765"),
        ("௯௮௭", "987"),
        ("నా నంబర్ ౯౮౭", "987"),
        ("नौ आठ सात छह पाँच", "98765"),
        ("नौ आठ double five", "9855"),
        ("नाइन एट सेवन फ़ाइव", "9875"),
        ("अट्ठानवे छिहत्तर चौवन बत्तीस दस", "9876543210"),
        ("nau aath saat do", "9872"),
        ("नऊ आठ सात सहा पाच", "98765"),
        ("अठ्ठ्याण्णव शहात्तर", "9876"),
        ("নয় আট সাত ছয় পাঁচ", "98765"),
        ("আটানব্বই ছিয়াত্তর", "9876"),
        ("ஒன்பது எட்டு ஏழு ஆறு ஐந்து", "98765"),
        ("நைன் எயிட் செவன்", "987"),
        ("தொண்ணூற்றி எட்டு", "98"),
        ("తొమ్మిది ఎనిమిది ఏడు ఆరు ఐదు", "98765"),
        ("తొంభై ఎనిమిది", "98"),
        ("ಒಂಬತ್ತು ಎಂಟು ಏಳು", "987"),
        ("ഒൻപത് എട്ട് ഏഴ്", "987"),
        ("નવ આઠ સાત", "987"),
        ("ਨੌਂ ਅੱਠ ਸੱਤ", "987"),
        ("ନଅ ଆଠ ସାତ", "987"),
        ("نو آٹھ سات", "987"),
        ("hello there", ""),
        ("do you know what i want", ""),
        ("एक बात पूछनी है", ""),
        ("do", "2"),
        ("one please", "1"),
        ("double", ""),
        ("", ""),
    ],
)
def test_digits_are_heard_in_every_language_and_mixture(said: str, digits: str) -> None:
    assert spoken_digits(said) == digits


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("twenty five", "25"),
        ("one lakh twenty five thousand three hundred", "125300"),
        ("एक लाख पच्चीस हज़ार तीन सौ", "125300"),
        ("ढाई एकड़", "2.5"),
        ("डेढ़ लाख", "150000"),
        ("2.5 lakh", "250000"),
        ("two point seven five acres", "2.75"),
        ("दोन लाख", "200000"),
        ("शंभर", "100"),
        ("দুই লাখ পঞ্চাশ হাজার", "250000"),
        ("இரண்டு லட்சம்", "200000"),
        ("இருபத்தி ஐந்து", "25"),
        ("రెండు లక్షలు", "200000"),
        ("ఇరవై ఐదు", "25"),
        ("zero zero seven", "7"),
        ("five, no six", "5"),
        ("many", None),
    ],
)
def test_amounts(said: str, number: str | None) -> None:
    assert spoken_number(said) == number


@pytest.mark.parametrize(
    ("digits", "number"),
    [
        ("9876543210", "9876543210"),
        ("09876543210", "9876543210"),
        ("919876543210", "9876543210"),
        ("00919876543210", "9876543210"),
        ("1234567890", None),
        ("987654321", None),
        ("98765432101", None),
        ("", None),
    ],
)
def test_phone_numbers_lose_their_prefix(digits: str, number: str | None) -> None:
    assert phone_number(digits) == number


def test_a_key_may_be_said() -> None:
    assert lone_digit("press one please") == "1"
    assert lone_digit("दो नंबर दबाओ") == "2"
    assert lone_digit("i have two daughters") is None
    assert lone_digit("one two") is None


def test_no_word_has_two_values() -> None:
    values: dict[str, int] = {}
    tables = (number_words.whole_numbers(), number_words.composing_tens())
    for word, value in [item for table in tables for item in table.items()]:
        key = normalize(word)
        assert " " not in key, word
        assert values.setdefault(key, value) == value, word


@pytest.mark.parametrize("language", ["hi", "mr", "bn"])
def test_languages_with_words_of_their_own_reach_ninety_nine(language: str) -> None:
    said = number_words.number_table(language)
    assert [spoken_number(word) for word in said] == [str(n) for n in range(100)]


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    spoken_digits(text)
    spoken_number(text)
    lone_digit(text)


_WORDS = sorted({*number_words.whole_numbers(), "double", "hundred", "लाख", "point", "ढाई", "7"})


@given(st.lists(st.sampled_from(_WORDS), max_size=12))
def test_any_row_of_number_words_is_survived(words: list[str]) -> None:
    digits = spoken_digits(" ".join(words))
    assert digits == "" or digits.isdecimal()
    number = spoken_number(" ".join(words))
    assert number is None or float(number) >= 0
