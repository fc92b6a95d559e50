"""A deadline that forgives a loop that stood still, and nothing else."""

import asyncio

import pytest

from tests.until import undisturbed
from tests.virtual_time import running_loop, virtual_time


@virtual_time
async def test_time_in_which_the_loop_stood_still_does_not_count() -> None:
    async with undisturbed(0.5):
        for _ in range(4):
            await asyncio.sleep(0.1)
            running_loop().stall(10)


@virtual_time
async def test_what_takes_too_long_is_late_also_where_the_loop_stood_still() -> None:
    for stall_seconds in (0, 10):
        with pytest.raises(TimeoutError):
            async with undisturbed(0.5):
                running_loop().stall(stall_seconds)
                await asyncio.sleep(stall_seconds + 0.7)
