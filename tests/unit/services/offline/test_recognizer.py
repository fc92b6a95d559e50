"""Real speech: what is in the grammar is heard, what is not is refused."""

import pytest

from services.offline.recognizer import Recognizer
from services.offline.vocabulary import Vocabulary
from tests.unit.services.offline.speech import noise, silence, spoken

ENGLISH = ("what are your opening hours", "talk to a person", "cancel my booking", "no thank you")
HINDI = ("मेरा बैलेंस कितना है", "शिकायत दर्ज करनी है", "बिजली का बिल भरना है", "मौसम की जानकारी")


@pytest.fixture(scope="module")
def english() -> Recognizer:
    return Recognizer(Vocabulary(ENGLISH, "en-us"))


@pytest.fixture(scope="module")
def hindi() -> Recognizer:
    return Recognizer(Vocabulary(HINDI, "hi"))


@pytest.mark.parametrize("phrase", ENGLISH)
def test_english_phrases_are_heard(english: Recognizer, phrase: str) -> None:
    heard = english.decode(spoken(phrase, "en-us+m1"))
    assert (heard.text, heard.accepted) == (phrase, True)
    assert heard.confidence > 0.5
    assert 0.3 < heard.speech_seconds < 3


@pytest.mark.parametrize("phrase", HINDI)
def test_hindi_phrases_are_heard(hindi: Recognizer, phrase: str) -> None:
    heard = hindi.decode(spoken(phrase, "hi+m1"))
    assert (heard.text, heard.accepted) == (phrase, True)


@pytest.mark.parametrize(
    "phrase", ["purple elephants dance at night", "please close the kitchen window"]
)
def test_other_english_is_refused(english: Recognizer, phrase: str) -> None:
    assert not english.decode(spoken(phrase, "en-us+m1")).accepted


@pytest.mark.parametrize("phrase", ["खिड़की बंद कर दो", "मेरा भाई क्रिकेट खेलता है"])
def test_other_hindi_is_refused(hindi: Recognizer, phrase: str) -> None:
    assert not hindi.decode(spoken(phrase, "hi+m1")).accepted


def test_16_khz_is_heard_as_well(english: Recognizer) -> None:
    heard = english.decode(spoken("cancel my booking", "en-us+m1", rate_hz=16_000), rate_hz=16_000)
    assert (heard.text, heard.accepted) == ("cancel my booking", True)


def test_how_long_the_silence_around_speech_is_does_not_matter(english: Recognizer) -> None:
    speech = spoken("talk to a person", "en-us+m1")
    heard = english.decode(silence(2) + speech + silence(1))
    assert (heard.text, heard.accepted) == ("talk to a person", True)


@pytest.mark.parametrize(
    "pcm", [b"", b"\0", silence(0.05), silence(3), noise(1.5), b"\xff\x7f" * 4000]
)
def test_no_speech_is_nothing(english: Recognizer, pcm: bytes) -> None:
    assert not english.decode(pcm).accepted


def test_the_same_sound_gives_the_same_answer(english: Recognizer) -> None:
    pcm = spoken("no thank you", "en-us+m1")
    assert english.decode(pcm) == english.decode(pcm)


def test_sensitivity_decides_what_is_believed(english: Recognizer) -> None:
    known = spoken("cancel my booking", "en-us+m1")
    other = spoken("please close the kitchen window", "en-us+m1")
    assert not english.decode(known, sensitivity=0.0).accepted
    assert english.decode(other, sensitivity=1.0).accepted


def test_digits_come_back_as_digits() -> None:
    recognizer = Recognizer(Vocabulary(("my number is {digits}", "{yesno}"), "en-us"))
    heard = recognizer.decode(spoken("my number is 1 2 3 4", "en-us+m1"))
    assert (heard.text, heard.accepted) == ("my number is 1234", True)
    assert recognizer.decode(spoken("yes please", "en-us+m1")).text == "yes please"
