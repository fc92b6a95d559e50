"""Yes and no, as callers say them."""

from collections.abc import Sequence
from typing import Literal

from services.script.little_words import LITTLE_WORDS
from services.script.text import normalize

_YES = """
    yes yeah yep yup ya yah sure correct right okay ok fine absolutely affirmative
    haan han haa ji sahi theek thik bilkul ho hoy barobar aam aama avunu sari hanji
    हाँ हां हा जी सही ठीक बिल्कुल बिलकुल यस ओके करेक्ट होय हो बरोबर
    হ্যাঁ হ্যা হা জি ঠিক ইয়েস ஆமாம் ஆமா ஆம் சரி எஸ் అవును ఔను సరే సరి ఎస్
    હા હાં જી સાચું બરાબર ಹೌದು ಸರಿ അതെ ശരി ਹਾਂ ਜੀ ਠੀਕ ہاں جی صحیح ٹھیک ହଁ ଠିକ୍ হয়
"""
_NO = """
    no nope nah not wrong incorrect negative nahi nahin nahee naa galat mat illa illai kadu ledu
    नहीं नही ना न मत गलत ग़लत नो रॉन्ग नाही नको चूक না নয় ভুল নো
    இல்லை இல்ல வேண்டாம் தவறு நோ కాదు లేదు వద్దు తప్పు నో
    ના નહીં ખોટું ಇಲ್ಲ ಬೇಡ ಅಲ್ಲ ತಪ್ಪು അല്ല ഇല്ല വേണ്ട തെറ്റ് ਨਹੀਂ ਨਾ ਗਲਤ نہیں نہ غلط ନା ନୁହେଁ ভুল নহয়
"""
YES_WORDS = frozenset(normalize(word) for word in _YES.split())
NO_WORDS = frozenset(normalize(word) for word in _NO.split())


def yes_or_no(heard: Sequence[str]) -> Literal["yes", "no"] | None:
    """What ``heard`` (normalised tokens) amounts to; a no anywhere outweighs a yes."""
    if any(word in NO_WORDS for word in heard):
        return "no"
    return "yes" if any(word in YES_WORDS for word in heard) else None


def only_yes_or_no(heard: Sequence[str]) -> bool:
    """Whether ``heard`` is an answer and nothing else ("yes please", "जी नहीं")."""
    answers = YES_WORDS | NO_WORDS
    return yes_or_no(heard) is not None and all(
        word in answers or word in LITTLE_WORDS for word in heard
    )
