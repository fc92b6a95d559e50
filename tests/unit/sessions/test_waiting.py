"""Calls that could not be stored are tried again for ever, oldest first, and somebody is told."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from sessions.waiting import OUTAGE_FAILURES, Backoff, Lock, WaitingCalls, _Queue

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


def turns(calls: WaitingCalls) -> list[Path]:
    """Everyone whose turn it is, in their order; they are worked on from now on."""
    taken = []
    while (folder := calls.take()) is not None:
        taken.append(folder)
    return taken


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
    assert turns(calls) == [A, B]
    assert calls.oldest_seconds() == 500
    calls.failed(A, "away", clock.now)
    calls.failed(B, "away", clock.now)
    assert turns(calls) == []
    clock.now += 100
    assert turns(calls) == [A, B]
    assert calls.oldest_seconds() == 600


def test_a_clock_that_was_set_back_makes_no_negative_age(clock: Clock) -> None:
    calls = waiting()
    calls.found(A, clock.time() + 3600)
    assert calls.oldest_seconds() == 0
    assert turns(calls) == [A]


def test_the_first_success_brings_the_others_forward(clock: Clock) -> None:
    calls = waiting()
    for folder in (A, B, C):
        for _ in range(10):
            calls.failed(folder, "away", clock.now)
    assert turns(calls) == []
    calls.stored(B)
    assert turns(calls) == [A, C]
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
    assert turns(calls) == [C]
    # Once the store itself has been away, nobody is at fault any more.
    clock.now += 200
    assert turns(calls) == [A]
    for folder in (B, C, Path("d"), Path("e"), A):
        calls.failed(folder, "away", clock.now)
    assert turns(calls) == []
    calls.stored(B)
    assert A in turns(calls)


def test_calls_that_can_never_be_stored_do_not_hold_the_others_up(clock: Clock) -> None:
    """More of them than are tried at once, and older than all others."""
    calls, hopeless = waiting(), [Path(f"hopeless-{i}") for i in range(2 * OUTAGE_FAILURES)]
    for place, old in enumerate(hopeless):
        calls.found(old, clock.time() - 1000 + place)
    for i in range(200):
        calls.found(Path(str(i)), clock.time() - 200 + i)
    stored = tries = 0
    began = clock.now
    while stored < 200 and tries < 10_000:
        if (folder := calls.take()) is None:
            due = calls.next_due()
            assert due is not None and due > clock.now
            clock.now = due
            continue
        tries += 1
        clock.now += 0.01
        if folder in hopeless:
            calls.failed(folder, "came back changed", clock.now - 0.01)
        else:
            stored += 1
            calls.stored(folder)
    assert stored == 200 and tries < 200 + 4 * len(hopeless)
    assert clock.now - began < 120


def test_while_the_store_is_away_one_call_is_tried_at_a_time(clock: Clock) -> None:
    """Building hundreds of recordings for nothing would take time from live calls."""
    calls = waiting()
    for i in range(500):
        calls.found(Path(str(i)), clock.time() - 500 + i)
    tried: list[float] = []
    for _ in range(OUTAGE_FAILURES):
        folder = calls.take()
        assert folder is not None and not calls.is_outage
        calls.failed(folder, "away", clock.now)
    assert calls.is_outage
    end = clock.now + 3600
    while (due := calls.next_due()) is not None and due < end:
        clock.now = max(clock.now, due)
        probe = calls.take()
        assert probe is not None
        tried.append(clock.now)
        calls.failed(probe, "away", clock.now)
    assert 3600 / 90 - 1 <= len(tried) <= 3600 / 30 + 6
    # What is new is tried at once all the same, and its success is everybody's.
    calls.stored(Path("new"))
    assert not calls.is_outage and len(turns(calls)) == 500


def test_a_fault_of_a_calls_own_is_no_outage(clock: Clock) -> None:
    calls = waiting()
    for i in range(50):
        calls.failed(Path(str(i)), "in use", clock.now, store=False)
    assert not calls.is_outage
    calls.found(A, clock.time())
    assert turns(calls) == [A]


def test_calls_whose_key_nobody_has_wait_apart(clock: Clock, errors: list[str]) -> None:
    calls = waiting(alert_seconds=60)
    calls.found(A, clock.time() - 5000)
    calls.found(B, clock.time() - 10)
    assert turns(calls) == [A, B]
    calls.locked(A, "sealed with the key k", Lock("key", "k"))
    calls.failed(B, "away", clock.now)
    assert len(calls) == 2 and calls.unknown_keys == {"k": 1}
    assert calls.oldest_seconds() == 10
    clock.now += 40
    calls.watch()
    assert errors == [] and turns(calls) == [B]
    calls.stored(B)
    clock.now += 10_000
    assert calls.take() is None and calls.next_due() is None
    # Known after all, it is an ordinary call again.
    calls.failed(A, "away", clock.now)
    assert calls.unknown_keys == {} and calls.oldest_seconds() > 15_000
    calls.stored(A)
    assert len(calls) == 0


def test_thousands_wait_in_bounded_memory_and_are_looked_at_once_each(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    is_valid = _Queue._is_valid

    def counted(queue: _Queue, stamp: int, folder: Path) -> bool:
        nonlocal looks
        looks += 1
        return is_valid(queue, stamp, folder)

    monkeypatch.setattr(_Queue, "_is_valid", counted)
    calls, number = waiting(), 2000
    began = clock.now
    for i in range(number):
        calls.failed(Path(str(i)), "away", clock.now)
        clock.now += 1
    for _ in range(1000):  # An outage of hours.
        due = calls.next_due()
        assert due is not None
        clock.now = max(clock.now, due)
        folder = calls.take()
        assert folder is not None
        calls.failed(folder, "away", clock.now)
    assert clock.now - began > 3 * 3600
    places = sum(len(q._heap) for q in (calls._ripe, calls._rested, calls._later, calls._alone))
    assert places + len(calls._ages) < 9 * number
    looks = 0
    calls.stored(Path("new"))
    order = []
    while (folder := calls.take()) is not None:
        order.append(int(folder.name))
        calls.watch()
        calls.stored(folder)
    assert order == sorted(range(number))
    # Nine looks a call, whether there are ten or ten thousand.
    assert looks < 12 * number
    assert len(calls) == 0 and calls.next_due() is None


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
    assert "ALERT: 2 calls wait to be stored, the oldest for 61 s" in line
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
    assert calls.next_due() is None
    calls.found(A, clock.time())
    assert calls.next_due() == clock.now
    calls.began(A)
    assert calls.next_due() is None and calls.take() is None


def test_the_real_clocks_are_used() -> None:
    calls = waiting()
    calls.found(A, time.time() - 5)
    assert 5 <= calls.oldest_seconds() < 30


def test_nothing_is_left_of_an_outage_when_nobody_waits(clock: Clock) -> None:
    """Places in queues that are passed over later would stay until the next outage."""
    calls = waiting()
    folders = [Path(str(number)) for number in range(50)]
    for folder in folders:
        calls.failed(folder, "away", clock.now)
        clock.now += 1
    assert calls.is_outage
    for folder in folders:
        calls.stored(folder)
    queues = (calls._ripe, calls._rested, calls._later, calls._alone)
    assert [len(queue._heap) for queue in queues] == [0, 0, 0, 0]
    assert (len(calls), calls._ages, calls.next_due(), calls.oldest_seconds()) == (0, [], None, 0.0)
    # And it begins anew.
    calls.failed(A, "away", clock.now)
    clock.now += 100
    assert turns(calls) == [A]
