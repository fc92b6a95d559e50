"""A caller who waits is asked for patience, counted from their last word."""

import asyncio

import pytest

from bot.hold import LEAST_SECONDS, HoldKeeper
from bot.playout import Playout
from tests.virtual_time import running_loop, virtual_time


def keeper(said: list[float]) -> HoldKeeper:
    playout = Playout(bytes_per_ms=8, silence=b"\xff")
    return HoldKeeper(playout, 1.5, lambda number: said.append(running_loop().time()))


@virtual_time
@pytest.mark.parametrize(
    ("silent_for", "expected"), [(None, 1.5), (0.0, 1.5), (0.6, 0.9), (30.0, LEAST_SECONDS)]
)
async def test_the_wait_begins_with_the_callers_last_word(
    silent_for: float | None, expected: float
) -> None:
    said: list[float] = []
    asked_at = running_loop().time()
    hold = keeper(said)
    hold.begin(None if silent_for is None else asked_at - silent_for)
    await asyncio.sleep(3)
    assert [at - asked_at for at in said] == [pytest.approx(expected, abs=0.06)]
    hold.end()


@virtual_time
async def test_nothing_is_said_once_the_answer_is_there() -> None:
    said: list[float] = []
    hold = keeper(said)
    hold.begin()
    await asyncio.sleep(1)
    hold.end()
    await asyncio.sleep(10)
    assert said == []
