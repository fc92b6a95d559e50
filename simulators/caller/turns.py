"""How long each of the caller's inputs waited for its answer."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from simulators.caller.codec import PACKET_MS
from simulators.caller.heard import Reply
from simulators.caller.phrase import Utterance
from simulators.caller.playback import Playback


@dataclass(frozen=True, slots=True)
class Turn:
    """One input of the caller and what came of it.

    Attributes:
        start_ms: When the caller began to speak, or pressed the key.
        end_ms: When the last sample of speech was sent.
        response_ms: From ``end_ms`` to the arrival of the reply's first audible packet; None if
            none came before the caller's next input ended.
        cut_ms: Where the caller spoke over the agent: from ``start_ms`` to the flush.
    """

    kind: Literal["speech", "key"]
    text: str
    start_ms: float
    end_ms: float
    response_ms: float | None
    cut_ms: float | None


@dataclass(frozen=True, slots=True)
class _Input:
    kind: Literal["speech", "key"]
    text: str
    start_ms: float
    end_ms: float


def find_turns(
    utterances: Iterable[Utterance],
    keys: Iterable[tuple[float, str]],
    replies: Sequence[Reply],
    playback: Playback,
) -> tuple[Turn, ...]:
    """Match the caller's inputs, in order, with the agent's replies."""
    inputs = [
        _Input("speech", each.phrase.text, each.start_ms, each.end_ms)
        for each in utterances
        if math.isfinite(each.end_ms)
    ]
    inputs += [_Input("key", digit, at_ms, at_ms) for at_ms, digit in keys]
    inputs.sort(key=lambda each: each.end_ms)
    limits_ms = [*(each.end_ms for each in inputs), math.inf][1:]
    return tuple(
        Turn(
            each.kind,
            each.text,
            each.start_ms,
            each.end_ms,
            _response_ms(each, limit_ms, replies, playback),
            _cut_ms(each.start_ms, replies, playback.clears_ms),
        )
        for each, limit_ms in zip(inputs, limits_ms, strict=True)
    )


def _response_ms(
    of: _Input, limit_ms: float, replies: Sequence[Reply], playback: Playback
) -> float | None:
    """A reply that began before the input and merely goes on is no answer to it."""
    for reply in replies:
        arrived_ms: float | None = None
        if reply.arrived_ms > of.end_ms:
            arrived_ms = reply.arrived_ms
        elif reply.arrived_ms >= of.start_ms and reply.end_ms > of.end_ms:
            arrived_ms = playback.first_audible_after(of.end_ms)
        if arrived_ms is not None:
            return arrived_ms - of.end_ms if arrived_ms <= limit_ms else None
    return None


def _cut_ms(start_ms: float, replies: Sequence[Reply], clears_ms: Sequence[float]) -> float | None:
    cleared_ms = next((at_ms for at_ms in clears_ms if at_ms >= start_ms), None)
    if cleared_ms is None:
        return None
    spoken_over = any(
        reply.start_ms < start_ms and abs(reply.end_ms - cleared_ms) <= PACKET_MS
        for reply in replies
    )
    return cleared_ms - start_ms if spoken_over else None
