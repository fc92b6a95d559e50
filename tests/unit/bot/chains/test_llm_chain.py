"""A model that fails is asked again, or the next one, in the same turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.errors import ErrorCategory

from bot.chains.chain import Vendors
from bot.chains.continuation import GO_ON
from bot.chains.llm import LlmChain
from bot.chains.turn import TURN_END_SECONDS
from bot.events import ModelUsage
from bot.reporter import CallReporter
from config.agent_stages import LlmDeadlines
from tests.unit.bot.chains.rig import Do, Rig, Vendor, rig
from tests.virtual_time import virtual_time

ANSWER = "One two three. Four five six."
TOOK = LLMTokenUsage(prompt_tokens=70, completion_tokens=9, total_tokens=79)
QUESTION = {"role": "user", "content": "Tell me."}


def make(vendors: Vendors, reporter: CallReporter, give_up: Callable[..., Any]) -> LlmChain:
    return LlmChain(
        vendors, language="hi", reporter=reporter, on_exhausted=give_up, deadlines=LlmDeadlines()
    )


@asynccontextmanager
async def thinking(*vendors: Vendor) -> AsyncIterator[Rig]:
    async with rig("llm", vendors, make) as running:
        await asyncio.sleep(0.01)
        yield running


async def ask(running: Rig) -> None:
    await running.send(LLMContextFrame(LLMContext(messages=[dict(QUESTION)])))  # type: ignore[list-item]


def said(running: Rig) -> str:
    return "".join(frame.text for frame in running.of(LLMTextFrame)).strip()


@virtual_time
async def test_an_answer_comes_between_its_start_and_its_end() -> None:
    async with thinking(Vendor("asha"), bela := Vendor("bela")) as running:
        await ask(running)
        await asyncio.sleep(1)
        assert said(running) == ANSWER and bela.built == [] and running.degraded == []
        assert len(running.of(LLMFullResponseStartFrame)) == 1
        assert len(running.of(LLMFullResponseEndFrame)) == 1


@virtual_time
async def test_a_server_error_is_retried_once_and_then_the_next_is_asked() -> None:
    asha = Vendor("asha", [Do(fail=ErrorCategory.SERVER, after=0)])
    async with thinking(asha, Vendor("bela")) as running:
        await ask(running)
        await asyncio.sleep(1)
        assert len(asha.asked) == 2 and said(running) == ANSWER
        assert running.degraded == [("asha", "server")] * 2


@virtual_time
async def test_a_refused_key_is_not_tried_again() -> None:
    asha = Vendor("asha", [Do(fail=ErrorCategory.AUTHENTICATION, after=0)])
    async with thinking(asha, Vendor("bela")) as running:
        for _ in range(2):
            await ask(running)
            await asyncio.sleep(1)
        assert len(asha.asked) == 1 and said(running) == f"{ANSWER} {ANSWER}"


@virtual_time
@pytest.mark.parametrize(("retry_after", "asks"), [("0.5", 2), ("30", 1), (None, 2)])
async def test_an_overloaded_vendor_is_given_the_time_it_asks_for_if_that_is_short(
    retry_after: str | None, asks: int
) -> None:
    asha = Vendor("asha", [Do(fail=ErrorCategory.RATE_LIMIT, after=0, retry_after=retry_after)])
    async with thinking(asha, Vendor("bela")) as running:
        began = asyncio.get_running_loop().time()
        await ask(running)
        await asyncio.sleep(3)
        assert len(asha.asked) == asks and said(running) == ANSWER
        assert running.times(LLMTextFrame)[0] - began < 1.5


@virtual_time
async def test_four_seconds_without_a_word_and_the_next_is_asked() -> None:
    asha = Vendor("asha", [Do(wait_seconds=1e6)])
    async with thinking(asha, Vendor("bela")) as running:
        began = asyncio.get_running_loop().time()
        await ask(running)
        await asyncio.sleep(6)
        assert said(running) == ANSWER and running.degraded == [("asha", "no_result")]
        assert running.times(LLMTextFrame)[0] - began == pytest.approx(
            4.0 - TURN_END_SECONDS, abs=0.1
        )


@virtual_time
async def test_alone_it_is_asked_twice_and_the_turn_given_up_within_eight_seconds() -> None:
    asha = Vendor("asha", [Do(wait_seconds=1e6)])
    async with thinking(asha) as running:
        began = asyncio.get_running_loop().time()
        await ask(running)
        await asyncio.sleep(20)
        assert len(asha.asked) == 2 and said(running) == ""
        (given_up,) = running.given_up
        assert given_up - began <= 8.1


@virtual_time
@pytest.mark.parametrize("same", [True, False])
async def test_an_answer_that_breaks_off_is_taken_up(same: bool) -> None:
    """By the next vendor after a stall; by the same one after an error, which is tried once."""
    rest = Do(text="five six.")
    error = Do(after=4, fail=ErrorCategory.SERVER)
    asha = Vendor("asha", [error, rest] if same else [Do(after=4, stall=True)])
    bela = Vendor("bela", [rest])
    async with thinking(asha, bela) as running:
        await ask(running)
        await asyncio.sleep(5)
        assert said(running) == ANSWER
        messages = (asha if same else bela).asked[-1]
        assert messages[-2]["content"].strip() == "One two three. Four"
        assert messages[-1]["content"] == GO_ON
        assert len(running.of(LLMFullResponseEndFrame)) == 2


@virtual_time
async def test_what_a_second_answer_repeats_is_not_said_again() -> None:
    asha, bela = Vendor("asha", [Do(after=4, stall=True)]), Vendor("bela", [Do(text=ANSWER)])
    async with thinking(asha, bela) as running:
        await ask(running)
        await asyncio.sleep(5)
        assert said(running) == ANSWER


@virtual_time
async def test_an_answer_without_a_word_is_a_failure() -> None:
    async with thinking(Vendor("asha", [Do(after=0)]), Vendor("bela")) as running:
        await ask(running)
        await asyncio.sleep(1)
        assert said(running) == ANSWER and running.degraded == [("asha", "no_result")]


@virtual_time
async def test_an_interruption_ends_the_waiting() -> None:
    asha = Vendor("asha", [Do(wait_seconds=2.0), Do()])
    async with thinking(asha, bela := Vendor("bela")) as running:
        await ask(running)
        await asyncio.sleep(1)
        await running.send(InterruptionFrame())
        await asyncio.sleep(10)
        assert said(running) == "" and running.degraded == [] and bela.built == []
        await ask(running)
        await asyncio.sleep(1)
        assert said(running) == ANSWER


@virtual_time
async def test_the_preferred_model_is_asked_again_in_a_later_turn() -> None:
    asha = Vendor("asha", [Do(wait_seconds=1e6), Do()])
    async with thinking(asha, bela := Vendor("bela")) as running:
        for _ in range(3):
            await ask(running)
            await asyncio.sleep(8)
        assert (len(asha.asked), len(bela.asked)) == (2, 2)
        assert said(running) == " ".join([ANSWER] * 3)


@virtual_time
async def test_with_nobody_left_the_turn_is_given_up() -> None:
    dead = [Do(fail=ErrorCategory.SERVER, after=0)]
    async with thinking(Vendor("asha", dead), Vendor("bela", dead)) as running:
        await ask(running)
        await asyncio.sleep(3)
        assert len(running.given_up) == 1
        assert running.degraded[-1] == (None, "exhausted")


def used(running: Rig) -> list[tuple[str, int, int]]:
    return [
        (event.provider, event.input_tokens, event.output_tokens)
        for event in running.events
        if isinstance(event, ModelUsage)
    ]


@virtual_time
async def test_what_each_request_took_is_told_and_goes_no_further() -> None:
    nothing = LLMTokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    asha = Vendor("asha", [Do(took=TOOK), Do(took=nothing), Do(), Do(fail=ErrorCategory.SERVER)])
    async with thinking(asha, Vendor("bela", [Do(took=TOOK)])) as running:
        for _ in range(4):
            await ask(running)
            await asyncio.sleep(1)
        assert used(running) == [("asha", 70, 9), ("bela", 70, 9)]
        assert running.of(MetricsFrame) == []


@virtual_time
async def test_what_an_answer_took_that_the_caller_cut_short_is_told_too() -> None:
    async with thinking(Vendor("asha", [Do(took=TOOK, stall=True)])) as running:
        await ask(running)
        await asyncio.sleep(0.5)
        await running.send(InterruptionFrame())
        await asyncio.sleep(0.5)
        assert used(running) == [("asha", 70, 9)] and running.of(MetricsFrame) == []


@virtual_time
async def test_a_question_amid_an_answer_breaks_that_off_and_is_watched_itself() -> None:
    """No interruption came before it, as where the agent may not be interrupted."""
    slow = Do(wait_seconds=1.0, stall=True)
    asha = Vendor("asha", [Do(after=4, stall=True), slow])
    async with thinking(asha, Vendor("bela")) as running:
        await ask(running)
        await asyncio.sleep(1)
        await ask(running)
        await asyncio.sleep(12)
        starts = running.of(LLMFullResponseStartFrame)
        assert len(starts) == len(running.of(LLMFullResponseEndFrame))
        assert said(running).startswith("One two three. Four")
        assert running.degraded == [("asha", "stalled")] and running.chain.provider == "bela"


@virtual_time
async def test_who_opens_for_a_question_that_is_over_takes_nobodys_place() -> None:
    asha, bela = Vendor("asha", [Do(fail=ErrorCategory.SERVER, after=0)]), Vendor("bela")
    async with thinking(asha, bela) as running:
        await ask(running)
        await asyncio.sleep(12)
        asha.does, asha.opens = [Do()], 0.5
        bela.does = [Do(wait_seconds=1.0)]
        await ask(running)
        await asyncio.sleep(0.1)
        await running.send(InterruptionFrame())
        asha.opens = 1e6
        began = asyncio.get_running_loop().time()
        await ask(running)
        await asyncio.sleep(6)
        assert running.times(LLMTextFrame)[-1] - began < 2.0
        assert running.chain.provider == "bela"
