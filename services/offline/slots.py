"""Spoken values inside phrases: digits, telephone numbers, numbers, yes and no.

How a language says a numeral is asked of espeak-ng; English digits are understood everywhere,
because callers mix them in.
"""

from collections.abc import Callable, Mapping
from functools import cache

from services.offline.grammar import Front, NetworkBuilder, Token, add_words
from services.offline.pronunciations import Pronunciation, pronounce, read_aloud

_ENGLISH_DIGITS = (
    ("zero", "oh"),
    ("one",),
    ("two",),
    ("three",),
    ("four",),
    ("five",),
    ("six",),
    ("seven",),
    ("eight",),
    ("nine",),
)
_REPEATS: Mapping[int, tuple[str, ...]] = {2: ("double",), 3: ("triple", "treble")}
#: Digits people also call something that espeak's numerals don't say, by espeak voice.
_OTHER_DIGITS: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "hi": {6: ("छः", "छे")},
    "mr": {5: ("पाच",)},
    "ta": {1: ("ஒண்ணு",), 2: ("ரெண்டு",), 3: ("மூணு",), 4: ("நாலு",), 5: ("அஞ்சு",), 9: ("ஒம்பது",)},
    "te": {1: ("ఒకటి",)},
}
_TELEPHONE_DIGITS = 10

#: A digit more must explain the sound this much better, or noise would be full of digits.
_DIGIT_COST = 24.0
#: ``double`` is rare and sounds like much else; ``triple`` costs it twice.
_REPEAT_COST = 30.0
#: Callers who speak another language say English digits less often.
_FOREIGN_COST = 12.0

_ENGLISH_ANSWERS = ("yes", "yeah", "yes please", "no", "no thank you", "okay", "right", "wrong")
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "hi": ("हाँ", "जी", "जी हाँ", "हाँ जी", "सही है", "ठीक है", "नहीं", "जी नहीं", "गलत"),
    "mr": ("हो", "होय", "बरोबर", "ठीक आहे", "नाही", "नको", "चूक"),
    "bn": ("হ্যাঁ", "জি", "ঠিক আছে", "না", "ভুল"),
    "ta": ("ஆமாம்", "ஆமா", "சரி", "இல்லை", "வேண்டாம்", "தவறு"),
    "te": ("అవును", "సరే", "కాదు", "వద్దు", "తప్పు"),
    "gu": ("હા", "બરાબર", "ના", "નહીં"),
    "kn": ("ಹೌದು", "ಸರಿ", "ಇಲ್ಲ", "ಬೇಡ"),
    "ml": ("അതെ", "ശരി", "അല്ല", "ഇല്ല", "വേണ്ട"),
    "pa": ("ਹਾਂ", "ਜੀ", "ਠੀਕ ਹੈ", "ਨਹੀਂ"),
    "or": ("ହଁ", "ଠିକ୍", "ନା", "ନୁହେଁ"),
    "as": ("হয়", "ঠিক আছে", "নহয়", "না"),
    "ne": ("हो", "ठीक छ", "होइन", "छैन"),
    "kok": ("व्हय", "ना"),
}

Ways = tuple[Pronunciation, ...]


def add_slot(builder: NetworkBuilder, name: str, front: Front) -> Front:
    """Append a slot; ``name`` is one of :data:`SLOTS`. Returns where it may end."""
    return SLOTS[name](builder, front)


def yes_no_phrases(voice: str) -> tuple[str, ...]:
    """Yes and no in the voice's language, and in English."""
    return (*_ANSWERS.get(voice, ()), *_ENGLISH_ANSWERS)


@cache
def _native_ways(voice: str, digit: int) -> Ways:
    others = _OTHER_DIGITS.get(voice, {}).get(digit, ())
    native = () if voice.startswith("en") else read_aloud(str(digit), voice)
    return (*native, *(way for word in others for way in pronounce(word, voice)))


@cache
def _english_ways(voice: str, digit: int) -> Ways:
    return tuple(way for word in _ENGLISH_DIGITS[digit] for way in pronounce(word, voice))


def _one_digit(builder: NetworkBuilder, front: Front, digit: int, times: int = 1) -> Front:
    voice = builder.voice
    token = Token(str(digit) * times, "digit")
    foreign = 0.0 if voice.startswith("en") else _FOREIGN_COST
    english = builder.say(front, token, _english_ways(voice, digit), _DIGIT_COST + foreign)
    return [*english, *builder.say(front, token, _native_ways(voice, digit), _DIGIT_COST)]


def _digit(builder: NetworkBuilder, front: Front) -> Front:
    return [end for digit in range(10) for end in _one_digit(builder, front, digit)]


def _repeated(builder: NetworkBuilder, front: Front, times: int) -> Front:
    ways = tuple(way for word in _REPEATS[times] for way in pronounce(word, builder.voice))
    after = builder.say(front, Token("", "digit"), ways, _REPEAT_COST * (times - 1))
    return [end for digit in range(10) for end in _one_digit(builder, after, digit, times)]


def _digits(builder: NetworkBuilder, front: Front) -> Front:
    first = len(builder.phones)
    ends = _digit(builder, front)
    for times in _REPEATS:
        ends += _repeated(builder, front, times)
    entries = range(first, len(builder.phones))
    builder.loop(entries, builder.pause(ends))
    return ends


def _phone(builder: NetworkBuilder, front: Front) -> Front:
    """Ten digits, with ``double`` and ``triple``, perhaps behind the country's code."""
    code = _one_digit(builder, _one_digit(builder, front, 9), 1)
    reached: list[Front] = [[] for _ in range(_TELEPHONE_DIGITS + 1)]
    reached[0] = [*front, *builder.pause(code)]
    for place in range(_TELEPHONE_DIGITS):
        here = reached[place] if place == 0 else builder.pause(reached[place])
        reached[place + 1] += _digit(builder, here)
        for times in _REPEATS:
            if place + times <= _TELEPHONE_DIGITS:
                reached[place + times] += _repeated(builder, here, times)
    return reached[_TELEPHONE_DIGITS]


def _number(builder: NetworkBuilder, front: Front) -> Front:
    """0 to 99,999, as lists of thousands, hundreds and what is below."""
    thousands = _numerals(builder, front, range(1_000, 100_000, 1_000), english=False)
    before_hundreds = [*front, *thousands]
    hundreds = _numerals(builder, before_hundreds, range(100, 1_000, 100), english=True)
    below = _numerals(builder, [*before_hundreds, *hundreds], range(100), english=True)
    return [*thousands, *hundreds, *below]


def _numerals(builder: NetworkBuilder, front: Front, values: range, *, english: bool) -> Front:
    ends: Front = []
    foreign = english and not builder.voice.startswith("en")
    for value in values:
        token = Token(str(value), "number")
        ways = read_aloud(str(value), builder.voice)
        ends += builder.say(front, token, ways, _DIGIT_COST)
        if foreign:
            ways = read_aloud(str(value), "en-us")
            ends += builder.say(front, token, ways, _DIGIT_COST + _FOREIGN_COST)
    return ends


def _yesno(builder: NetworkBuilder, front: Front) -> Front:
    ends: Front = []
    for phrase in yes_no_phrases(builder.voice):
        ends += add_words(builder, front, phrase.split())
    return ends


SLOTS: Mapping[str, Callable[[NetworkBuilder, Front], Front]] = {
    "digit": _digit,
    "digits": _digits,
    "phone": _phone,
    "number": _number,
    "yesno": _yesno,
}
