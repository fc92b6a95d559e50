"""The best way through a network of phones, frame by frame, without pruning.

A network of a few thousand phones is small enough to follow whole: each frame is a handful of
array operations over all of them, so nothing is ever cut off too early and the score of every
phrase is exact.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.offline.acoustic_model import STATES, AcousticModel, Floats, Ints

_NEVER = np.float32(-1e9)


def score_senones(model: AcousticModel, frames: Floats, wanted: Ints) -> Floats:
    """Log-likelihood of each frame in each wanted senone, ``(T, len(wanted))``."""
    count = len(frames)
    densities = model.weights[0].shape[1]
    per_phone: list[Floats] = []
    peaks: list[Floats] = []
    for stream, matrix in enumerate(model.gaussians):
        x = frames[:, stream * 13 : stream * 13 + 13]
        design = np.concatenate([x * x, x, np.ones((count, 1), np.float32)], axis=1)
        logs = (design @ matrix).reshape(count, -1, densities)
        peak = logs.max(axis=2)
        per_phone.append(np.exp(logs - peak[:, :, None]))
        peaks.append(peak)
    scores = np.empty((count, len(wanted)), np.float32)
    phones = model.senone_phone[wanted]
    for phone in np.unique(phones):
        columns = np.flatnonzero(phones == phone)
        chosen = model.senone_column[wanted[columns]]
        total = np.zeros((count, len(columns)), np.float32)
        for stream, likelihood in enumerate(per_phone):
            mixed = likelihood[:, phone] @ model.weights[phone][stream][:, chosen]
            total += np.log(mixed + 1e-30) + peaks[stream][:, phone, None]
        scores[:, columns] = total
    return scores


@dataclass(frozen=True, slots=True)
class Network:
    """Phones and how they follow each other; a node is one phone in one place.

    Attributes:
        senones: Distinct senones used.
        states: ``(nodes, 3)`` columns of ``senones``.
        stay: ``(nodes, 3)``; ``leave``: likewise; log-probabilities.
        silent: ``(nodes,)`` true for silence.
        sources: Predecessor of every arc; arcs are sorted by their target.
        penalties: Log-weight of every arc.
        offsets: ``(nodes,)`` first arc of each node.
        finals: Nodes at which an utterance may end.
    """

    senones: Ints
    states: Ints
    stay: Floats
    leave: Floats
    silent: NDArray[np.bool_]
    sources: Ints
    penalties: Floats
    offsets: Ints
    finals: Ints

    def ending_in(self, finals: Ints) -> "Network":
        """The same network with other ends."""
        return replace(self, finals=finals)


@dataclass(frozen=True, slots=True)
class Paths:
    """All paths through all frames.

    Attributes:
        exits: ``(T, nodes)`` score of having left each node with each frame.
        moved: ``(T, nodes)`` bit ``s`` is set where the best way into state ``s`` was not staying.
        ends: ``(nodes,)`` score of leaving each node with the last frame.
    """

    exits: Floats
    moved: NDArray[np.uint8]
    ends: Floats


@dataclass(frozen=True, slots=True)
class Step:
    """A node on the best path and the frames it took, ``first`` to ``last`` exclusive."""

    node: int
    first: int
    last: int


#: Source index that stands for the start of the utterance.
START = -1


def follow(network: Network, scores: Floats, active: NDArray[np.bool_], silence: float) -> Paths:
    """Go through all frames, keeping the best way into every state.

    Args:
        network: Where one may go.
        scores: ``(T, len(network.senones))``, T at least 1.
        active: Frames with speech, in which silence costs ``silence`` more.
        silence: Log-penalty per such frame.
    """
    nodes = len(network.silent)
    states = np.ascontiguousarray(network.states.T)
    stay = np.ascontiguousarray(network.stay.T)
    leave = np.ascontiguousarray(network.leave.T)
    hush = np.where(network.silent, np.float32(-silence), np.float32(0))
    exits = np.empty((len(scores), nodes), np.float32)
    moved = np.zeros((len(scores), nodes), np.uint8)
    before = np.full(nodes + 1, _NEVER, np.float32)
    before[START] = 0
    now = np.full((STATES, nodes), _NEVER, np.float32)
    arriving = np.empty((STATES, nodes), np.float32)
    bits = np.array([1, 2, 4], np.uint8)[:, None]
    for t, row in enumerate(scores):
        reached = before[network.sources] + network.penalties
        np.maximum.reduceat(reached, network.offsets, out=arriving[0])
        np.add(now[:-1], leave[:-1], out=arriving[1:])
        now += stay
        moved[t] = ((arriving > now) * bits).sum(axis=0, dtype=np.uint8)
        np.maximum(now, arriving, out=now)
        now += row[states]
        if active[t]:
            now += hush
        np.add(now[-1], leave[-1], out=exits[t])
        before[:nodes] = exits[t]
        before[START] = _NEVER
    return Paths(exits=exits, moved=moved, ends=exits[-1])


def trace(network: Network, paths: Paths, final: int) -> list[Step]:
    """The best path that ends in node ``final``, from first to last."""
    node, state, end = final, STATES - 1, len(paths.exits)
    steps: list[Step] = []
    for t in range(len(paths.exits) - 1, -1, -1):
        if not paths.moved[t, node] >> state & 1:
            continue
        if state > 0:
            state -= 1
            continue
        steps.append(Step(node, t, end))
        if t == 0:
            break
        node, state, end = _source(network, paths.exits[t - 1], node), STATES - 1, t
    return steps[::-1]


def _source(network: Network, exits: Floats, node: int) -> int:
    """From which node ``node`` was best entered, given every node's score of being left."""
    first = int(network.offsets[node])
    following = network.offsets[node + 1 : node + 2]
    last = int(following[0]) if len(following) else len(network.sources)
    sources = network.sources[first:last]
    reached = np.where(sources == START, _NEVER, exits[sources] + network.penalties[first:last])
    return int(sources[reached.argmax()])
