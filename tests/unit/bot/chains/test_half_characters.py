"""Half a character of a vendor's spoils no request that follows in its call."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    FunctionCallFromLLM,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    LLMTextFrame,
    TranscriptionFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from bot.text.whole import WholeFrames, whole_text
from tests.unit.bot.chains.rig import Do, Vendor
from tests.unit.bot.chains.test_llm_chain import ask, said, thinking
from tests.virtual_time import virtual_time

SMILE = "\U0001f600"
HIGH, LOW = "\ud83d", "\ude00"


@virtual_time
@pytest.mark.parametrize("text", [f"Good {HIGH} day.", f"Good {LOW} day.", f"Good day. {HIGH}"])
async def test_an_answer_with_half_a_character_can_be_sent_on(text: str) -> None:
    asha = Vendor("asha", [Do(text=text), Do(text="More.")])
    async with thinking(asha, Vendor("bela")) as running:
        await ask(running)
        await asyncio.sleep(1)
        # As the next request's body, and as what a voice is asked for.
        assert json.dumps(said(running), ensure_ascii=False).encode()
        assert " ".join(said(running).split()) == "Good day."
        assert running.degraded == []


def texts(*pieces: str) -> list[str]:
    whole, found = WholeFrames(), []
    for piece in pieces:
        frame = LLMTextFrame(piece)
        whole.clean(frame)
        found.append(frame.text)
    return found


def test_halves_that_come_in_two_pieces_are_one_character() -> None:
    assert texts(f"a{HIGH}", f"{LOW}b") == ["a", f"{SMILE}b"]
    assert texts(HIGH, LOW) == ["", SMILE]
    assert texts(HIGH, "plain", LOW) == ["", "plain", ""]


@given(st.lists(st.text(st.characters(codec=None), max_size=5), max_size=6))
def test_all_that_is_whole_is_kept(pieces: list[str]) -> None:
    found = "".join(texts(*pieces))
    found.encode()
    joined = "".join(pieces)
    kept = joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    assert kept.startswith(found) and kept.removeprefix(found) == ""


@given(st.text())
def test_whole_text_stays_as_it_is(text: str) -> None:
    assert whole_text(text) == text


def test_what_was_heard_and_what_tools_are_given() -> None:
    whole, bad = WholeFrames(), f"x{HIGH}"
    heard = TranscriptionFrame(bad, "caller", "now")
    arguments: dict[str, Any] = {bad: [bad, {"deep": bad}, 5, None]}
    context = LLMContext()
    call = FunctionCallFromLLM(
        function_name=bad, tool_call_id=bad, arguments=arguments, context=context
    )
    started = FunctionCallsStartedFrame(function_calls=[call])
    running = FunctionCallInProgressFrame(
        function_name=bad, tool_call_id=bad, arguments=arguments, cancel_on_interruption=True
    )
    result = FunctionCallResultFrame(
        function_name=bad, tool_call_id=bad, arguments=arguments, result={"said": bad}
    )
    for frame in (heard, started, running, result):
        whole.clean(frame)
    clean = {"x": ["x", {"deep": "x"}, 5, None]}
    assert heard.text == "x"
    (kept,) = started.function_calls
    assert (kept.function_name, kept.tool_call_id, kept.arguments) == ("x", "x", clean)
    assert kept.context is context
    assert (running.function_name, running.tool_call_id, running.arguments) == ("x", "x", clean)
    assert (result.arguments, result.result) == (clean, {"said": "x"})
