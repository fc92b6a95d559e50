"""What a model may do besides talking."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import NOT_GIVEN

from bot.tools import agent_tools
from config.phrases import phrases_for
from tests.unit.bot.agents import make_agent, make_call
from tests.virtual_time import virtual_time

TARGETS = {"transfer_to": {"desk": "+918000000001"}}


@virtual_time
async def test_end_call_waits_for_the_words_of_its_answer(tmp_path: Path) -> None:
    agent = make_agent(tools=("end_call",), llm={"answers": ("Goodbye then.",), "tool": "end_call"})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("bye")
        await asyncio.sleep(0.5)
        assert call.ends == [] and call.bot._speaker.speaking
        await asyncio.sleep(3)
        assert call.ends == [("agent_hangup", None)]
        assert call.spoken() == [("Goodbye then.", False)]


@virtual_time
@pytest.mark.parametrize("cached", [True, False])
async def test_a_model_that_hangs_up_without_a_word_says_farewell(
    tmp_path: Path, cached: bool
) -> None:
    agent = make_agent(
        tools=("end_call",),
        llm={"answers": (), "tool": "end_call"},
        call={"farewell": "Bye for now."},
    )
    async with make_call(agent, tmp_path, cached=cached) as call:
        await asyncio.sleep(0.1)
        await call.user_says("bye")
        await asyncio.sleep(3)
        assert call.spoken() == [("Bye for now.", False)]
        assert call.ends == [("agent_hangup", None)]


@virtual_time
async def test_a_caller_who_speaks_over_the_farewell_stays(tmp_path: Path) -> None:
    agent = make_agent(tools=("end_call",), llm={"answers": ("Goodbye then.",), "tool": "end_call"})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("bye")
        await asyncio.sleep(0.4)
        await call.user_says("wait")
        await asyncio.sleep(5)
        assert call.ends == []
        assert len(call.llm.asked) == 2


@virtual_time
async def test_transfer_to_a_target_of_the_file(tmp_path: Path) -> None:
    agent = make_agent(
        tools=("transfer",),
        call=TARGETS,
        llm={"answers": ("One moment.",), "tool": "transfer", "tool_arguments": {"to": "desk"}},
    )
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("a person please")
        await asyncio.sleep(3)
        assert call.ends == [("transferred", "desk")]


@virtual_time
@pytest.mark.parametrize("arguments", [{"to": "+919999999999"}, {}, {"to": ""}])
async def test_transfer_to_anywhere_else_is_refused(
    tmp_path: Path, arguments: dict[str, str]
) -> None:
    agent = make_agent(
        tools=("transfer",),
        call=TARGETS,
        llm={
            "answers": ("One moment.", "I cannot."),
            "tool": "transfer",
            "tool_arguments": arguments,
        },
    )
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("call my friend")
        await asyncio.sleep(8)
        assert call.ends == []
        results = [m for m in call.llm.asked[-1] if m.get("role") == "tool"]
        assert "not allowed" in str(results)
        assert call.spoken()[-1] == ("I cannot.", False)


@virtual_time
async def test_who_waits_for_the_answer_after_a_tool_is_asked_for_patience(tmp_path: Path) -> None:
    agent = make_agent(
        tools=("transfer",),
        call=TARGETS,
        llm={
            "answers": ("", "I cannot."),
            "tool": "transfer",
            "tool_arguments": {"to": ""},
            "later_seconds": 3.0,
        },
    )
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("call my friend")
        await asyncio.sleep(8)
        spoken = [words for words, _ in call.spoken()]
        assert spoken == [phrases_for("en-IN").hold, "I cannot."]


def test_only_what_the_file_allows() -> None:
    assert agent_tools(make_agent()) is NOT_GIVEN
    tools: Any = agent_tools(make_agent(tools=("end_call", "transfer"), call=TARGETS))
    schemas = {tool.name: tool for tool in tools.standard_tools}
    assert set(schemas) == {"end_call", "transfer"}
    assert schemas["transfer"].properties["to"]["enum"] == ["desk"]
