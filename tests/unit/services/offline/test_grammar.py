"""Phrases become networks, and paths through them become text."""

import pytest

from config.errors import ConfigError, ProviderError
from services.offline import grammar as grammar_module
from services.offline.grammar import Grammar, Token, words_of
from services.offline.search import START
from services.offline.vocabulary import Vocabulary, build_grammar, check_phrases


def grammar(*phrases: str, voice: str = "en-us") -> Grammar:
    return build_grammar(Vocabulary(phrases, voice))


def path_of(built: Grammar, *tokens: int) -> list[int]:
    """All nodes of the given tokens, in order."""
    return [n for token in tokens for n, found in enumerate(built.token_of) if found == token]


def test_a_phrase_is_cut_into_words_and_slots() -> None:
    assert words_of("call me at {phone}, please") == ["call", "me", "at", "{phone}", ",", "please"]


def test_a_path_through_a_phrase_gives_it_back_as_written() -> None:
    built = grammar("Where is my order?")
    assert built.text(path_of(built, 0, 1, 2, 3)) == "Where is my order?"


def test_every_node_can_be_reached_and_every_phrase_ended() -> None:
    built = grammar("yes", "no thank you", "मेरा नंबर {digits} है", voice="hi")
    network = built.network
    reached: set[int] = set()
    for node in range(len(network.silent)):
        last = network.offsets[node + 1] if node + 1 < len(network.offsets) else None
        sources = network.sources[network.offsets[node] : last]
        assert len(sources)
        if any(source == START or int(source) in reached for source in sources):
            reached.add(node)
    assert len(reached) == len(network.silent)
    assert set(built.group_of) == {0, 1, 2}


def test_a_word_said_twice_is_written_twice() -> None:
    built = Grammar(grammar("bye").network, (Token("7", "digit"),), (0, 0, 0), (0,))
    assert built.text([0, 1, 2]) == "7"
    assert built.text([0, 1, 2, 0, 1, 2]) == "77"


def test_digits_are_joined_and_numbers_added_up() -> None:
    tokens = (
        Token("my"),
        Token("9", "digit"),
        Token("88", "digit"),
        Token("2000", "number"),
        Token("50", "number"),
    )
    built = Grammar(grammar("bye").network, tokens, (0, 1, 2, 3, 4), (0,))
    assert built.text([0, 1, 2]) == "my 988"
    assert built.text([3, 4]) == "2050"


def test_phrases_that_end_in_the_same_slot_share_it() -> None:
    one = grammar("{phone}")
    three = grammar("{phone}", "my number is {phone}", "call {phone}")
    assert len(three.token_of) < len(one.token_of) * 1.2


def test_an_unknown_slot_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ConfigError, match=r"\{date\}.*\{digits\}"):
        check_phrases(("on {date}",))


def test_a_vocabulary_beyond_all_measure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar_module, "MAX_NODES", 100)
    with pytest.raises(ProviderError, match="use fewer") as caught:
        grammar("{phone}")
    assert caught.value.code == "vocabulary_too_large"
    assert not caught.value.retryable


def test_a_phrase_without_a_sound_is_left_out() -> None:
    assert set(grammar("…", "yes").group_of) == {1}
