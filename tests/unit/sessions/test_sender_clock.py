"""Packets of a stalled network are laid where they were spoken, also where some are missing."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.journal_format import CALLER
from sessions.sender_clock import LONGEST_BURST_SECONDS, SenderClock, spoken_since
from tests.unit.sessions.journals import numbered, packets
from tests.unit.sessions.test_recording import leg, record

EPOCH_MS = 1_793_514_600_123.0


def dues(arrivals: list[float], stamps: list[float | None]) -> list[float]:
    clock = SenderClock()
    return [clock.due_ms(*each, 20.0) for each in zip(arrivals, stamps, strict=True)]


def test_a_burst_with_losses_is_laid_where_it_was_spoken(tmp_path: Path) -> None:
    """Ten packets of a stall of one second never come; each that does is in its place."""
    sound = packets(numbered(160 * 200))
    lost = set(random.Random(7).sample(range(101, 149), 10))
    kept = [i for i in range(200) if i not in lost]
    arrivals = [3000.0 if 100 <= i < 150 else 20.0 * i for i in kept]
    clock = SenderClock()
    stamps = [EPOCH_MS + 20 * i for i in kept]
    frames = [
        (CALLER, clock.due_ms(at, stamp, 20.0), sound[i])
        for i, at, stamp in zip(kept, arrivals, stamps, strict=True)
    ]
    record(tmp_path, frames)
    found = packets(leg(tmp_path, 0).astype("<i2").tobytes())
    for i in kept:
        assert found[i] == sound[i], f"packet {i} is not where it was spoken"
    assert all(found[i] == bytes(320) for i in lost)


@given(st.lists(st.floats(0, 500), min_size=2, max_size=100), st.integers(0, 10**13))
def test_lateness_is_taken_back_and_nothing_runs_backwards(late: list[float], epoch: int) -> None:
    arrivals: list[float] = []
    for i, ms in enumerate(late):
        arrivals.append(max([20.0 * i + ms, *arrivals[-1:]]))
    found = dues(arrivals, [epoch + 20.0 * i for i in range(len(late))])
    for due, arrival in zip(found, arrivals, strict=True):
        assert due <= arrival + 0.01
    assert all(one <= other + 0.01 for one, other in pairwise(found))
    # Once the most punctual has come, all that follow are laid by it.
    best = min(range(len(late)), key=lambda i: arrivals[i] - 20.0 * i)
    least = arrivals[best] - 20.0 * best
    for i in range(best, len(late)):
        assert found[i] == pytest.approx(20.0 * i + least, abs=0.01)


@pytest.mark.parametrize(
    "stamp",
    [
        lambda i: None,
        lambda i: 5.0,  # It never moves.
        lambda i: i * 0.02,  # Seconds.
        lambda i: EPOCH_MS - 20 * i,  # It runs backwards.
        lambda i: 1e300 + i,
        lambda i: -5.0,
    ],
)
def test_times_that_are_none_are_not_believed(stamp: object) -> None:
    arrivals = [20.0 * i + (7 * i) % 11 for i in range(2000)]
    found = dues(arrivals, [stamp(i) for i in range(2000)])  # type: ignore[operator]
    worst = max(arrival - due for arrival, due in zip(arrivals, found, strict=True))
    assert 0 <= worst <= 100


def test_a_clock_that_is_set_is_followed(tmp_path: Path) -> None:
    arrivals = [20.0 * i for i in range(300)]
    stamps: list[float | None] = [
        EPOCH_MS + 20.0 * i + (5000 if 100 <= i < 200 else 0) for i in range(300)
    ]
    assert dues(arrivals, stamps) == pytest.approx(arrivals, abs=0.01)


def test_a_drifting_clock_is_followed() -> None:
    """An hour of a sender whose clock is slower, or faster, by 200 in a million."""
    for drift in (0.9998, 1.0002):
        arrivals = [20.0 * i for i in range(180_000)]
        found = dues(arrivals, [EPOCH_MS + 20.0 * i * drift for i in range(180_000)])
        late = max(arrival - due for arrival, due in zip(arrivals, found, strict=True))
        assert late <= 5


def test_a_burst_was_spoken_before_it_came() -> None:
    burst = [(10.0, 0.02)] * 50
    assert spoken_since(burst, 10.0) == pytest.approx(10.0 - 49 * 0.02)
    live = [(10.0 + 0.02 * i, 0.02) for i in range(50)]
    assert spoken_since(live, 10.0) == pytest.approx(10.0)
    assert spoken_since([(10.0, 60.0)] * 3, 10.0) == 10.0 - LONGEST_BURST_SECONDS
    assert spoken_since([], 10.0) == 10.0
