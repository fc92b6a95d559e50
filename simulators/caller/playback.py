"""The far end's play-out buffer: audio arrives, is played in order, and can be flushed.

Pure: every method is told the time. Positions are counted in units of 1/48000 s since the
call's zero, so that samples at 8, 16 and 24 kHz all lie on whole units.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.caller.codec import WireFormat
from simulators.speech import Pcm, resample

UNITS_PER_MS: Final = 48
#: A flush is over after this long even if it is never acknowledged. Applications may give up
#: waiting after a second by their own clock, which is not quite ours.
FLUSH_LIMIT_MS: Final = 950.0


@dataclass(slots=True)
class Segment:
    """One message of audio on the play-out line.

    Attributes:
        arrived_ms: When it was received.
        start: Position of its first sample.
        length: Its length in units.
        played: How much of it is heard; less than ``length`` where a flush cut it.
        audible: Whether it holds anything but silence.
    """

    arrived_ms: float
    start: int
    length: int
    played: int
    payload: bytes
    format: WireFormat
    audible: bool

    @property
    def start_ms(self) -> float:
        """When its first sample is heard."""
        return self.start / UNITS_PER_MS

    @property
    def end_ms(self) -> float:
        """When its last sample has been heard."""
        return (self.start + self.played) / UNITS_PER_MS


@dataclass(frozen=True, slots=True)
class PlayedOut:
    """Everything queued before checkpoint ``name`` has been heard."""

    name: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """A flush is complete."""


PlaybackEvent = PlayedOut | Cleared


class Playback:
    """A buffer that plays in real time from the arrival of its first packet."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.clears_ms: list[float] = []
        self.voided: list[str] = []
        self.lost_to_flush_ms = 0.0
        self.last_audible_end_ms = -math.inf
        self._end = 0
        self._checkpoints: deque[tuple[int, str]] = deque()
        self._acknowledge_at_ms: deque[float] = deque()
        self._flushing_until_ms = -math.inf

    @property
    def end_ms(self) -> float:
        """When the buffer runs, or ran, dry."""
        return self._end / UNITS_PER_MS

    def flushing(self, now_ms: float) -> bool:
        """Whether audio that arrives now would be lost to a flush under way."""
        return now_ms < self._flushing_until_ms

    def play(self, now_ms: float, payload: bytes, wire_format: WireFormat) -> Segment | None:
        """Queue audio; returns its segment, or None where a flush under way swallows it."""
        samples = len(payload) // wire_format.sample_bytes
        step = UNITS_PER_MS * 1000 // wire_format.rate_hz
        length = samples * step
        if self.flushing(now_ms):
            self.lost_to_flush_ms += length / UNITS_PER_MS
            return None
        arrival = math.ceil(now_ms * UNITS_PER_MS / step - 1e-6) * step
        audible = wire_format.audible(payload)
        segment = Segment(
            now_ms, max(arrival, self._end), length, length, payload, wire_format, audible
        )
        self._end = segment.start + length
        if audible:
            self.last_audible_end_ms = segment.end_ms
        self.segments.append(segment)
        return segment

    def checkpoint(self, now_ms: float, name: str) -> None:
        """Remember to report when all that is queued now has been heard."""
        self._checkpoints.append((max(self._end, round(now_ms * UNITS_PER_MS)), name))

    def clear(self, now_ms: float, latency_ms: float | None = 0.0) -> None:
        """Drop what has not been heard; pending checkpoints become void.

        Args:
            latency_ms: When the flush is acknowledged, counted from now; audio that arrives
                earlier is lost. None: never acknowledged.
        """
        self.cut(now_ms)
        self.clears_ms.append(now_ms)
        wait_ms = FLUSH_LIMIT_MS if latency_ms is None else min(latency_ms, FLUSH_LIMIT_MS)
        self._flushing_until_ms = now_ms + wait_ms
        if latency_ms is not None:
            self._acknowledge_at_ms.append(now_ms + latency_ms)

    def cut(self, now_ms: float) -> None:
        """Stop playing at this instant, as when the line is dropped."""
        now = math.ceil(now_ms * UNITS_PER_MS)
        for segment in reversed(self.segments):
            if segment.start + segment.played <= now:
                break
            step = UNITS_PER_MS * 1000 // segment.format.rate_hz
            heard = max(0, now - segment.start)
            segment.played = min(segment.played, -(-heard // step) * step)
        self._end = min(self._end, now)
        self.last_audible_end_ms = min(self.last_audible_end_ms, now_ms)
        self.voided.extend(name for _, name in self._checkpoints)
        self._checkpoints.clear()

    def due(self, now_ms: float) -> list[PlaybackEvent]:
        """Take what has come to pass by now, in order."""
        events: list[PlaybackEvent] = []
        while self._acknowledge_at_ms and self._acknowledge_at_ms[0] <= now_ms:
            self._acknowledge_at_ms.popleft()
            events.append(Cleared())
        while self._checkpoints and self._checkpoints[0][0] <= now_ms * UNITS_PER_MS:
            events.append(PlayedOut(self._checkpoints.popleft()[1]))
        return events

    def first_audible_after(self, after_ms: float) -> float | None:
        """When the first audible packet after the given instant arrived."""
        for segment in arrived_after(self.segments, after_ms):
            if segment.audible:
                return segment.arrived_ms
        return None

    def heard(self, until_ms: float, rate_hz: int | None = None) -> Pcm:
        """What the ear received, from the call's zero, with silence where nothing played.

        Args:
            until_ms: Length of the result.
            rate_hz: Its sample rate; by default that of the first audio received.
        """
        if rate_hz is None:
            rate_hz = self.segments[0].format.rate_hz if self.segments else 8000
        ear = np.zeros(round(until_ms * rate_hz / 1000), dtype=np.int16)
        units = UNITS_PER_MS * 1000 // rate_hz
        for segment in self.segments:
            pcm = resample(segment.format.decode(segment.payload), segment.format.rate_hz, rate_hz)
            start = -(-segment.start // units)
            pcm = pcm[: max(0, min(segment.played // units, ear.size - start))]
            ear[start : start + pcm.size] = pcm
        return ear


def arrived_after(segments: list[Segment], after_ms: float) -> list[Segment]:
    """The segments that arrived after an instant, oldest first; looks only at those."""
    at = len(segments)
    while at > 0 and segments[at - 1].arrived_ms > after_ms:
        at -= 1
    return segments[at:]
