"""Calls that could not be stored are tried again for ever, oldest first, and somebody is told."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from sessions.waiting import Backoff, WaitingCalls

A, B, C = Path("a"), Path("b"), Path("c")


class Clock:
    """Both clocks of the process, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_800_000_000.0 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("sessions.waiting.time", made)
    return made


@pytest.fixture
def errors() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="ERROR", format="{message}")
    yield lines
    logger.remove(sink)


def waiting(alert_seconds: float = 900.0) -> WaitingCalls:
    return WaitingCalls(Backoff(first_seconds=2, longest_seconds=60), alert_seconds)


def test_pauses_grow_to_a_limit_and_are_spread() -> None:
    backoff = Backoff(first_seconds=2, longest_seconds=60)
    for tries, usual in enumerate((2, 4, 8, 16, 32, 60, 60)):
        pauses = [backoff.pause(tries) for _ in range(200)]
        assert usual * 0.5 <= min(pauses) < usual * 0.8
        assert usual * 1.2 < max(pauses) <= usual * 1.5
    assert backoff.pause(10**9) <= 90


def test_the_oldest_comes_first_whatever_failed_first(clock: Clock) -> None:
    calls = waiting()
    calls.found(B, clock.time() - 50)
    calls.found(A, clock.time() - 500)
    assert calls.due() == [A, B]
    assert calls.oldest_seconds() == 500
    calls.failed(A, "away", clock.now)
    assert calls.due() == [B]
    clock.now += 100
    assert calls.due() == [A, B]
    assert calls.oldest_seconds() == 600


def test_a_clock_that_was_set_back_makes_no_negative_age(clock: Clock) -> None:
    calls = waiting()
    calls.found(A, clock.time() + 3600)
    assert calls.oldest_seconds() == 0
    assert calls.due() == [A]


def test_the_first_success_brings_the_others_forward(clock: Clock) -> None:
    calls = waiting()
    for folder in (A, B, C):
        for _ in range(10):
            calls.failed(folder, "away", clock.now)
    assert calls.due() == []
    calls.stored(B)
    assert calls.due() == [A, C]
    assert B not in calls and len(calls) == 2


def test_a_call_that_fails_while_others_succeed_is_not_brought_forward(clock: Clock) -> None:
    """Otherwise a few that can never be stored would be tried between any two others."""
    calls = waiting()
    began = clock.now
    calls.failed(C, "away", began)
    clock.now += 1
    calls.stored(B)
    calls.failed(A, "came back changed", began)
    calls.stored(B)
    assert calls.due() == [C]
    # Once the store itself has been away, nobody is at fault any more.
    clock.now += 200
    calls.failed(A, "away", clock.now - 1)
    assert A not in calls.due()
    calls.stored(B)
    assert A in calls.due()


def test_somebody_is_told_when_the_oldest_waits_too_long(clock: Clock, errors: list[str]) -> None:
    calls = waiting(alert_seconds=60)
    calls.watch()
    calls.failed(A, "away", clock.now)
    calls.failed(B, "away", clock.now)
    clock.now += 59
    calls.watch()
    assert errors == []
    clock.now += 2
    calls.watch()
    calls.watch()
    (line,) = errors
    assert "2 calls wait to be stored, the oldest for 61 s" in line
    clock.now += 60
    calls.watch()
    assert len(errors) == 2
    calls.stored(A)
    calls.gone(B)
    clock.now += 1000
    calls.watch()
    assert len(errors) == 2 and calls.oldest_seconds() == 0


def test_what_is_worked_on_wakes_nobody(clock: Clock) -> None:
    calls = waiting()
    assert calls.next_due(set()) is None
    calls.found(A, clock.time())
    assert calls.next_due(set()) == clock.now
    assert calls.next_due({A}) is None


def test_the_real_clocks_are_used() -> None:
    calls = waiting()
    calls.found(A, time.time() - 5)
    assert 5 <= calls.oldest_seconds() < 30
