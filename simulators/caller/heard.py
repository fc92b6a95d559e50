"""What a person would have noticed: replies, and the gaps within them.

Definitions, used by every figure that this package reports:

- A packet is *audible* where any of its samples reaches -42 dBFS.
- A *reply* is a run of audible packets. A new one begins with the first audible packet after
  a flush, with the first after the caller's own input (the last sample of a phrase, or a key)
  unless it goes on without a pause, and where ``reply_end_ms`` pass between two.
- A *gap* is a stretch of at least ``min_gap_ms`` between the first and the last audible packet
  of one reply during which the play-out buffer was empty: the caller hears speech break off
  and go on. Pauses that were sent as silent audio are no gaps.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulators.caller.playback import Segment

REPLY_END_MS = 1000.0
MIN_GAP_MS = 10.0


@dataclass(frozen=True, slots=True)
class Gap:
    """The buffer ran dry in the middle of a reply.

    Attributes:
        start_ms: When, since the call's zero.
        length_ms: For how long nothing was heard.
    """

    start_ms: float
    length_ms: float


@dataclass(frozen=True, slots=True)
class Reply:
    """One stretch of the agent's speech.

    Attributes:
        arrived_ms: When its first audible packet was received.
        start_ms: When that packet was heard.
        end_ms: When its last audible packet had been heard.
        gaps: Underruns within it.
    """

    arrived_ms: float
    start_ms: float
    end_ms: float
    gaps: tuple[Gap, ...]


class _Run:
    """A reply being put together."""

    def __init__(self, segment: Segment) -> None:
        self.arrived_ms = segment.arrived_ms
        self.start_ms = segment.start_ms
        self.end_ms = segment.end_ms
        self.gaps: list[Gap] = []

    def finished(self) -> Reply:
        return Reply(self.arrived_ms, self.start_ms, self.end_ms, tuple(self.gaps))


def find_replies(
    segments: Iterable[Segment],
    *,
    inputs_ms: Sequence[float] = (),
    clears_ms: Sequence[float] = (),
    reply_end_ms: float = REPLY_END_MS,
    min_gap_ms: float = MIN_GAP_MS,
) -> tuple[Reply, ...]:
    """Divide what was heard into replies.

    Args:
        segments: In order of play.
        inputs_ms: When the caller's inputs ended.
        clears_ms: When the buffer was flushed.
    """
    inputs, clears = sorted(inputs_ms), sorted(clears_ms)
    replies: list[Reply] = []
    run: _Run | None = None
    dry: list[Gap] = []
    dry_since_ms = 0.0
    for segment in segments:
        if segment.played == 0:
            continue
        silence_ms = segment.start_ms - dry_since_ms
        if silence_ms >= min_gap_ms:
            dry.append(Gap(dry_since_ms, silence_ms))
        dry_since_ms = segment.end_ms
        if not segment.audible:
            continue
        if run is not None and not (
            _crossed(clears, run, segment)
            or segment.start_ms - run.end_ms >= reply_end_ms
            or (segment.start_ms > run.end_ms and _crossed(inputs, run, segment))
        ):
            run.gaps += dry
            run.end_ms = segment.end_ms
        else:
            if run is not None:
                replies.append(run.finished())
            run = _Run(segment)
        dry = []
    if run is not None:
        replies.append(run.finished())
    return tuple(replies)


def _crossed(borders: Sequence[float], run: _Run, segment: Segment) -> bool:
    """Whether a border lies after the beginning of a reply, up to a packet's."""
    return bisect_right(borders, segment.start_ms) > bisect_right(borders, run.start_ms)
