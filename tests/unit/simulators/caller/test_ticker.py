"""The beat of simulated calls."""

import asyncio
import time
from typing import Any

from simulators.caller.ticker import ManualTicker, RealTicker


def test_the_manual_ticker_stands_still_until_it_is_moved() -> None:
    ticker = ManualTicker()
    beats: list[float] = []
    cancel = ticker.subscribe(lambda: beats.append(ticker.now_ms()))
    ticker.advance(19.9)
    assert beats == []
    ticker.advance(40.1)
    assert beats == [20.0, 40.0, 60.0]
    ticker.advance(5)
    other: list[float] = []
    ticker.subscribe(lambda: other.append(ticker.now_ms()))
    cancel()
    ticker.advance(35)
    assert (beats, other) == ([20.0, 40.0, 60.0], [85.0])
    assert ticker.now_ms() == 100.0


async def test_the_real_ticker_beats_fifty_times_a_second_of_call_time() -> None:
    ticker = RealTicker(speed=20.0)
    beats: list[float] = []
    done = asyncio.Event()

    def beat() -> None:
        beats.append(ticker.now_ms())
        if len(beats) == 100:
            done.set()

    cancel = ticker.subscribe(beat)
    began_ms = ticker.now_ms()
    await asyncio.wait_for(done.wait(), 10)
    cancel()
    # Never early; late beats are made up for, so the hundredth is due at 2 s.
    assert all(at - began_ms >= 20 * number - 10.5 for number, at in enumerate(beats))


def stall() -> None:
    """Hold up the event loop, as a busy machine does."""
    time.sleep(0.02)


async def test_late_beats_are_made_up_for() -> None:
    ticker = RealTicker(speed=1000.0)
    beats = 0
    seen = asyncio.Event()

    def beat() -> None:
        nonlocal beats
        beats += 1
        seen.set()

    cancel = ticker.subscribe(beat)
    stall()
    await asyncio.wait_for(seen.wait(), 10)
    cancel()
    # At this speed the stall is twenty seconds: a thousand beats come in one go.
    assert beats >= 999
    assert ticker.worst_late_ms >= 19_000
    assert ticker.late_beats >= 1


async def test_a_caller_that_fails_does_not_stop_the_others() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    ticker = RealTicker(speed=50.0)
    done = asyncio.Event()
    beats = 0

    def fail() -> None:
        raise RuntimeError("broken")

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats == 5:
            done.set()

    for _ in range(4):
        ticker.subscribe(fail)
    cancel = ticker.subscribe(beat)
    await asyncio.wait_for(done.wait(), 10)
    cancel()
    assert [str(each["exception"]) for each in complaints] == ["broken"] * 4


async def test_callers_of_one_loop_share_a_ticker() -> None:
    assert RealTicker.shared() is RealTicker.shared()
