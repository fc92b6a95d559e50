"""Who is let in, and how lateness closes the doors and opens them again."""

import pytest
from prometheus_client import REGISTRY

from sessions.admission import Admission, Lines, Occupancy, RefusalReason, refused
from sessions.load import CALM_SECONDS, WINDOW_SECONDS, Congestion, LoadMeter


def admission(most: int = 4, reserve: int = 0, trouble: RefusalReason | None = None) -> Admission:
    return Admission(Lines(most=most, inbound_reserve=reserve), lambda: trouble)


def lines(live: int, promised: int = 0) -> Occupancy:
    return Occupancy(live=live, promised=promised)


def test_lines_and_calls_that_ring_are_counted() -> None:
    gate = admission(most=4)
    assert gate.refusal(lines(2, 1), "inbound") is None
    assert gate.refusal(lines(2, 2), "inbound") == "server_full"
    assert gate.refusal(lines(4), "client") == "server_full"


def test_a_reserve_is_for_incoming_calls_alone() -> None:
    gate = admission(most=4, reserve=2)
    assert gate.refusal(lines(1), "outbound") is None
    assert gate.refusal(lines(1, 1), "outbound") == "inbound_reserve"
    assert gate.refusal(lines(2), "client") == "inbound_reserve"
    assert gate.refusal(lines(3), "inbound") is None
    assert gate.refusal(lines(4), "inbound") == "server_full"


@pytest.mark.parametrize("reason", ["loop_late", "frames_late", "disk_full"])
def test_trouble_keeps_out_all_but_those_who_were_told_to_come(reason: RefusalReason) -> None:
    gate = admission(trouble=reason)
    assert gate.refusal(lines(0), "inbound") == reason
    assert gate.refusal(lines(0), "client") == reason
    assert gate.refusal_of_unknown(lines(0)) == reason
    # Whoever knocks may be the one who was told to come.
    assert gate.refusal_of_unknown(lines(0, 1)) is None
    assert gate.refusal_of_promised(lines(0, 1)) is None


def test_draining_goes_before_all_else_and_spares_those_who_were_told_to_come() -> None:
    gate = admission(most=1, trouble="disk_full")
    gate.draining = True
    assert gate.refusal(lines(1), "inbound") == "draining"
    assert gate.refusal_of_unknown(lines(0)) == "draining"
    assert gate.refusal_of_promised(lines(0, 1)) is None
    assert gate.refusal_of_promised(lines(1, 1)) == "server_full"


@pytest.mark.parametrize(
    ("reason", "code"), [("draining", "draining"), ("loop_late", "server_full")]
)
def test_a_refusal_is_counted_and_has_a_code_that_clients_know(
    reason: RefusalReason, code: str
) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("admission_refused_total", {"reason": reason}) or 0.0

    before = counted()
    assert refused(reason).code == code
    assert counted() == before + 1


# Lateness


def late(congestion: Congestion, start: float, seconds: float, late_ms: float) -> float:
    """Ten turns a second that are so late; returns when they end."""
    for step in range(round(seconds * 10)):
        congestion.note(start + step / 10, late_ms / 1000)
    return start + seconds


def test_one_late_turn_is_no_overload() -> None:
    congestion = Congestion(150)
    now = late(congestion, 100.0, 2.0, 1)
    congestion.note(now, 0.7)
    now = late(congestion, now + 0.1, 3.0, 1)
    assert not congestion.is_over(now)


def test_a_late_second_closes_and_five_calm_ones_open_again() -> None:
    congestion = Congestion(150)
    now = late(congestion, 100.0, 2.1, 200)
    assert congestion.is_over(now)
    while congestion.is_over(now):
        now = late(congestion, now, 0.1, 1)
    assert 102.1 + CALM_SECONDS - WINDOW_SECONDS < now <= 102.1 + CALM_SECONDS + WINDOW_SECONDS


def test_load_at_the_limit_does_not_flicker() -> None:
    congestion = Congestion(150)
    now = 100.0
    states = []
    for second in range(40):
        now = late(congestion, now, 1.0, 160 if second % 3 else 140)
        states.append(congestion.is_over(now))
    assert False not in states[3:]


def test_which_lateness_it_is() -> None:
    seen: list[float] = []
    meter = LoadMeter(
        max_loop_lag_ms=100,
        max_frame_lateness_ms=50,
        on_lag=lambda _, seconds: seen.append(seconds),
        on_frame=lambda _, seconds: seen.append(-seconds),
    )
    assert meter.trouble(0.0) is None
    for step in range(30):
        meter.frame_sent(100 + step / 10, 0.07)
        meter.loop_turned(100 + step / 10, 0.07)
    assert meter.trouble(103.0) == "frames_late"
    for step in range(30):
        meter.loop_turned(103 + step / 10, 0.2)
    assert meter.trouble(106.0) == "loop_late"
    assert meter.trouble(120.0) is None
    assert sorted(set(seen)) == [-0.07, 0.07, 0.2]


def test_lateness_of_minutes_ago_closes_nothing() -> None:
    congestion = Congestion(150)
    now = late(congestion, 100.0, 0.9, 400)
    # The calls end, and with them the packets; the next one is of a call a minute later.
    congestion.note(now + 60, 0.001)
    assert not congestion.is_over(now + 60)
