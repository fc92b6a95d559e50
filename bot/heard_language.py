"""Which language a caller speaks, from what a recogniser has written down of it.

Evidence is the script, the little words of languages that share one, and what the recogniser
itself has found. A caller who mixes languages, as most do, must not make the agent flap: English
words among Hindi ones count for nothing, short answers that are the same everywhere neither.

It can only see what is written: a recogniser that is held to Hindi writes Tamil speech as
nonsense in Devanagari, and nothing here would notice. See docs/configuration.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.language_words import EITHER, LATIN, NATIVE
from config.languages import LANGUAGES

#: First and last code points of the scripts of India's languages (The Unicode Standard, blocks).
_BLOCKS: Final = (
    (0x0041, 0x024F, "Latn"),
    (0x0600, 0x077F, "Arab"),
    (0x08A0, 0x08FF, "Arab"),
    (0x0900, 0x097F, "Deva"),
    (0x0980, 0x09FF, "Beng"),
    (0x0A00, 0x0A7F, "Guru"),
    (0x0A80, 0x0AFF, "Gujr"),
    (0x0B00, 0x0B7F, "Orya"),
    (0x0B80, 0x0BFF, "Taml"),
    (0x0C00, 0x0C7F, "Telu"),
    (0x0C80, 0x0CFF, "Knda"),
    (0x0D00, 0x0D7F, "Mlym"),
    (0x1C50, 0x1C7F, "Olck"),
    (0xABC0, 0xABFF, "Mtei"),
)
#: Letters that only Assamese has of those who write Bengali letters.
_ASSAMESE: Final = "ৰৱ"
#: One utterance of so many words is enough where nothing speaks against it.
SURE_WORDS: Final = 4
#: Shorter ones add up to so many words, in two utterances at least.
ENOUGH_WORDS: Final = 5.0
#: What is left of that after an utterance in another language, and after one that tells nothing.
CONTRADICTED: Final = 0.25
FADED: Final = 0.8
#: Which part of an utterance's words has to be of one language.
PURE: Final = 0.6
#: A part of words in another script from which on Latin words are a mixture.
MIXED: Final = 0.2


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one utterance tells.

    Attributes:
        language: Our code; None where it tells nothing.
        words: How many words speak for it; those that only probably do count half.
    """

    language: str | None = None
    words: float = 0.0


class HeardLanguage:
    """Follows one caller through a call.

    Args:
        languages: That may be turned to, the present one among them; codes of ours.
        language: The present one.
    """

    def __init__(self, languages: Sequence[str], language: str) -> None:
        self._languages = tuple(languages)
        self._language = language
        self._score: dict[str, float] = {}
        self._count: Counter[str] = Counter()

    def turn_to(self, language: str) -> None:
        """Another language is spoken now: what was heard before no longer counts."""
        self._language = language
        self._score.clear()
        self._count.clear()

    def heard(self, text: str, detected: str | None = None) -> str | None:
        """Take one utterance.

        Args:
            text: As the recogniser wrote it.
            detected: What it has found itself, a code of ours; None where it does not look.

        Returns:
            The language to turn to, or None to stay.
        """
        found = evidence(text, self._languages, None if detected == self._language else detected)
        fades = CONTRADICTED if found.language is not None else FADED
        for language in self._score:
            if language != found.language:
                self._score[language] *= fades
        if found.language is None or found.language == self._language:
            return None
        self._score[found.language] = self._score.get(found.language, 0.0) + found.words
        self._count[found.language] += 1
        enough = self._score[found.language] >= ENOUGH_WORDS and self._count[found.language] > 1
        return found.language if found.words >= SURE_WORDS or enough else None


