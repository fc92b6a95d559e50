"""Who is tried when, for every kind of failure."""

import pytest

from bot.chains.failures import Failure, FailureKind
from bot.chains.lineup import Lineup
from bot.chains.reopening import Reopening
from services.breakers import BreakerBoard
from services.candidates import Candidate

ONE, TWO, THREE = (
    Candidate(kind="stt", provider=name, language="en-IN", account="a")
    for name in ("one", "two", "three")
)


class Search:
    """A search on a clock that stands still but for what it asks for."""

    def __init__(self, *candidates: Candidate, connect_seconds: float = 2.0) -> None:
        self.now = 100.0
        self.lineup = Lineup(candidates, BreakerBoard(clock=self.clock), self.clock)
        self.plan = Reopening(self.lineup, self.clock, connect_seconds, jitter=lambda: 1.0)

    def clock(self) -> float:
        return self.now

    def fail(self, candidate: Candidate, kind: FailureKind, retry_after: float = 0.0) -> None:
        failure = Failure(kind, "", retry_after)
        if kind != "no_result":
            self.lineup.failed(candidate, failure)
        self.plan.failed(candidate, failure)

    def run(self, kind: FailureKind, *, hangs: bool = False, retry_after: float = 0.0) -> list[str]:
        """Let every try fail; who was tried and when, to the end."""
        tried = []
        while (attempt := self.plan.next()) is not None:
            self.now += attempt.wait_seconds
            tried.append(f"{attempt.candidate.provider} {self.now - 100:g}")
            if hangs:
                self.now += attempt.within_seconds
            self.fail(attempt.candidate, "connect_timeout" if hangs else kind, retry_after)
            assert len(tried) < 50
        return tried


@pytest.mark.parametrize("kind", ["dropped", "error", "server"])
def test_who_was_lost_is_tried_three_times_before_the_next(kind: FailureKind) -> None:
    search = Search(ONE, TWO)
    search.fail(ONE, kind)
    assert search.run(kind)[:5] == ["one 0", "one 0.25", "one 0.5", "two 0.5", "one 1"]


def test_it_ends_in_time_whatever_happens() -> None:
    for candidates in ((ONE,), (ONE, TWO), (ONE, TWO, THREE)):
        for hangs in (True, False):
            search = Search(*candidates)
            search.fail(ONE, "dropped")
            tried = search.run("dropped", hangs=hangs)
            assert {words.split()[0] for words in tried} == {c.provider for c in candidates}
            assert 3.5 <= search.now - 100 <= 6


def test_a_connection_that_hangs_leaves_the_next_its_two_seconds() -> None:
    search = Search(ONE, TWO, THREE)
    search.fail(ONE, "dropped")
    assert search.run("dropped", hangs=True) == ["one 0", "two 2", "three 4"]


def test_a_vendor_that_may_take_longer_to_connect_does_not_hold_up_the_next() -> None:
    search = Search(ONE, TWO, connect_seconds=5)
    search.fail(ONE, "dropped")
    assert search.run("dropped", hangs=True)[:2] == ["one 0", "two 2"]


def test_the_first_connection_of_a_call_has_all_its_time() -> None:
    search = Search(ONE, TWO, connect_seconds=5)
    first = search.plan.next()
    assert first is not None
    assert (first.candidate, first.within_seconds) == (ONE, 5)


@pytest.mark.parametrize("kind", ["auth", "rejected", "config"])
def test_what_cannot_be_mended_is_not_tried_again(kind: FailureKind) -> None:
    search = Search(ONE, TWO)
    search.fail(ONE, kind)
    assert search.run(kind) == ["two 0"]


def test_a_short_wait_is_kept_to_with_jitter() -> None:
    search = Search(ONE, TWO)
    search.fail(ONE, "rate_limit", 1.0)
    assert search.run("dropped")[:2] == ["one 1.25", "two 1.25"]


def test_a_long_wait_is_not_waited_for() -> None:
    search = Search(ONE, TWO)
    search.fail(ONE, "rate_limit", 30.0)
    tried = search.run("dropped")
    assert tried[0] == "two 0"
    assert not any(words.startswith("one") for words in tried)


def test_an_only_vendor_that_wants_to_be_left_alone_for_long_is() -> None:
    search = Search(ONE)
    search.fail(ONE, "rate_limit", 30.0)
    assert search.run("rate_limit") == []


def test_an_only_vendor_with_too_many_requests_is_asked_a_few_times() -> None:
    search = Search(ONE)
    search.fail(ONE, "rate_limit")
    assert search.run("rate_limit")[:3] == ["one 0.5", "one 1", "one 1.5"]


def test_after_silence_a_healthy_vendor_is_asked_and_an_unhealthy_one_is_not() -> None:
    search = Search(ONE, TWO)
    search.fail(ONE, "no_result")
    assert search.run("dropped")[0] == "two 0"
    search = Search(ONE, TWO)
    search.lineup.failed(TWO, Failure("dropped", ""))
    search.fail(ONE, "no_result")
    assert search.run("dropped")[0] == "one 0"
