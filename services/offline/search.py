"""The best way through a network of phones, frame by frame, without pruning.

A network of a few thousand phones is small enough to follow whole: each frame is a handful of
array operations over all of them, so nothing is ever cut off too early and the score of every
phrase is exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.offline.acoustic_model import STATES, AcousticModel, Floats, Ints
from services.offline.frontend import Features

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


@dataclass(frozen=True, slots=True)
class Step:
    """A node on the best path and the frames it took, ``first`` to ``last`` exclusive."""

    node: int
    first: int
    last: int


#: Source index that stands for the start of the utterance.
START = -1


def follow(network: Network, scores: Floats, active: NDArray[np.bool_], silence: float) -> Floats:
    """All paths through all frames: ``(T, 3, nodes)`` best score of being in each state.

    Args:
        network: Where one may go.
        scores: ``(T, len(network.senones))``.
        active: Frames with speech, in which silence costs ``silence`` more.
        silence: Log-penalty per such frame.
    """
    nodes = len(network.silent)
    history = np.empty((len(scores), STATES, nodes), np.float32)
    states = network.states.T.copy()
    stay = network.stay.T.copy()
    leave = network.leave.T.copy()
    hush = np.where(network.silent, np.float32(-silence), np.float32(0))
    exits = np.full(nodes + 1, _NEVER, np.float32)
    exits[START] = 0
    now = np.full((STATES, nodes), _NEVER, np.float32)
    for t, row in enumerate(scores):
        entering = np.maximum.reduceat(exits[network.sources] + network.penalties, network.offsets)
        step = now + stay
        np.maximum(step[1:], now[:-1] + leave[:-1], out=step[1:])
        np.maximum(step[0], entering, out=step[0])
        step += row[states]
        if active[t]:
            step += hush
        now = step
        history[t] = now
        exits[:nodes] = now[-1] + leave[-1]
        exits[START] = _NEVER
    return history


def trace(network: Network, history: Floats, final: int) -> list[Step]:
    """The best path that ends in node ``final``, from first to last."""
    nodes = len(network.silent)
    node, state, t = final, STATES - 1, len(history) - 1
    steps: list[Step] = []
    end = t + 1
    while t >= 0:
        if state > 0:
            if t == 0:
                break
            stayed = history[t - 1, state, node] + network.stay[node, state]
            moved = history[t - 1, state - 1, node] + network.leave[node, state - 1]
            state -= int(moved > stayed)
            t -= 1
            continue
        first = int(network.offsets[node])
        last = int(network.offsets[node + 1]) if node + 1 < nodes else len(network.sources)
        sources = network.sources[first:last]
        penalties = network.penalties[first:last]
        if t == 0:
            steps.append(Step(node, 0, end))
            break
        arriving = np.where(
            sources == START,
            _NEVER,
            history[t - 1, -1, sources] + network.leave[sources, -1] + penalties,
        )
        best = int(arriving.argmax())
        stayed = history[t - 1, 0, node] + network.stay[node, 0]
        t -= 1
        if arriving[best] > stayed:
            steps.append(Step(node, t + 1, end))
            end = t + 1
            node, state = int(sources[best]), STATES - 1
    return steps[::-1]


def speech_only(features: Features) -> int:
    """How many frames of the utterance are speech; at least 1."""
    return max(int(features.active.sum()), 1)