def evidence(text: str, languages: Sequence[str], detected: str | None = None) -> Evidence:
    """What one text tells of the language spoken, among ``languages``.

    Args:
        text: As a recogniser wrote it.
        languages: Codes of ours.
        detected: What the recogniser itself has found; its script counts for more.
    """
    words = [word for word in map(_bare, text.split()) if word]
    by_script: dict[str, list[str]] = {}
    for word in words:
        if (script := script_of(word)) is not None:
            by_script.setdefault(script, []).append(word)
    total = sum(map(len, by_script.values()))
    if not total:
        return Evidence()
    latin = by_script.pop("Latn", [])
    scores: Counter[str] = Counter()
    for script, native in by_script.items():
        found = _in_script(script, native, languages)
        if found.language is not None:
            scores[found.language] += found.words  # type: ignore[assignment]
    others = total - len(latin)
    if others < MIXED * total:
        found = _in_latin(latin, languages)
        if found.language is not None:
            scores[found.language] += found.words  # type: ignore[assignment]
    if not scores:
        plain = not by_script and not _little_words(latin, LATIN, languages)
        return _as_detected(detected, languages, by_script, total if plain else others)
    language, weight = scores.most_common(1)[0]
    counted = others or len(latin)
    return Evidence(language, weight) if weight >= PURE * counted / 2 else Evidence()


def script_of(word: str) -> str | None:
    """ISO 15924 code of the script of a word's first letter, among those of India."""
    for char in word:
        for first, last, script in _BLOCKS:
            if first <= ord(char) <= last and char.isalpha():
                return script
    return None


def _in_script(script: str, words: list[str], languages: Sequence[str]) -> Evidence:
    """What words in one script of India tell."""
    able = [code for code in languages if LANGUAGES[code].script == script]
    assamese = any(letter in word for word in words for letter in _ASSAMESE)
    if script == "Beng" and "as" in able and assamese:
        return Evidence("as", len(words))
    if len(able) == 1:
        # Of several languages in this script only one is spoken here; it may still be another.
        rivals = NATIVE.get(script, {})
        hits = _hits(words, rivals)
        mine = hits.get(able[0], 0)
        best = max(hits.values(), default=0)
        return Evidence(able[0], len(words)) if not best or mine * 2 >= best else Evidence()
    return _by_little_words(words, NATIVE.get(script, {}), able)


def _in_latin(words: list[str], languages: Sequence[str]) -> Evidence:
    """What words in Latin letters tell: English, or another language so written."""
    able = [code for code in languages if code in LATIN]
    lowered = [word.lower() for word in words]
    foreign = {code: hits for code, hits in _hits(lowered, LATIN).items() if code != "en-IN"}
    clear = [word for word in lowered if word not in EITHER] if any(foreign.values()) else lowered
    return _by_little_words(clear, LATIN, able, all_words=len(words))


def _by_little_words(
    words: list[str],
    lexicon: Mapping[str, frozenset[str]],
    able: Sequence[str],
    all_words: int | None = None,
) -> Evidence:
    """Whose little words these are: two that nobody else has make it sure, one makes it likely."""
    shared = {w for w in words if sum(w in lexicon.get(code, ()) for code in able) > 1}
    hits = _hits([word for word in words if word not in shared], lexicon)
    ranked = sorted(hits, key=lambda code: hits[code], reverse=True)
    if not ranked or ranked[0] not in able or not hits[ranked[0]]:
        return Evidence()
    first, second = hits[ranked[0]], hits[ranked[1]] if len(ranked) > 1 else 0
    count = all_words if all_words is not None else len(words)
    if first >= 2 and first >= 2 * second:
        return Evidence(ranked[0], count)
    return Evidence(ranked[0], count / 2) if not second else Evidence()


def _hits(words: list[str], lexicon: Mapping[str, frozenset[str]]) -> dict[str, int]:
    return {code: sum(word in little for word in words) for code, little in lexicon.items()}


def _little_words(
    words: list[str], lexicon: Mapping[str, frozenset[str]], languages: Sequence[str]
) -> bool:
    """Whether words have any little word of languages that are not English."""
    hits = _hits([word.lower() for word in words], lexicon)
    return any(count for code, count in hits.items() if code != "en-IN")


def _as_detected(
    detected: str | None,
    languages: Sequence[str],
    by_script: Mapping[str, list[str]],
    words: int,
) -> Evidence:
    """The recogniser's own word, where the text does not contradict it."""
    if detected is None or detected not in languages:
        return Evidence()
    scripts = set(by_script)
    if scripts and scripts != {LANGUAGES[detected].script}:
        return Evidence()
    return Evidence(detected, words)


def _bare(word: str) -> str:
    """A word without the marks around it."""
    return word.strip(".,!?;:\"'()[]।॥؟،۔…-–—")
