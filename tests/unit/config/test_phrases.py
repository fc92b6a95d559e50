import unicodedata

import pytest

from config.languages import LANGUAGES
from config.phrases import phrases_for
from tests.unit.config.test_languages import SCRIPT_NAMES

OWN = ["en-IN", "hi", "mr", "ta", "te", "bn", "gu", "kn", "ml", "pa", "or", "as", "ur", "ne"]


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_all_phrases(code: str) -> None:
    phrases = phrases_for(code)
    texts = (phrases.apology, phrases.no_input, phrases.farewell, phrases.busy)
    assert all(text.strip() for text in texts)
    assert len(set(texts)) == 4


@pytest.mark.parametrize("code", OWN)
def test_a_language_with_texts_of_its_own_writes_them_in_its_script(code: str) -> None:
    phrases = phrases_for(code)
    script = SCRIPT_NAMES[LANGUAGES[code].script]
    for text in (phrases.apology, phrases.no_input, phrases.farewell, phrases.busy):
        letters = [c for c in text if c.isalpha()]
        assert all(unicodedata.name(c).startswith(script) for c in letters), text


def test_no_two_languages_share_a_text_of_their_own() -> None:
    assert len({phrases_for(code).apology for code in OWN}) == len(OWN)
