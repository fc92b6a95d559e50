"""Google's Gemini through Pipecat's service and Google's client, against the simulator."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.utils.errors import ErrorCategory

import services.google.llm as module
from config.agent_file import read_agent
from config.errors import ConfigError
from config.settings import load_settings
from services.google import GoogleLLMOptions, GoogleSTTOptions, GoogleTTSOptions
from services.google.llm import build_llm, clients, server_address
from services.registry import catalog
from simulators.behaviour import Behaviour
from simulators.google import FunctionCall, GeminiSimulator, Reply
from tests.unit.services.calls import Line, context, on_the_line

EXAMPLE = Path(__file__).parents[4] / "docs/examples/google_agent.json"


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await clients.close()


async def ask(line: Line, text: str = "नमस्ते", tools: ToolsSchema | None = None) -> str:
    before = len(line.of(LLMFullResponseEndFrame))
    spoken = len(line.of(LLMTextFrame))
    messages: list[Any] = [{"role": "user", "content": text}]
    asked = LLMContext(messages, tools=tools) if tools else LLMContext(messages)
    await line.send(LLMContextFrame(asked))
    await line.first(LLMFullResponseEndFrame, before + 1)
    return "".join(frame.text for frame in line.of(LLMTextFrame)[spoken:])


async def test_an_answer_is_streamed_without_thinking_first(
    http: aiohttp.ClientSession, key: str
) -> None:
    options = GoogleLLMOptions(temperature=0.3, max_tokens=200)
    async with GeminiSimulator(replies=["जी, बताइए।"], api_key=key) as simulator:
        llm = build_llm(options, context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(line) == "जी, बताइए।"
        assert "gemini-3.6-flash" in simulator.connections[0].received.path
        given = simulator.asked[0]["generationConfig"]
        assert (given["temperature"], given["maxOutputTokens"]) == (0.3, 200)
        assert "minimal" in str(given["thinkingConfig"]).lower()
        assert simulator.violations == []
        assert line.errors == []


async def test_a_tool_is_called(http: aiohttp.ClientSession, key: str) -> None:
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
    reply = Reply(text="एक मिनट।", calls=(FunctionCall("transfer", {"to": "desk"}),))
    async with GeminiSimulator(replies=[reply]) as simulator:
        llm = build_llm(GoogleLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            await ask(line, tools=ToolsSchema(standard_tools=[tool]))
            await line.until(lambda: taken)
        assert taken == [{"to": "desk"}]
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, ErrorCategory.AUTHENTICATION),
        (403, ErrorCategory.AUTHORIZATION),
        (429, ErrorCategory.RATE_LIMIT),
        (500, ErrorCategory.SERVER),
        (503, ErrorCategory.SERVER),
    ],
)
async def test_a_refusal_is_one_error_at_once(
    http: aiohttp.ClientSession, key: str, status: int, category: ErrorCategory
) -> None:
    async with GeminiSimulator(behaviour=Behaviour(refuse_status=status)) as simulator:
        llm = build_llm(GoogleLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(line) == ""
        [error] = line.of(ErrorFrame)
        assert error.category is category
        assert len(simulator.connections) == 1
        assert key not in error.error


async def test_a_wrong_key_is_known_as_one(http: aiohttp.ClientSession, key: str) -> None:
    async with GeminiSimulator(api_key=key) as simulator:
        llm = build_llm(GoogleLLMOptions(), context(http, simulator.base_url, key=f"not-{key}"))
        async with on_the_line(llm) as line:
            await ask(line)
        assert line.of(ErrorFrame)[0].category is ErrorCategory.AUTHENTICATION


@pytest.mark.parametrize(
    ("reply", "category"),
    [
        (Reply(text="एक दो तीन", drop_after_chunks=2), ErrorCategory.CONNECTIVITY),
        (Reply(text="एक दो तीन", end_after_chunks=2), ErrorCategory.CONNECTIVITY),
        (Reply(text="एक दो तीन", error_after_chunks=2), ErrorCategory.SERVER),
    ],
)
async def test_an_answer_that_breaks_off_is_one_error_and_the_next_one_comes(
    http: aiohttp.ClientSession, key: str, reply: Reply, category: ErrorCategory
) -> None:
    async with GeminiSimulator(replies=[reply, "ठीक है।"]) as simulator:
        llm = build_llm(GoogleLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert (await ask(line)).startswith("एक")
            [error] = line.of(ErrorFrame)
            assert error.category is category
            assert await ask(line) == "ठीक है।"


async def test_garbage_is_one_error(http: aiohttp.ClientSession, key: str) -> None:
    async with GeminiSimulator(behaviour=Behaviour(garbage_frames=1)) as simulator:
        llm = build_llm(GoogleLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            await ask(line)
        [error] = line.of(ErrorFrame)
        assert error.category is ErrorCategory.SERVER


async def test_a_silence_is_one_error(
    http: aiohttp.ClientSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE_SECONDS", 1.0)
    async with GeminiSimulator(replies=[Reply(text="एक दो", stall_after_chunks=1)]) as simulator:
        llm = build_llm(GoogleLLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(line) == "एक"
        [error] = line.of(ErrorFrame)
        assert error.category is ErrorCategory.CONNECTIVITY


async def test_a_server_that_is_not_there_is_one_error(
    http: aiohttp.ClientSession, key: str, closed_port: int
) -> None:
    address = GeminiSimulator(port=closed_port).base_url
    llm = build_llm(GoogleLLMOptions(), context(http, address, key=key))
    async with on_the_line(llm) as line:
        await ask(line)
    [error] = line.of(ErrorFrame)
    assert error.category is ErrorCategory.CONNECTIVITY


async def test_an_interruption_ends_the_request_and_a_calls_end_leaves_the_client(
    http: aiohttp.ClientSession, key: str
) -> None:
    reply = Reply(text="एक दो तीन", stall_after_chunks=1)
    async with GeminiSimulator(replies=[reply, "फिर"]) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_llm(GoogleLLMOptions(), here)) as line:
            messages: list[Any] = [{"role": "user", "content": "बोलिए"}]
            await line.send(LLMContextFrame(LLMContext(messages)))
            await line.first(LLMTextFrame)
            await line.send(InterruptionFrame())
            await simulator.until(lambda: simulator.connections[0].ended.is_set())
        async with on_the_line(build_llm(GoogleLLMOptions(), here)) as line:
            assert await ask(line) == "फिर"
        assert line.errors == []


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://generativelanguage.googleapis.com/", "https://generativelanguage.googleapis.com"),
        ("http://h:1/v1beta/models/", "http://h:1"),
    ],
)
def test_addresses_as_people_write_them(written: str, address: str) -> None:
    assert server_address(written) == address


@pytest.mark.parametrize("written", [None, "", "generativelanguage.googleapis.com", "ws://h"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"llm\.google\.base_url"):
        server_address(written)


def test_the_example_is_good() -> None:
    agent = read_agent(EXAMPLE, catalog, load_settings(None, {}), check_installation=False)
    assert isinstance(agent.provider_options("stt", "google"), GoogleSTTOptions)
    assert isinstance(agent.provider_options("tts", "google"), GoogleTTSOptions)
    assert isinstance(agent.provider_options("llm", "google"), GoogleLLMOptions)
