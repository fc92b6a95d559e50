"""From the phrases of an agent to a network of phones.

Every phrase is a row of words, every word a row of sounds with alternatives, and between words
there may be a pause. Slots are small networks of their own (:mod:`slots`); the one that ends
several phrases is shared by them.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from services.offline.acoustic_model import AcousticModel
from services.offline.errors import recognizer_error
from services.offline.pronunciations import Pronunciation, pronounce
from services.offline.search import START, Network

TokenKind = Literal["word", "digit", "number"]

#: Where a path stands: nodes it may come from, with what leaving each costs.
Front = list[tuple[int, float]]

#: A network this large takes about 0.2 s for a sentence.
MAX_NODES = 40_000

_PAUSE_COST = 2.0
_NO_SILENCE_COST = 2.0
_SLOT = re.compile(r"(\{[a-z_]+\})")
_WORD_EDGES = re.compile(r"^[^\w]+|[^\w\u0900-\u0dff\u200c\u200d]+$")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or value that a path through the network may contain.

    Attributes:
        text: What is written for it.
        kind: Digits next to each other are written together, numbers are added up.
    """

    text: str
    kind: TokenKind = "word"


@dataclass(frozen=True, slots=True)
class Grammar:
    """A network together with what its nodes mean.

    Attributes:
        network: For the search.
        tokens: Distinct occurrences of words.
        token_of: ``(nodes,)`` index into ``tokens``; -1 for silence.
        group_of: For each of ``network.finals``, the phrase (or shared slot) that it ends.
    """

    network: Network
    tokens: tuple[Token, ...]
    token_of: tuple[int, ...]
    group_of: tuple[int, ...]

    def text(self, nodes: list[int]) -> str:
        """What a path says."""
        said: list[Token] = []
        before, token_before = -1, -1
        for node in nodes:
            token = self.token_of[node]
            # Within a word nodes only ever increase; going back means the word was said again.
            if token >= 0 and (token != token_before or node <= before):
                said.append(self.tokens[token])
            if token >= 0:
                before, token_before = node, token
        return _write(said)


def _write(said: list[Token]) -> str:
    written: list[str] = []
    kind_before: TokenKind = "word"
    for token in said:
        if token.kind == "digit" and kind_before == "digit":
            written[-1] += token.text
        elif token.kind == "number" and kind_before == "number":
            written[-1] = str(int(written[-1]) + int(token.text))
        else:
            written.append(token.text)
        kind_before = token.kind
    return " ".join(written)


