"""The binding: one text at a time, stoppable, and of one mind about voices."""

import threading

import pytest

from config.errors import ProviderError
from services.espeak import VOICES, library
from tests.unit.services.espeak.speech import SENTENCES


def spoken(text: str, voice: str = "en-us", rate_wpm: int = 150) -> bytes:
    chunks: list[bytes] = []

    def keep(chunk: bytes) -> bool:
        chunks.append(chunk)
        return True

    assert library.synthesize(text, voice, rate_wpm, 50, keep)
    return b"".join(chunks)


@pytest.mark.parametrize(
    ("text", "voice", "ipa"),
    [
        ("Hello, friend", "en-us", "həlˈoʊ fɹˈɛnd"),
        ("नमस्ते", "hi", "nəmˈʌsteː"),
        ("மணி 5", "ta", "mˈʌɳi ˈaɪndʉ"),
    ],
)
def test_phonemes_in_ipa(text: str, voice: str, ipa: str) -> None:
    assert library.phonemes(text, voice) == ipa


def test_phonemes_in_the_librarys_own_notation_with_a_separator() -> None:
    assert library.phonemes("hello", "en-us", notation="espeak", separator="_") == "h_@_l_'oU"


@pytest.mark.parametrize("language", VOICES)
def test_no_language_is_spelled_letter_by_letter(language: str) -> None:
    sentence, said = SENTENCES[language], library.phonemes(SENTENCES[language], VOICES[language])
    assert len(said.split()) == len(sentence.split())
    assert len(said) < 2.2 * len(sentence)


def test_words_of_another_language_leave_no_switching_marks() -> None:
    said = library.phonemes("मेरा order cancel करो", "hi", notation="espeak", separator="_")
    assert "(" not in said and len(said.split()) == 4
    assert not any(word.startswith("_") or word.endswith("_") for word in said.split())


@pytest.mark.parametrize("text", ["", "🙂", "\x00\x01"])
def test_nothing_to_say_is_silence_and_no_phonemes(text: str) -> None:
    assert spoken(text) == b""
    assert library.phonemes(text, "hi") == ""


def test_stopping_ends_synthesis_with_that_chunk() -> None:
    chunks: list[bytes] = []

    def one(chunk: bytes) -> bool:
        chunks.append(chunk)
        return False

    assert not library.synthesize(SENTENCES["en-IN"] * 20, "en-us", 150, 50, one)
    assert len(chunks) == 1


def test_a_stopped_text_leaves_nothing_behind_for_the_next() -> None:
    whole = len(spoken("Thank you"))
    library.synthesize(SENTENCES["en-IN"] * 20, "en-us", 150, 50, lambda _chunk: False)
    # The library varies the length of a pitch period, so lengths differ by a few samples.
    assert len(spoken("Thank you")) == pytest.approx(whole, rel=0.02)


def test_what_the_callback_raises_stops_synthesis_and_comes_out() -> None:
    def fail(_chunk: bytes) -> bool:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        library.synthesize("hello", "en-us", 150, 50, fail)
    assert spoken("hello")


@pytest.mark.parametrize("voice", ["xx", "../../etc/passwd", "hi+nobody", ""])
def test_an_unknown_voice_is_a_provider_error_and_does_not_stick(voice: str) -> None:
    with pytest.raises(ProviderError) as caught:
        library.synthesize("hello", voice, 150, 50, lambda _chunk: True)
    assert (caught.value.code, caught.value.retryable) == ("voice_unknown", False)
    assert spoken("नमस्ते", "hi")


def test_the_end_pause_is_made_when_asked_for() -> None:
    lengths: list[int] = []
    for end_pause in (False, True):
        chunks: list[int] = []

        def count(chunk: bytes, into: list[int] = chunks) -> bool:
            into.append(len(chunk))
            return True

        library.synthesize("Hello.", "en-us", 150, 50, count, end_pause=end_pause)
        lengths.append(sum(chunks))
    pause_seconds = (lengths[1] - lengths[0]) / 2 / library.NATIVE_RATE_HZ
    assert 0.1 < pause_seconds < 1


def test_threads_take_turns_without_mixing_voices() -> None:
    expected = {
        language: (library.phonemes(text, VOICES[language]), len(spoken(text, VOICES[language])))
        for language, text in SENTENCES.items()
    }
    wrong: list[str] = []

    def check(language: str) -> None:
        text, voice = SENTENCES[language], VOICES[language]
        for _ in range(5):
            phonemes, length = expected[language]
            if library.phonemes(text, voice) != phonemes:
                wrong.append(language)
            if abs(len(spoken(text, voice)) - length) > 0.02 * length:
                wrong.append(language)

    threads = [threading.Thread(target=check, args=(language,)) for language in SENTENCES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
