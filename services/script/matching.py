"""Which of the operator's sample phrases a caller meant, if any.

A sample is compared word by word: every word of the sample looks for its nearest word in
what was heard, little words ("the", "है") weigh little, and the order of words hardly
matters. So "so um I would like to know your opening hours please" is ``opening hours``, and
"hours of opening" too, while "two hours ago" is not. The score is in percent; below the
threshold nothing was understood.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from services.script.fields import placeholders_in
from services.script.little_words import LITTLE_WORDS
from services.script.numbers import find_numbers, phone_number, run_number
from services.script.text import tokens
from services.script.yesno import NO_WORDS, YES_WORDS, yes_or_no

#: Two words this alike are taken for the same word.
WORD_SIMILARITY = 0.75
#: Words this short must be equal: one letter makes them another word.
EXACT_LENGTH = 3
LITTLE_WEIGHT = 0.15
PLACEHOLDER_WEIGHT = 1.5
#: A sample that also catches a value is preferred to one that fits a little better.
CAPTURE_BONUS = 6.0
#: Longer utterances are cut; nobody needs more words to name a wish.
MAX_WORDS = 60

_OPENING, _CLOSING = "\ue100", "\ue101"


@dataclass(frozen=True, slots=True)
class Match:
    """An intent that was understood.

    Attributes:
        name: The intent's name.
        score: 0 to 100.
        captured: Variable name to value, from the sample's placeholders.
    """

    name: str
    score: float
    captured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Sample:
    """A sample phrase, prepared once; a placeholder is one word marked with its type."""

    owner: str
    words: tuple[str, ...]
    joined: str
    weight: float
    slots: tuple[tuple[str, str], ...]


class PhraseMatcher:
    """Sample phrases of a group of intents (or choices), ready to be compared.

    Args:
        samples: Name to its sample phrases, more important names first.
    """

    def __init__(self, samples: Mapping[str, Iterable[str]]) -> None:
        self._samples = [
            _prepare(name, phrase) for name, phrases in samples.items() for phrase in phrases
        ]

    def best(self, text: str, threshold: float) -> Match | None:
        """The best match for ``text``, or None below ``threshold`` or where two are as near.

        A tie is settled for the sample that explains more of what was heard. A tie of
        partial matches is no match: asking again is better than guessing.
        """
        heard = tokens(text)[:MAX_WORDS]
        ranked: dict[str, tuple[float, float, Match]] = {}
        for sample in self._samples:
            score, captured = _score(sample, heard)
            rank = (score + CAPTURE_BONUS * bool(captured), sample.weight)
            if score >= threshold and rank > ranked.get(sample.owner, (0.0, 0.0))[:2]:
                ranked[sample.owner] = (*rank, Match(sample.owner, score, captured))
        if not ranked:
            return None
        top = max(ranked.values(), key=lambda entry: entry[:2])
        ties = sum(1 for entry in ranked.values() if entry[:2] == top[:2])
        return None if ties > 1 and top[0] < 90 else top[2]


def _prepare(owner: str, phrase: str) -> _Sample:
    words: list[str] = []
    for piece in _pieces(phrase):
        words.extend([piece] if piece.startswith(_OPENING) else tokens(piece))
    plain = "".join(word for word in words if not word.startswith(_OPENING))
    return _Sample(
        owner, tuple(words), plain, sum(map(_weight, words)), tuple(placeholders_in(phrase))
    )


def _pieces(phrase: str) -> list[str]:
    pieces: list[str] = []
    rest = phrase
    while "{" in rest:
        before, _, tail = rest.partition("{")
        inner, _, rest = tail.partition("}")
        pieces += [before, _mark(inner.partition(":")[0])]
    return [*pieces, rest]


def _mark(kind: str) -> str:
    return f"{_OPENING}{kind}{_CLOSING}"


def _weight(word: str) -> float:
    if word.startswith(_OPENING):
        return PLACEHOLDER_WEIGHT
    return LITTLE_WEIGHT if word in LITTLE_WORDS else 1.0


def _score(sample: _Sample, heard: Sequence[str]) -> tuple[float, dict[str, str]]:
    captured: dict[str, str] = {}
    words = list(heard)
    for kind, name in sample.slots:
        found = find_value(kind, words)
        if found is None:
            return 0.0, {}
        value, start, end = found
        captured[name] = value
        words[start:end] = [_mark(kind)]
    return _similarity(sample, words), captured


def _similarity(sample: _Sample, heard: Sequence[str]) -> float:
    if tuple(heard) == sample.words:
        return 100.0
    if not heard:
        return 0.0
    of_sample = _coverage(sample.words, heard)
    of_heard = _coverage(heard, sample.words)
    score = 97.0 * max(of_sample, (of_sample + of_heard) / 2)
    if not sample.slots and len(sample.joined) > EXACT_LENGTH:
        joined = fuzz.ratio(sample.joined, "".join(heard), score_cutoff=85)
        score = max(score, joined)
    return score


def _coverage(wanted: Sequence[str], given: Sequence[str]) -> float:
    """How much of ``wanted`` is in ``given``, 0 to 1, by weight; 0 if only little words are."""
    total = covered = content = 0.0
    for word in wanted:
        weight = _weight(word)
        likeness = _likeness(word, given)
        total += weight
        covered += weight * likeness
        content += likeness if weight >= 1 else 0.0
    if not content and any(_weight(word) >= 1 for word in wanted):
        return 0.0
    return covered / total if total else 0.0


def _likeness(word: str, given: Sequence[str]) -> float:
    if word in given:
        return 1.0
    if len(word) <= EXACT_LENGTH or word.startswith(_OPENING):
        return 0.0
    return max(
        (
            Indel.normalized_similarity(word, other, score_cutoff=WORD_SIMILARITY)
            for other in given
            if len(other) > EXACT_LENGTH
        ),
        default=0.0,
    )


def find_value(kind: str, heard: Sequence[str]) -> tuple[str, int, int] | None:
    """The first value of placeholder type ``kind`` in ``heard``: (value, start, end)."""
    if kind == "yesno":
        return _find_yesno(heard)
    for run in find_numbers(heard):
        value = {
            "digits": run.digits,
            "digit": run.digits if len(run.digits) == 1 else None,
            "number": run_number(run),
            "phone": phone_number(run.digits),
        }[kind]
        if value:
            return value, run.start, run.end
    return None


def _find_yesno(heard: Sequence[str]) -> tuple[str, int, int] | None:
    meant = yes_or_no(heard)
    if meant is None:
        return None
    wanted = NO_WORDS if meant == "no" else YES_WORDS
    index = next(i for i, word in enumerate(heard) if word in wanted)
    return meant, index, index + 1
