"""Numbers as callers say them, in Indian languages, English and mixtures of both.

>>> spoken_digits("nine eight double seven नौ आठ")
'987798'
>>> spoken_digits("my pin is ४११ zero three eight")
'411038'
>>> spoken_number("ढाई हज़ार")
'2500'

Two readings are kept for every run of number words: the digits one after another (a
telephone number) and the one value they may form (an amount). Which is wanted is the
slot's affair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.script import number_words as words
from services.script.text import normalize, tokens


def _set(text: str) -> frozenset[str]:
    return frozenset(normalize(word) for word in text.split())


_WHOLE = {normalize(word): value for word, value in words.whole_numbers().items()}
_TENS = {normalize(word): value for word, value in words.composing_tens().items()}
_SCALES = {word: scale for scale, text in words.SCALES.items() for word in _set(text)}
_REPEATS = {word: times for times, text in words.REPEATS.items() for word in _set(text)}
_FRACTIONS = {word: Decimal(v) for v, text in words.FRACTIONS.items() for word in _set(text)}
_POINTS = _set(words.POINTS)
_JOINERS = _set(words.JOINERS)
_AMBIGUOUS = _set(words.AMBIGUOUS)
_FILLERS = _set(words.FILLERS)
#: More digits than this are noise, not a number; it also bounds the work.
MAX_DIGITS = 64


@dataclass(frozen=True, slots=True)
class NumberRun:
    """Number words that stand together.

    Attributes:
        start: Index of the first token.
        end: Index behind the last token.
        digits: Read one after another; empty where a fraction makes that senseless.
        value: Read as one number; None where the words do not form one.
    """

    start: int
    end: int
    digits: str
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class _Part:
    """One number inside a run: its value, the digits it was said with, or a scale."""

    value: Decimal
    digits: str
    is_scale: bool = False


def find_numbers(heard: Sequence[str]) -> list[NumberRun]:
    """Runs of number words in ``heard`` (tokens of :func:`services.script.text.tokens`)."""
    return [
        _read(heard, start, end)
        for start, end in _runs(heard)
        if not _is_common_word(heard, start, end)
    ]


def spoken_digits(text: str) -> str:
    """All digits said in ``text``, in order; empty if there are none or absurdly many."""
    digits = "".join(run.digits for run in find_numbers(tokens(text)))
    return digits if len(digits) <= MAX_DIGITS else ""


def spoken_number(text: str) -> str | None:
    """The first number said in ``text``, in plain decimal notation, or None."""
    for run in find_numbers(tokens(text)):
        shown = run_number(run)
        if shown is not None:
            return shown
    return None


def lone_digit(text: str) -> str | None:
    """The digit in "press one please", where a single digit is all that was said; else None."""
    heard = tokens(text)
    runs = find_numbers(heard)
    if len(runs) != 1 or len(runs[0].digits) != 1:
        return None
    outside = [*heard[: runs[0].start], *heard[runs[0].end :]]
    return runs[0].digits if all(word in _FILLERS for word in outside) else None


def run_number(run: NumberRun) -> str | None:
    """A run as one number: its value, else its digits; without leading zeros."""
    value = run.value
    if value is None and run.digits and len(run.digits) <= MAX_DIGITS:
        value = Decimal(run.digits)
    if value is None:
        return None
    shown = f"{value:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def phone_number(digits: str) -> str | None:
    """Ten digits of an Indian mobile number, without +91, 91 or the trunk 0; else None.

    Mobile numbers in India have ten digits and begin with 6 to 9 (National Numbering Plan).
    """
    for prefix, length in (("", 10), ("0", 11), ("91", 12), ("091", 13), ("0091", 14)):
        if len(digits) == length and digits.startswith(prefix) and digits[-10] in "6789":
            return digits[-10:]
    return None


def _runs(heard: Sequence[str]) -> Iterator[tuple[int, int]]:
    start: int | None = None
    end = 0
    for index, word in enumerate(heard):
        if _is_number_word(word):
            start = index if start is None else start
            end = index + 1
        elif start is not None and word not in _JOINERS and word not in _POINTS:
            yield start, end
            start = None
    if start is not None:
        yield start, end


def _is_number_word(word: str) -> bool:
    return (
        word in _WHOLE
        or word in _TENS
        or word in _SCALES
        or word in _REPEATS
        or word in _FRACTIONS
        or _is_literal(word)
    )


def _is_literal(word: str) -> bool:
    return word.replace(".", "", 1).isdecimal() and word.isascii()


def _is_common_word(heard: Sequence[str], start: int, end: int) -> bool:
    """Whether a lone ``do`` or ``नौ`` is more likely a word of the sentence."""
    if all(word in _REPEATS for word in heard[start:end]):
        return True
    first = heard[start]
    if end - start > 1 or not (first in _AMBIGUOUS or first in _SCALES):
        return False
    return any(w not in _FILLERS for i, w in enumerate(heard) if not start <= i < end)


def _read(heard: Sequence[str], start: int, end: int) -> NumberRun:
    run = [word for word in heard[start:end] if word not in _JOINERS]
    whole, fraction = _split_at_point(run)
    parts = list(_parts(whole))
    value = _cardinal(parts)
    if fraction and value is not None:
        value = Decimal(f"{value:f}.{''.join(part.digits for part in _parts(fraction))}0")
    return NumberRun(start, end, _concatenated(parts, value, bool(fraction)), value)


def _split_at_point(run: list[str]) -> tuple[list[str], list[str]]:
    for index, word in enumerate(run):
        if word in _POINTS and index:
            rest = [w for w in run[index + 1 :] if w not in _POINTS]
            return run[:index], rest
    return [word for word in run if word not in _POINTS], []


def _parts(run: Sequence[str]) -> Iterator[_Part]:
    index = 0
    while index < len(run):
        word, following = run[index], run[index + 1] if index + 1 < len(run) else ""
        index += 1
        if word in _REPEATS:
            if len(_one_digit(following)) == 1:
                digits = _one_digit(following) * _REPEATS[word]
                yield _Part(Decimal(digits), digits)
                index += 1
        elif word in _TENS:
            unit = _WHOLE.get(following, 0)
            composed = _TENS[word] + (unit if 1 <= unit <= 9 else 0)
            index += 1 <= unit <= 9
            yield _Part(Decimal(composed), str(composed))
        elif word in _SCALES:
            yield _Part(Decimal(_SCALES[word]), str(_SCALES[word])[1:], is_scale=True)
        elif word in _FRACTIONS:
            yield _Part(_FRACTIONS[word], "")
        elif word in _WHOLE:
            yield _Part(Decimal(_WHOLE[word]), str(_WHOLE[word]))
        else:
            yield _Part(Decimal(word), word.replace(".", ""))


def _one_digit(word: str) -> str:
    return str(_WHOLE[word]) if word in _WHOLE else word if word.isdecimal() else ""


def _cardinal(parts: Sequence[_Part]) -> Decimal | None:
    """The value of "two lakh five hundred three"; None for "two five three"."""
    total, group, largest = Decimal(0), Decimal(0), Decimal(10**9)
    after_number = False
    for part in parts:
        if not part.is_scale:
            if after_number or group % 100:
                return None
            group += part.value
            after_number = True
            continue
        if part.value >= largest:
            return None
        group = group or Decimal(1)
        if part.value == 100:
            if not group < 100:
                return None
            group *= 100
        else:
            total, group, largest = total + group * part.value, Decimal(0), part.value
        after_number = False
    return total + group if parts else None


def _concatenated(parts: Sequence[_Part], value: Decimal | None, has_fraction: bool) -> str:
    has_scale = any(part.is_scale for part in parts)
    if has_fraction or any(not part.digits for part in parts):
        return ""
    if has_scale and value is not None:
        return str(int(value)) if value == value.to_integral_value() else ""
    return "".join(part.digits for part in parts)
