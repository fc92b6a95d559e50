"""A vendor in trouble is left alone, and probed by one call at a time."""

from dataclasses import dataclass

import pytest

from services.breakers import Breaker, BreakerBoard, BreakerPolicy


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(BreakerPolicy(), clock)


def state(breaker: Breaker) -> str:
    """Asked anew: it changes with the time."""
    return breaker.state


def opened(breaker: Breaker) -> Breaker:
    breaker.failed("server")
    breaker.failed("server")
    return breaker


def test_one_failure_does_not_open_it(breaker: Breaker) -> None:
    breaker.failed("server")
    assert state(breaker) == "closed" and breaker.allows()


def test_failures_far_apart_do_not_open_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(5):
        breaker.failed("server")
        clock.now += 31
    assert state(breaker) == "closed"


def test_two_failures_open_it_for_a_while(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    assert state(breaker) == "open" and not breaker.allows()
    assert breaker.last_failure == "server"
    clock.now += 10
    assert state(breaker) == "half_open"


def test_one_probe_at_a_time(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10
    assert breaker.allows()
    breaker.begin()
    assert not breaker.allows()
    clock.now += 30
    assert breaker.allows(), "a probe that never told how it went is lost"


def test_a_good_probe_closes_it(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10
    breaker.begin()
    breaker.succeeded()
    assert state(breaker) == "closed" and breaker.last_failure is None


def test_each_bad_probe_doubles_the_wait(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10
    for seconds in (20, 40, 80, 120, 120):
        breaker.begin()
        breaker.failed("server")
        clock.now += seconds - 0.1
        assert state(breaker) == "open"
        clock.now += 0.1
        assert state(breaker) == "half_open"


def test_work_begun_before_does_not_close_it(breaker: Breaker) -> None:
    opened(breaker).succeeded()
    assert state(breaker) == "open"


def test_a_refused_key_opens_it_at_once(breaker: Breaker, clock: Clock) -> None:
    breaker.failed("auth", rejected=True)
    clock.now += 59
    assert state(breaker) == "open"


def test_it_stays_open_as_long_as_the_vendor_asked(breaker: Breaker, clock: Clock) -> None:
    breaker.failed("rate_limit", retry_after_seconds=300)
    clock.now += 299
    assert state(breaker) == "open"


def test_accounts_have_breakers_of_their_own(clock: Clock) -> None:
    board = BreakerBoard(clock=clock)
    opened(board.of("tts", "sarvam", "a"))
    assert board.of("tts", "sarvam", "b").state == "closed"
    assert [(kind, name) for kind, name, _ in board.troubled()] == [("tts", "sarvam")]