@dataclass(slots=True)
class NetworkBuilder:
    """Grows a network node by node.

    Attributes:
        model: Whose phones and states are used.
        voice: espeak voice that reads what no dictionary has.
    """

    model: AcousticModel
    voice: str
    phones: list[int] = field(default_factory=list)
    arcs: list[Front] = field(default_factory=list)
    firsts: list[bool] = field(default_factory=list)
    lasts: list[bool] = field(default_factory=list)
    token_of: list[int] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    finals: list[tuple[int, int]] = field(default_factory=list)

    def start(self) -> Front:
        """Where every phrase begins: after silence, or at once."""
        silence = self._silence([(START, 0.0)])
        return [(silence, 0.0), (START, _NO_SILENCE_COST)]

    def say(
        self, front: Front, token: Token, ways: tuple[Pronunciation, ...], cost: float = 0.0
    ) -> Front:
        """Append one token in all its pronunciations; returns where it may end.

        Args:
            front: Where it may begin.
            token: What it means.
            ways: How it is said.
            cost: Log-penalty of saying it at all.
        """
        front = [(node, paid + cost) for node, paid in front]
        self.tokens.append(token)
        index = len(self.tokens) - 1
        ends: Front = []
        for way in ways:
            at = front
            for place, sound in enumerate(way):
                edges = (place == 0, place == len(way) - 1)
                after: Front = []
                for phones, cost in sound:
                    reached = [(node, paid + cost) for node, paid in at]
                    after += self._chain(reached, phones, index, edges)
                at = after
            ends += at
        return ends

    def pause(self, front: Front) -> Front:
        """The same place, with or without a pause."""
        return [*front, (self._silence(front), _PAUSE_COST)]

    def finish(self, front: Front, group: int) -> None:
        """Let utterances end here, with or without silence."""
        self.finals += [(node, group) for node, _ in front if node != START]
        self.finals.append((self._silence(front), group))

    def loop(self, entries: range, front: Front) -> None:
        """Let those of the nodes ``entries`` that can be reached from outside be reached again."""
        for node in entries:
            outside = [cost for source, cost in self.arcs[node] if source not in entries]
            if outside:
                again = [(source, paid + min(outside)) for source, paid in front]
                self.arcs[node] = self.arcs[node] + again

    def build(self) -> Grammar:
        """The finished network.

        Raises:
            ProviderError: It has grown beyond ``MAX_NODES``.
        """
        if len(self.phones) > MAX_NODES:
            raise recognizer_error(
                "vocabulary_too_large",
                f"the phrases make {len(self.phones)} sounds, at most {MAX_NODES} fit; use fewer",
            )
        finals = np.array([node for node, _ in self.finals], np.int32)
        groups = tuple(group for _, group in self.finals)
        states = np.array(self._states(), np.int32)
        network = make_network(self.model, np.array(self.phones, np.int32), states, self.arcs)
        network = network.ending_in(finals)
        return Grammar(network, tuple(self.tokens), tuple(self.token_of), groups)

    def _silence(self, front: Front) -> int:
        return self._node(self.model.number("SIL"), front, -1, (True, True))

    def _chain(
        self, front: Front, phones: tuple[str, ...], token: int, edges: tuple[bool, bool]
    ) -> Front:
        first, last = edges
        for place, phone in enumerate(phones):
            here = (first and place == 0, last and place == len(phones) - 1)
            front = [(self._node(self.model.number(phone), front, token, here), 0.0)]
        return front

    def _node(self, phone: int, front: Front, token: int, edges: tuple[bool, bool]) -> int:
        self.phones.append(phone)
        self.arcs.append(list(front))
        self.token_of.append(token)
        self.firsts.append(edges[0])
        self.lasts.append(edges[1])
        return len(self.phones) - 1

    def _states(self) -> list[tuple[int, int, int]]:
        """The senones of each node, in the context of its neighbour on either side."""
        silence = self.model.number("SIL")
        left = [silence] * len(self.phones)
        right = [silence] * len(self.phones)
        # The first alternative decides: it is the likeliest neighbour.
        for node in reversed(range(len(self.phones))):
            for source, _ in reversed(self.arcs[node]):
                if source != START:
                    left[node] = self.phones[source]
                    right[source] = self.phones[node]
        return [
            self.model.senones(phone, left[n], right[n], first=self.firsts[n], last=self.lasts[n])
            if phone != silence
            else self.model.senones(phone, None, None, first=True, last=True)
            for n, phone in enumerate(self.phones)
        ]


def make_network(
    model: AcousticModel,
    phones: np.ndarray[tuple[int], np.dtype[np.int32]],
    states: np.ndarray[tuple[int, int], np.dtype[np.int32]],
    arcs: list[Front],
) -> Network:
    """Lay a list of arcs per node out in arrays."""
    senones, columns = np.unique(states, return_inverse=True)
    counts = [len(front) for front in arcs]
    return Network(
        senones=senones.astype(np.int32),
        states=columns.reshape(states.shape).astype(np.int32),
        stay=model.stay[phones],
        leave=model.leave[phones],
        silent=phones == model.number("SIL"),
        sources=np.array([source for front in arcs for source, _ in front], np.int32),
        penalties=np.array([-cost for front in arcs for _, cost in front], np.float32),
        offsets=np.cumsum([0, *counts[:-1]]).astype(np.int32),
        finals=np.arange(len(phones), dtype=np.int32),
    )


def phone_loop(model: AcousticModel, cost: float) -> Network:
    """Any phones in any order: what the utterance is compared with."""
    phones = np.array(
        [n for n, name in enumerate(model.phones) if not name.startswith("+")], np.int32
    )
    front = [(node, cost) for node in range(len(phones))]
    return make_network(
        model, phones, model.monophones[phones], [[(START, 0.0), *front] for _ in phones]
    )


def words_of(phrase: str) -> list[str]:
    """A phrase in pieces: words as written, and slots in their braces."""
    spaced = _SLOT.sub(r" \1 ", phrase)
    return spaced.split()


def add_words(builder: NetworkBuilder, front: Front, words: list[str]) -> Front:
    """Append words that stand for themselves, with possible pauses between them."""
    for place, word in enumerate(words):
        ways = pronounce(_WORD_EDGES.sub("", word), builder.voice)
        if not ways:
            continue
        if place:
            front = builder.pause(front)
        front = builder.say(front, Token(word), ways)
    return front
