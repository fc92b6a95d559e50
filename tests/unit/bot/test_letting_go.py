"""What a call leaves behind: nothing that only the garbage collector can free."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pipecat.processors.frame_processor import FrameProcessor

from tests.unit.bot.agents import Call, make_agent, make_call
from tests.unit.bot.fake_services import FakeLLM, FakeSTT, FakeTTS
from tests.virtual_time import virtual_time

GREETING = "Welcome to the line."


@contextmanager
def no_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def processors(within: FrameProcessor) -> list[FrameProcessor]:
    """A processor and all within it."""
    return [within, *(each for inner in within.processors for each in processors(inner))]


def parts(call: Call) -> list[weakref.ref[object]]:
    """The bot's processors and what it has besides, but not what the tests themselves keep."""
    bot = call.bot
    run, built = bot._run, bot._built
    assert run is not None and built is not None
    found: list[object] = [
        *processors(run._worker.pipeline),
        *(run, run._worker, built.languages, built.context),
        *(member for chain in (built.front, built.llm, built.tts) for member in chain._members),
        *(bot._announcer, bot._hearing, bot._ending, bot._rescue, bot._hold, bot._keypad),
    ]
    return [weakref.ref(each) for each in found]


def alive(refs: list[weakref.ref[object]]) -> list[object]:
    return [found for ref in refs if (found := ref()) is not None]


@virtual_time
async def test_a_call_is_freed_without_the_collector(tmp_path: Path) -> None:
    with no_collector():
        async with make_call(make_agent(greeting=GREETING), tmp_path) as call:
            await asyncio.sleep(2)
            await call.user_says("hello")
            await asyncio.sleep(0.5)
            await call.user_says("and interrupted")
            await asyncio.sleep(5)
            refs = parts(call)
            assert len(refs) > 30
            await call.bot.stop()
            call.bot.let_go()
            FakeSTT.last = FakeLLM.last = FakeTTS.last = None
            await asyncio.sleep(1)
            assert alive(refs) == []


@virtual_time
async def test_who_comes_late_is_told_that_the_call_is_over(tmp_path: Path) -> None:
    agent = make_agent(languages=("en-IN", "hi"))
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(1)
        bot = call.bot
        await bot.stop()
        bot.let_go()
        assert await bot.switch_language("hi") == "unavailable"
        assert not bot.choose_language("hi")
        await bot.say("hello")
        await bot.read("hello")
        await bot.ask_who_is_there()
        await bot.stop()
        bot.let_go()
        assert call.spoken() == []


async def speak_in_vain(call: Call) -> None:
    """No text comes of what is said."""
    await call.user_starts()
    await asyncio.sleep(1)
    await call.user_stops()


async def ask(call: Call) -> None:
    await call.user_says("hello")


@pytest.mark.parametrize(
    ("options", "do"),
    [
        ({}, speak_in_vain),
        ({"stt": {"connect_seconds": 5.0}}, speak_in_vain),
        ({"stt": {"never_ready": True}}, speak_in_vain),
        ({"llm": {"fails": True}}, ask),
        ({"tts": {"breaks_off_after": 2}}, ask),
        ({"tts": {"fails": True}}, ask),
        ({"llm": {"later_seconds": 30.0}}, ask),
        ({"llm": {"answers": ("One two three four five. " * 60,)}}, ask),
        ({"tts": {"silent": True}}, ask),
        ({"tts": {"unfinished": True}}, ask),
        ({"tts": {"seconds_per_word": 1.5}}, ask),
    ],
    ids=[
        *("no text", "connecting", "never ready", "failing model", "torn voice", "failing voice"),
        *("late model", "long answer", "silent voice", "unfinished", "slow voice"),
    ],
)
@pytest.mark.parametrize("later_seconds", [0.1, 0.5, 1.0, 2.0, 4.0, 8.0])
@virtual_time
async def test_nothing_that_was_awaited_turns_to_what_was_taken_apart(
    tmp_path: Path,
    options: dict[str, Any],
    do: Callable[[Call], Awaitable[None]],
    later_seconds: float,
) -> None:
    wrong: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: wrong.append(told))
    sink = logger.add(lambda told: wrong.append({"log": str(told)}), level="ERROR")
    try:
        async with make_call(make_agent(**options), tmp_path) as call:
            await asyncio.sleep(1)
            await do(call)
            await asyncio.sleep(later_seconds)
            await call.bot.stop()
            call.bot.let_go()
            wrong.clear()  # Vendors that fail have been told of.
            await asyncio.sleep(120)
    finally:
        logger.remove(sink)
    gc.collect()  # A task's failure is told of as it is freed.
    assert wrong == []
