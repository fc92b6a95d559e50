"""Caller audio against the clock, on a clock of the test's own."""

import pytest

from sessions.pace import FLOOD_SECONDS, MAX_AHEAD_MS, MediaPace, Verdict


def fed(pace: MediaPace, seconds: float, times: float, start: float = 0.0) -> list[Verdict]:
    """Packets of 20 ms that come ``times`` faster than real time."""
    count = round(seconds * 50 * times)
    return [pace.judge(start + i * 0.02 / times, 20.0) for i in range(count)]


def test_real_time_is_kept_for_hours() -> None:
    assert set(fed(MediaPace(0.0), 7200, 1.0)) == {"keep"}


def test_a_burst_is_kept_as_far_as_two_seconds_ahead() -> None:
    verdicts = [MediaPace(5.0).judge(5.0, 20.0)]
    pace = MediaPace(5.0)
    verdicts = [pace.judge(5.0, 20.0) for _ in range(200)]
    kept = verdicts.count("keep")
    assert kept * 20 == MAX_AHEAD_MS + 20
    assert set(verdicts[kept:]) == {"drop"}
    assert pace.judge(5.5, 20.0) == "keep"


def test_a_pause_is_no_credit() -> None:
    pace = MediaPace(0.0)
    fed(pace, 1, 1.0)
    verdicts = [pace.judge(60.0, 20.0) for _ in range(400)]
    assert verdicts.count("keep") * 20 <= 2 * MAX_AHEAD_MS + 40


@pytest.mark.parametrize("times", [1.0, 1.5, 1.9])
def test_what_is_a_little_fast_is_no_flood(times: float) -> None:
    assert "flood" not in fed(MediaPace(0.0), 60, times)


def test_a_flood_is_one_after_ten_seconds() -> None:
    verdicts = fed(MediaPace(0.0), 30, 3.0)
    first = verdicts.index("flood")
    assert FLOOD_SECONDS * 150 <= first <= (FLOOD_SECONDS + 1) * 150 + 1


def test_a_calm_second_starts_the_count_anew() -> None:
    pace = MediaPace(0.0)
    for round_ in range(5):
        assert "flood" not in fed(pace, 9, 3.0, start=round_ * 12.0)
        assert "flood" not in fed(pace, 3, 1.0, start=round_ * 12.0 + 9)
