"""Who of a chain is given work."""

from dataclasses import dataclass

from bot.chains.failures import Failure
from bot.chains.lineup import PENALTY_SECONDS, Lineup
from services.breakers import BreakerBoard
from services.candidates import Candidate


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def candidate(name: str) -> Candidate:
    return Candidate(kind="tts", provider=name, language="hi", account="a")


A, B = candidate("a"), candidate("b")
SERVER, AUTH = Failure("server", "it broke"), Failure("auth", "no")


def make() -> tuple[Lineup, BreakerBoard, Clock]:
    clock = Clock()
    board = BreakerBoard(clock=clock)
    return Lineup([A, B], board, clock), board, clock


def test_the_operators_order() -> None:
    lineup, _, _ = make()
    assert lineup.pick() == A and lineup.pick({A}) == B and lineup.pick({A, B}) is None


def test_who_failed_waits_and_comes_back() -> None:
    lineup, _, clock = make()
    lineup.failed(A, SERVER)
    assert lineup.pick() == B and lineup.better_than(B) is None
    clock.now += PENALTY_SECONDS
    assert lineup.pick() == A and lineup.better_than(B) == A


def test_who_is_in_trouble_is_better_than_nobody() -> None:
    lineup, _, _ = make()
    lineup.failed(A, SERVER)
    lineup.failed(B, SERVER)
    assert lineup.pick() == A


def test_who_refuses_the_key_is_not_asked_again() -> None:
    lineup, _, clock = make()
    lineup.failed(A, AUTH)
    lineup.failed(B, AUTH)
    clock.now += 1e6
    assert lineup.pick() is None


def test_what_one_call_learns_spares_the_next() -> None:
    lineup, board, clock = make()
    other = Lineup([A, B], board, clock)
    lineup.failed(A, SERVER)
    assert other.pick() == A
    clock.now += PENALTY_SECONDS
    lineup.failed(A, SERVER)
    assert other.pick() == B


def test_a_vendor_is_left_alone_as_long_as_it_asked() -> None:
    lineup, _, clock = make()
    lineup.failed(A, Failure("rate_limit", "slow down", 60.0))
    clock.now += 59
    assert lineup.pick() == B
    clock.now += 1
    assert lineup.pick() == A
