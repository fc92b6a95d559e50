"""Anthropic's models through Pipecat's service, against the simulator."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.utils.errors import ErrorCategory

import services.anthropic.llm as module
from config.agent_file import read_agent
from config.errors import ConfigError
from config.settings import load_settings
from services.anthropic import AnthropicLLMOptions
from services.anthropic.llm import build_llm, clients, server_address
from services.registry import catalog
from simulators.anthropic import AnthropicSimulator, Reply, ToolUse
from simulators.behaviour import Behaviour
from tests.unit.services.calls import Line, context, on_the_line

EXAMPLE = Path(__file__).parents[4] / "docs/examples/anthropic_agent.json"


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await clients.close()


async def ask(line: Line, text: str = "नमस्ते", tools: ToolsSchema | None = None) -> str:
    """Ask, and wait for the end of the answer; returns what was said."""
    before = len(line.of(LLMFullResponseEndFrame))
    spoken = len(line.of(LLMTextFrame))
    messages: list[Any] = [{"role": "user", "content": text}]
    asked = LLMContext(messages, tools=tools) if tools else LLMContext(messages)
    await line.send(LLMContextFrame(asked))
    await line.first(LLMFullResponseEndFrame, before + 1)
    return "".join(frame.text for frame in line.of(LLMTextFrame)[spoken:])


async def test_an_answer_is_streamed_with_the_options_given(
    http: aiohttp.ClientSession, key: str
) -> None:
    options = AnthropicLLMOptions(model="claude-haiku-4-5", temperature=0.3, max_tokens=200)
    async with AnthropicSimulator(replies=["जी, बताइए।"], api_key=key) as simulator:
        llm = build_llm(options, context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(line) == "जी, बताइए।"
        body = simulator.asked[0].body
        assert (body["model"], body["temperature"], body["max_tokens"]) == (
            "claude-haiku-4-5",
            0.3,
            200,
        )
        assert not set(body) & {"tools", "tool_choice", "top_p"}
        assert simulator.asked[0].user_text == "नमस्ते"
        assert simulator.violations == []
        assert line.errors == []


async def test_it_does_not_think_before_it_speaks(http: aiohttp.ClientSession, key: str) -> None:
    async with AnthropicSimulator() as simulator:
        llm = build_llm(AnthropicLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            await ask(line)
        body = simulator.asked[0].body
        assert body["model"] == "claude-haiku-5-5"
        assert body["thinking"] == {"type": "disabled"}


async def test_pieces_that_arrive_torn_are_put_together(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with AnthropicSimulator(
        replies=["एक दो तीन"], behaviour=Behaviour(odd_frames=True)
    ) as simulator:
        llm = build_llm(AnthropicLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(line) == "एक दो तीन"


async def test_a_tool_is_called_one_at_a_time(http: aiohttp.ClientSession, key: str) -> None:
    taken: list[Any] = []

    async def handler(params: FunctionCallParams) -> None:
        taken.append(params.arguments)
        await params.result_callback({"done": True})

    tool = FunctionSchema(
        name="transfer",
        description="Hand over.",
        properties={"to": {"type": "string"}},
        required=["to"],
        handler=handler,
    )
    reply = Reply(text="एक मिनट।", tool_uses=(ToolUse("transfer", json.dumps({"to": "desk"})),))
    async with AnthropicSimulator(replies=[reply]) as simulator:
        llm = build_llm(AnthropicLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(line, tools=ToolsSchema(standard_tools=[tool])) == "एक मिनट।"
            await line.first(FunctionCallsStartedFrame)
            await line.until(lambda: taken)
        assert taken == [{"to": "desk"}]
        body = simulator.asked[0].body
        assert body["tools"][0]["name"] == "transfer"
        assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, ErrorCategory.AUTHENTICATION),
        (403, ErrorCategory.AUTHORIZATION),
        (429, ErrorCategory.RATE_LIMIT),
        (500, ErrorCategory.SERVER),
        (529, ErrorCategory.SERVER),
    ],
)
async def test_a_refusal_is_one_error_at_once(
    http: aiohttp.ClientSession, key: str, status: int, category: ErrorCategory
) -> None:
    refusal = Behaviour(refuse_status=status, retry_after_seconds=7)
    async with AnthropicSimulator(behaviour=refusal) as simulator:
        llm = build_llm(AnthropicLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(line) == ""
        error = one_error(line)
        assert error.category is category
        response: httpx2.Response = getattr(error.exception, "response")  # noqa: B009
        assert response.headers["retry-after"] == "7"
        assert len(simulator.connections) == 1
        assert key not in error.error


@pytest.mark.parametrize(
    ("reply", "category"),
    [
        (Reply(text="एक दो तीन", drop_after_chunks=2), ErrorCategory.CONNECTIVITY),
        (Reply(text="एक दो तीन", end_after_chunks=2), ErrorCategory.CONNECTIVITY),
        (Reply(text="एक दो तीन", error_after_chunks=2), ErrorCategory.SERVER),
        (
            Reply(text="एक दो", error_after_chunks=1, error_type="rate_limit_error"),
            ErrorCategory.RATE_LIMIT,
        ),
        (Reply(tool_uses=(ToolUse("transfer", '{"to": '),)), ErrorCategory.SERVER),
    ],
)
async def test_an_answer_that_breaks_off_is_one_error_and_the_next_one_comes(
    http: aiohttp.ClientSession, key: str, reply: Reply, category: ErrorCategory
) -> None:
    async with AnthropicSimulator(replies=[reply, "ठीक है।"]) as simulator:
        llm = build_llm(AnthropicLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            said = await ask(line)
            assert said.startswith("एक") == bool(reply.text)
            assert one_error(line).category is category
            assert await ask(line) == "ठीक है।"
        assert simulator.violations == []


async def test_garbage_is_one_error(http: aiohttp.ClientSession, key: str) -> None:
    async with AnthropicSimulator(behaviour=Behaviour(garbage_frames=1)) as simulator:
        llm = build_llm(AnthropicLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            await ask(line)
        assert line.errors == ["llm_failed"]


async def test_a_silence_is_one_error(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", httpx2.Timeout(30, read=1))
    async with AnthropicSimulator(replies=[Reply(text="एक दो", stall_after_chunks=1)]) as simulator:
        llm = build_llm(AnthropicLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(line) == "एक"
        assert line.errors == ["llm_timeout"]
        assert one_error(line).category is ErrorCategory.CONNECTIVITY


async def test_a_server_that_is_not_there_is_one_error(
    http: aiohttp.ClientSession, key: str, closed_port: int
) -> None:
    address = AnthropicSimulator(port=closed_port).base_url
    llm = build_llm(AnthropicLLMOptions(), context(http, address, key=key))
    async with on_the_line(llm) as line:
        await ask(line)
    assert one_error(line).category is ErrorCategory.CONNECTIVITY


async def test_an_interruption_ends_the_request(http: aiohttp.ClientSession, key: str) -> None:
    reply = Reply(text="एक दो तीन", stall_after_chunks=1)
    async with AnthropicSimulator(replies=[reply, "फिर"]) as simulator:
        llm = build_llm(AnthropicLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            messages: list[Any] = [{"role": "user", "content": "बोलिए"}]
            await line.send(LLMContextFrame(LLMContext(messages)))
            await line.first(LLMTextFrame)
            await line.send(InterruptionFrame())
            await simulator.until(lambda: simulator.connections[0].ended.is_set())
            assert simulator.connections[0].abandoned
            line.frames.clear()
            assert await ask(line) == "फिर"
        assert line.errors == []


def one_error(line: Line) -> ErrorFrame:
    """The only error.

    Raises:
        ValueError: There is another number of them.
    """
    [error] = line.of(ErrorFrame)
    return error


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://api.anthropic.com/", "https://api.anthropic.com"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com"),
        ("http://h:1/x/v1/messages", "http://h:1/x"),
    ],
)
def test_addresses_as_people_write_them(written: str, address: str) -> None:
    assert server_address(written) == address


@pytest.mark.parametrize("written", [None, "", "api.anthropic.com", "ws://h"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"llm\.anthropic\.base_url"):
        server_address(written)


def test_the_example_is_good() -> None:
    agent = read_agent(EXAMPLE, catalog, load_settings(None, {}), check_installation=False)
    options = agent.provider_options("llm", "anthropic")
    assert isinstance(options, AnthropicLLMOptions)
    assert options.max_tokens == 400
