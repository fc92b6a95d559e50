import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.script.matching import PhraseMatcher
from services.script.text import normalize
from services.script.yesno import only_yes_or_no, yes_or_no

THRESHOLD = 70
INTENTS = {
    "hours": ["opening hours", "what time do you open", "when are you open"],
    "address": ["what is your address", "where are you located"],
    "callback": ["call me back", "leave my number", "my number is {phone:mobile}"],
    "person": ["talk to a person", "speak to someone"],
    "goodbye": ["goodbye", "that is all"],
    "prices": ["मंडी भाव", "फसल का भाव", "mandi bhav"],
    "weather": ["मौसम की जानकारी", "बारिश कब होगी"],
    "officer": ["अधिकारी से बात करनी है"],
    "tamil": ["வானிலை எப்படி உள்ளது"],
    "telugu": ["పంట ధరలు ఎంత"],
    "marathi": ["बाजारभाव सांगा"],
    "bengali": ["আবহাওয়া কেমন"],
}
MATCHER = PhraseMatcher(INTENTS)


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        ("opening hours", "hours"),
        ("so um I would like to know your opening hours please", "hours"),
        ("hours of opening?", "hours"),
        ("what time do you opened", "hours"),
        ("can you tell me your adress please", "address"),
        ("address", "address"),
        ("can i talk to a real person", "person"),
        ("callback", "callback"),
        ("goodby", "goodbye"),
        ("that's all thanks", "goodbye"),
        ("मंडी के भाव बताइए।", "prices"),
        ("भाव बताइए फसल का", "prices"),
        ("mandi ka bhaav batao", "prices"),
        ("आज मौसम की जानकारी चाहिए", "weather"),
        ("मुझे अधिकारी से बात करनी है जी", "officer"),
        ("இன்று வானிலை எப்படி", "tamil"),
        ("పంట ధరలు ఎంత ఉన్నాయి", "telugu"),
        ("आजचा बाजारभाव सांगा", "marathi"),
        ("আজ আবহাওয়া কেমন?", "bengali"),
    ],
)
def test_what_callers_say(said: str, intent: str) -> None:
    match = MATCHER.best(said, THRESHOLD)
    assert match is not None and match.name == intent


@pytest.mark.parametrize(
    "said",
    [
        "pizza",
        "what",
        "two hours ago",
        "where are my shoes",
        "how are you",
        "what is the time",
        "open the door",
        "i want to book a flight to delhi",
        "the dress is nice",
        "मेरा नाम राम है",
        "बात",
        "हेलो",
        "फ़सल का रंग",
        "எனக்கு தெரியாது",
        "my number is",
        "",
        "...।",
    ],
)
def test_what_is_something_else(said: str) -> None:
    assert MATCHER.best(said, THRESHOLD) is None


def test_spelling_does_not_matter() -> None:
    composed = "फ़सल का भाव"
    for variant in (
        unicodedata.normalize("NFD", composed),
        unicodedata.normalize("NFC", composed),
        composed.replace("\u093c", ""),
        "फ\u200dसल का भाव॥",
    ):
        match = MATCHER.best(variant, THRESHOLD)
        assert match is not None and (match.name, match.score) == ("prices", 100.0)


def test_values_are_captured() -> None:
    match = MATCHER.best("hi my number is nine eight seven six five 43210", THRESHOLD)
    assert match is not None
    assert (match.name, dict(match.captured)) == ("callback", {"mobile": "9876543210"})


def test_a_sample_that_catches_the_value_wins() -> None:
    matcher = PhraseMatcher({"callback": ["call me back", "please call me back at {phone}"]})
    match = matcher.best("call me back on 98765 43210", THRESHOLD)
    assert match is not None and match.captured == {"phone": "9876543210"}


def test_two_values_in_one_sample() -> None:
    matcher = PhraseMatcher({"range": ["from {number:low} to {number:high} rupees"]})
    match = matcher.best("from two hundred to पाँच सौ rupees", THRESHOLD)
    assert match is not None and match.captured == {"low": "200", "high": "500"}


def test_yes_and_no_are_captured() -> None:
    matcher = PhraseMatcher({"loan": ["loan {yesno}"]})
    for said, value in (("loan haan", "yes"), ("loan नहीं", "no")):
        match = matcher.best(said, THRESHOLD)
        assert match is not None and match.captured == {"yesno": value}


def test_equal_halves_are_not_guessed_at() -> None:
    matcher = PhraseMatcher({"prices": ["crop prices"], "disease": ["crop disease"]})
    assert matcher.best("crop", THRESHOLD) is None
    match = matcher.best("crop disease", THRESHOLD)
    assert match is not None and match.name == "disease"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("yes", "yes"),
        ("haan ji", "yes"),
        ("जी हाँ", "yes"),
        ("जी नहीं", "no"),
        ("that's not right", "no"),
        ("होय", "yes"),
        ("नाही", "no"),
        ("হ্যাঁ", "yes"),
        ("না", "no"),
        ("ஆமாம்", "yes"),
        ("இல்லை", "no"),
        ("అవును", "yes"),
        ("కాదు", "no"),
        ("maybe", None),
    ],
)
def test_yes_and_no(said: str, meant: str | None) -> None:
    assert yes_or_no(normalize(said).split()) == meant


def test_only_yes_or_no() -> None:
    assert only_yes_or_no(["yes", "please"])
    assert not only_yes_or_no(["no", "operator"])
    assert not only_yes_or_no(["please"])


@pytest.mark.parametrize(
    ("said", "form"),
    [
        ("cafe'\u0301", "caf\u00e9"),  # An accent that the apostrophe had kept apart.
        ("o\u200d\u0308", "\u00f6"),
        ("\u0d7b\u0336", "\u0d28\u0336\u0d4d"),  # Marks behind a chillu's virama have their order.
        ("2\ue0005", "2 5"),  # Only a point is one.
    ],
)
def test_a_form_that_is_comparable_has_itself_for_form(said: str, form: str) -> None:
    assert normalize(said) == form
    assert normalize(form) == form


@given(st.text(max_size=300))
def test_any_text_is_survived(text: str) -> None:
    match = MATCHER.best(text, THRESHOLD)
    assert match is None or THRESHOLD <= match.score <= 100
    assert normalize(normalize(text)) == normalize(text)
