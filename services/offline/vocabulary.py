"""What one agent can hear, and how that becomes a grammar."""

from typing import Annotated

import msgspec

from config.errors import ConfigError
from services.offline.acoustic_model import load_model
from services.offline.grammar import Front, Grammar, NetworkBuilder, add_words, words_of
from services.offline.slots import SLOTS, add_slot


class Vocabulary(msgspec.Struct, frozen=True):
    """The phrases of one agent in one language; equal ones share a recogniser.

    Attributes:
        phrases: As written, each once; may hold slots in braces.
        voice: espeak voice whose pronunciation is used.
    """

    phrases: Annotated[tuple[str, ...], msgspec.Meta(max_length=2_000)]
    voice: str


def check_phrases(phrases: tuple[str, ...]) -> None:
    """Refuse slots that do not exist.

    Raises:
        ConfigError: A phrase names one.
    """
    for phrase in phrases:
        for word in words_of(phrase):
            if word.startswith("{") and word.strip("{}") not in SLOTS:
                known = ", ".join(f"{{{name}}}" for name in SLOTS)
                raise ConfigError(f"{word} in {phrase!r} is not a slot; slots are {known}")


def build_grammar(vocabulary: Vocabulary) -> Grammar:
    """Compile a vocabulary: about 0.1 s for fifty phrases, more with ``{number}``.

    Raises:
        ProviderError: A package is missing or the vocabulary is too large.
    """
    builder = NetworkBuilder(load_model(), vocabulary.voice)
    start = builder.start()
    tails: dict[str, Front] = {}
    for group, phrase in enumerate(vocabulary.phrases):
        front = start
        words = words_of(phrase)
        run: list[str] = []
        for place, word in enumerate(words):
            if not word.startswith("{"):
                run.append(word)
                continue
            front, run = _append(builder, front, run, start), []
            if place == len(words) - 1:
                tails.setdefault(word, []).extend(_between(builder, front, start))
                front = []
            else:
                front = add_slot(builder, word.strip("{}"), _between(builder, front, start))
        front = _append(builder, front, run, start) if front else front
        if front and front is not start:
            builder.finish(front, group)
    for offset, (slot, front) in enumerate(tails.items()):
        ends = add_slot(builder, slot.strip("{}"), front)
        builder.finish(ends, len(vocabulary.phrases) + offset)
    return builder.build()


def _append(builder: NetworkBuilder, front: Front, words: list[str], start: Front) -> Front:
    return add_words(builder, _between(builder, front, start), words) if words else front


def _between(builder: NetworkBuilder, front: Front, start: Front) -> Front:
    return front if front is start else builder.pause(front)
