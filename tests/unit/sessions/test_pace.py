"""Caller audio against the clock, on a clock of the test's own."""

import pytest

from serializer.messages import (
    Control,
    Dtmf,
    LanguageChoice,
    Message,
    Ping,
    PlaybackCleared,
    PlaybackReached,
    StreamStopped,
    TextInput,
)
from sessions.pace import (
    DOINGS_AT_ONCE,
    DOINGS_PER_SECOND,
    FLOOD_SECONDS,
    MAX_AHEAD_MS,
    MAX_MESSAGES,
    MESSAGES_SECONDS,
    TEXTS_AT_ONCE,
    TEXTS_PER_SECOND,
    MediaPace,
    MessagePace,
    Verdict,
)


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


def flooded(pace: MessagePace, messages: int, per_second: float) -> tuple[float, list[int]]:
    """Messages that wait in a socket and are read one after the other.

    Returns:
        When the last was read, and the numbers of those at which the call would have ended.
    """
    now, ends = 0.0, []
    for number in range(messages):
        now = max(now, number / per_second)
        now += pace.wait_seconds(now)
        if pace.is_flood:
            ends.append(number)
    return now, ends


def test_a_call_reads_messages_as_they_come() -> None:
    now, ends = flooded(MessagePace(0.0), 60_000, 50.0)
    assert now == pytest.approx(1200, abs=0.1)
    assert ends == []


def test_two_seconds_of_packets_after_a_pause_do_not_wait() -> None:
    pace = MessagePace(0.0)
    assert sum(pace.wait_seconds(5.0) for _ in range(MAX_MESSAGES - 1)) == 0


def test_a_flood_is_read_slowly_and_ends_the_call_after_ten_seconds() -> None:
    now, ends = flooded(MessagePace(0.0), 20_000, 10_000.0)
    most_per_second = MAX_MESSAGES / MESSAGES_SECONDS
    assert now >= 19_000 / most_per_second
    assert ends[0] == pytest.approx(FLOOD_SECONDS * most_per_second, rel=0.05)


def test_a_burst_now_and_then_is_no_flood() -> None:
    pace = MessagePace(0.0)
    for second in range(3600):
        for _ in range(3 * MAX_MESSAGES):
            pace.wait_seconds(second + 0.0)
    assert not pace.is_flood


@pytest.mark.parametrize("message", [Dtmf("1"), Ping(), Control("pause"), LanguageChoice("hi")])
def test_doings_are_taken_as_fast_as_people_act(message: Message) -> None:
    pace = MessagePace(0.0)
    verdicts = [pace.judge(i / 10_000, message) for i in range(10_000)]
    assert verdicts.count("keep") == pytest.approx(DOINGS_AT_ONCE + DOINGS_PER_SECOND, abs=1)
    assert {pace.judge(5.0 + i / 10, message) for i in range(200)} == {"keep"}


def test_texts_are_taken_as_fast_as_people_type() -> None:
    pace = MessagePace(0.0)
    verdicts = [pace.judge(i / 1000, TextInput("hello")) for i in range(10_000)]
    assert verdicts.count("keep") == pytest.approx(TEXTS_AT_ONCE + 10 * TEXTS_PER_SECOND, abs=1)
    assert pace.judge(10.0, Dtmf("1")) == "keep", "keys are counted apart"


@pytest.mark.parametrize(
    "message", [Control("end"), StreamStopped(), PlaybackReached("cp-1"), PlaybackCleared()]
)
def test_what_ends_a_call_or_tells_of_its_sound_is_never_left_out(message: Message) -> None:
    pace = MessagePace(0.0)
    for _ in range(1000):
        pace.judge(0.0, Control("interrupt"))
    assert {pace.judge(0.0, message) for _ in range(1000)} == {"keep"}
