"""Bots that connect while the phone rings: used, replaced, forgotten, and never in the way."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.call_bot import BotParts, CallBot
from bot.phrases import PhraseCache
from bot.vad import VadEngine
from config.errors import ConfigError
from serializer.codecs import MULAW_8K, PCM_8K
from sessions import ringing as module
from sessions.facts import CallFacts
from sessions.ringing import RingingCalls
from tests.unit.bot.agents import make_agent, make_factory
from tests.until import until

AGENT = make_agent()
FACTS = CallFacts(direction="inbound", carrier_call_id="c")
FORMATS = (MULAW_8K, MULAW_8K)


class Watched(CallBot):
    """A bot that notes what is done to it."""

    made: list["Watched"] = []
    connect_error: Exception | None = None
    was_let_go = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.connected = asyncio.Event()
        self.stopped = asyncio.Event()
        Watched.made.append(self)

    def connect(self) -> None:
        self.connected.set()
        if Watched.connect_error is not None:
            raise Watched.connect_error
        super().connect()

    async def stop(self) -> None:
        await super().stop()
        self.stopped.set()

    def let_go(self) -> None:
        noted = {"connected": self.connected, "stopped": self.stopped}
        super().let_go()
        vars(self).update(noted, was_let_go=True)


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "CallBot", Watched)
    monkeypatch.setattr(Watched, "made", [])
    monkeypatch.setattr(Watched, "connect_error", None)
    yield


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[BotParts]:
    async with make_factory() as factory:
        vad = VadEngine()
        await vad.start()
        yield BotParts(factory=factory, vad=vad, phrases=PhraseCache(factory, tmp_path))
        for bot in Watched.made:
            await bot.stop()
        await vad.stop()


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        await event.wait()


async def test_the_prepared_bot_is_used(parts: BotParts) -> None:
    ringing = RingingCalls(parts, 120)
    ringing.ring("c", AGENT, FACTS, FORMATS)
    ringing.ring("c", AGENT, FACTS, FORMATS)  # A webhook is repeated.
    (bot,) = Watched.made
    assert not bot.connected.is_set()  # The answer goes out first.
    await soon(bot.connected)
    prepared = ringing.take("c", AGENT, FORMATS)
    assert prepared is not None and prepared.bot is bot
    assert len(prepared.session_id) == 36
    assert len(ringing) == 0 and ringing.take("c", AGENT, FORMATS) is None
    await ringing.close()
    assert not bot.stopped.is_set()
    await bot.stop()


async def test_a_stream_that_is_quicker_gets_it_unconnected(parts: BotParts) -> None:
    ringing = RingingCalls(parts, 120)
    ringing.ring("c", AGENT, FACTS, FORMATS)
    assert ringing.take("c", AGENT, FORMATS) is not None
    await asyncio.sleep(3 * module.CONNECT_AFTER_SECONDS)
    assert not Watched.made[0].connected.is_set()


@pytest.mark.parametrize(
    ("agent", "formats"),
    [(AGENT, (PCM_8K, PCM_8K)), (AGENT, (MULAW_8K, PCM_8K)), (make_agent(), FORMATS)],
    ids=["other formats", "other way out", "agent edited"],
)
async def test_one_that_does_not_fit_is_stopped(parts: BotParts, agent: Any, formats: Any) -> None:
    ringing = RingingCalls(parts, 120)
    ringing.ring("c", AGENT, FACTS, FORMATS)
    await soon(Watched.made[0].connected)
    assert ringing.take("c", agent, formats) is None
    await soon(Watched.made[0].stopped)
    await until(lambda: Watched.made[0].was_let_go)


async def test_a_stream_that_never_opens(parts: BotParts) -> None:
    # Time enough to be connected before, also where the machine stands still for a moment.
    ringing = RingingCalls(parts, 120, expires_seconds=1.5)
    ringing.ring("c", AGENT, FACTS, FORMATS)
    await soon(Watched.made[0].stopped)
    assert Watched.made[0].connected.is_set()
    assert len(ringing) == 0
    assert ringing.take("c", AGENT, FORMATS) is None


async def test_a_caller_who_hangs_up_first(parts: BotParts) -> None:
    ringing = RingingCalls(parts, 120)
    ringing.ring("c", AGENT, FACTS, FORMATS)
    ringing.forget("c")
    ringing.forget("unknown")
    await soon(Watched.made[0].stopped)
    assert not Watched.made[0].connected.is_set()


async def test_the_loop_has_its_turn_between_two_that_connect(
    parts: BotParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, connected_at = 0, list[int]()

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(Watched, "connect", lambda self: connected_at.append(turns))
    ringing = RingingCalls(parts, 120)
    turning = asyncio.create_task(turn())
    for number in range(6):
        ringing.ring(str(number), AGENT, FACTS, FORMATS)
    await until(lambda: len(connected_at) == 6)
    turning.cancel()
    assert len(set(connected_at)) == 6
    await ringing.close()


async def test_only_so_many_wait(parts: BotParts) -> None:
    ringing = RingingCalls(parts, 120, most=2)
    for name in "abc":
        ringing.ring(name, AGENT, FACTS, FORMATS)
    assert len(ringing) == len(Watched.made) == 2
    assert ringing.take("c", AGENT, FORMATS) is None
    await ringing.close()
    assert len(ringing) == 0
    assert all(bot.stopped.is_set() for bot in Watched.made)


@pytest.mark.parametrize("error", [ConfigError("no"), RuntimeError("mistake")])
async def test_one_that_cannot_be_connected_is_tried_again_at_the_start(
    parts: BotParts, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "connect_error", error)
    ringing = RingingCalls(parts, 120)
    ringing.ring("c", AGENT, FACTS, FORMATS)
    await soon(Watched.made[0].connected)
    prepared = ringing.take("c", AGENT, FORMATS)
    assert prepared is not None
    with pytest.raises(type(error)):
        prepared.bot.connect()
    await ringing.close()
