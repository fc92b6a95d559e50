import unicodedata

import pytest

from config.errors import ConfigError
from config.languages import LANGUAGES, is_language, resolve_language

SCHEDULED = {
    "as",
    "bn",
    "brx",
    "doi",
    "gu",
    "hi",
    "kn",
    "ks",
    "kok",
    "mai",
    "ml",
    "mni",
    "mr",
    "ne",
    "or",
    "pa",
    "sa",
    "sat",
    "sd",
    "ta",
    "te",
    "ur",
}


def test_table_holds_the_scheduled_languages_indian_english_and_bhili() -> None:
    assert set(LANGUAGES) == SCHEDULED | {"en-IN", "bhb"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hi", "hi"),
        ("hi-IN", "hi"),
        ("HI_in", "hi"),
        ("Hindi", "hi"),
        ("hin", "hi"),
        (" hindi ", "hi"),
        ("हिन्दी", "hi"),
        ("en", "en-IN"),
        ("en-US", "en-IN"),
        ("en-GB", "en-IN"),
        ("English", "en-IN"),
        ("English (India)", "en-IN"),
        ("english (united states)", "en-IN"),
        ("Odia", "or"),
        ("od-IN", "or"),
        ("ory", "or"),
        ("ne-NP", "ne"),
        ("Manipuri", "mni"),
        ("bhb", "bhb"),
        ("gom", "kok"),
    ],
)
def test_codes_names_and_vendor_spellings_resolve(text: str, code: str) -> None:
    assert resolve_language(text) == code
    assert is_language(text)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_resolves_from_each_of_its_own_spellings(code: str) -> None:
    language = LANGUAGES[code]
    spellings = (code, language.name, language.native_name, language.iso639_3, *language.aliases)
    assert {resolve_language(spelling) for spelling in spellings} == {code}


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'Telegu'.*did you mean 'Telugu' \(te\)\?") as caught:
        resolve_language("Telegu")
    assert caught.value.code == "unknown_language"


def test_nonsense_is_answered_with_what_is_allowed_only() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_language("xqzw")
    assert "did you mean" not in caught.value.message
    assert "hi" in caught.value.message


SCRIPT_NAMES = {
    "Beng": "BENGALI",
    "Deva": "DEVANAGARI",
    "Gujr": "GUJARATI",
    "Knda": "KANNADA",
    "Arab": "ARABIC",
    "Mlym": "MALAYALAM",
    "Mtei": "MEETEI MAYEK",
    "Orya": "ORIYA",
    "Guru": "GURMUKHI",
    "Olck": "OL CHIKI",
    "Taml": "TAMIL",
    "Telu": "TELUGU",
    "Latn": "LATIN",
}


@pytest.mark.parametrize("code", LANGUAGES)
def test_native_names_are_in_the_script_of_their_language(code: str) -> None:
    language = LANGUAGES[code]
    script = SCRIPT_NAMES[language.script]
    letters = [c for c in language.native_name if c.isalpha()]
    assert letters
    assert all(unicodedata.name(c).startswith(script) for c in letters)
