"""What fails around the server, or under it, while it serves calls."""

import asyncio
import random
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bench.soak.clocked import set_clock
from bench.soak.gate import FAULTS, Gate, Mode
from bench.soak.town import Town

_HOURS: Final = (-26.0, -2.0, 0.2, 2.0, 26.0)
#: Longer than what may wait for the disk in memory: then sound is lost, and said to be.
_LONG_DISK_SECONDS: Final = 80.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that fails for a while.

    Attributes:
        inject: Holds while its block runs.
        seconds: From which to which length.
    """

    name: str
    inject: Callable[[], AbstractAsyncContextManager[None]]
    seconds: tuple[float, float] = (1.0, 10.0)


def faults(town: Town, rng: random.Random, *, long: bool) -> list[Fault]:
    """Every service in every way, the disk, and the clock.

    Args:
        long: Also what takes over a minute.
    """
    found = [
        Fault(f"{gate.name} {mode}", _gate(gate, mode))
        for gate in town.gates.values()
        for mode in FAULTS
    ]
    found.append(Fault("disk takes nothing", lambda: _full_disk(town), (4.0, 12.0)))
    if long:
        long_seconds = (_LONG_DISK_SECONDS, _LONG_DISK_SECONDS + 10.0)
        found.append(Fault("disk takes nothing for long", lambda: _full_disk(town), long_seconds))
    found.append(Fault("clock jumps and back", lambda: _wrong_clock(town, rng)))
    return found


def _gate(gate: Gate, mode: Mode) -> Callable[[], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def failing() -> AsyncIterator[None]:
        await gate.become(mode)
        try:
            yield
        finally:
            await gate.become(Mode.OPEN)

    return failing


@asynccontextmanager
async def _full_disk(town: Town) -> AsyncIterator[None]:
    """No file of the server's may grow, of all that it writes: the system says ``EFBIG``."""
    assert town.server is not None
    pid = town.server.process.pid
    with town.callers.disk_fails():
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
            # What is written at last is written a moment later.
            await asyncio.sleep(2.0)


@asynccontextmanager
async def _wrong_clock(town: Town, rng: random.Random) -> AsyncIterator[None]:
    set_clock(town.clock, rng.choice(_HOURS) * 3600)
    try:
        yield
    finally:
        set_clock(town.clock, 0.0)
