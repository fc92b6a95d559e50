"""OpenAI and compatible servers through Pipecat's service, against the simulator."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from openai import APIStatusError
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    FunctionCallResultFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.errors import ErrorCategory
from pydantic import ValidationError

from services.openai import CompatibleLLMOptions, OpenAILLMOptions
from services.openai.llm import build_compatible_llm, build_llm, clients, normalised
from simulators.behaviour import Behaviour
from simulators.openai import OpenAISimulator, Reply, ToolCall
from tests.unit.services.calls import Line, context, on_the_line


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await clients.close()


def compatible(simulator: OpenAISimulator, **given: object) -> CompatibleLLMOptions:
    return CompatibleLLMOptions.model_validate(
        {"api_base": simulator.base_url, "model": "mistral-7b", **given}
    )


async def ask(llm: OpenAILLMService, line: Line, text: str = "नमस्ते") -> str:
    before = len(line.of(LLMFullResponseEndFrame))
    spoken = len(line.of(LLMTextFrame))
    await line.send(LLMContextFrame(LLMContext(messages=[{"role": "user", "content": text}])))
    await line.first(LLMFullResponseEndFrame, before + 1)
    return "".join(frame.text for frame in line.of(LLMTextFrame)[spoken:])


async def test_an_answer_is_streamed_with_the_options_given(
    http: aiohttp.ClientSession, key: str
) -> None:
    options = OpenAILLMOptions(model="gpt-4o", temperature=0.3, top_p=0.9, max_tokens=200)
    async with OpenAISimulator(replies=["जी, बताइए।"], api_key=key) as simulator:
        llm = build_llm(options, context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert await ask(llm, line) == "जी, बताइए।"
        body = simulator.chats[0].body
        assert (body["model"], body["temperature"], body["top_p"]) == ("gpt-4o", 0.3, 0.9)
        assert body["max_completion_tokens"] == 200
        assert simulator.violations == []


async def test_what_is_not_given_is_left_to_the_model(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with OpenAISimulator(api_key=key) as simulator:
        llm = build_llm(OpenAILLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            await ask(llm, line)
        names = set(simulator.chats[0].body)
        assert not names & {"temperature", "top_p", "max_tokens", "max_completion_tokens"}


async def test_a_server_of_ones_own_needs_no_key_and_knows_the_older_limit(
    http: aiohttp.ClientSession,
) -> None:
    async with OpenAISimulator() as simulator:
        options = compatible(simulator, max_tokens=50)
        llm = build_compatible_llm(options, context(http, simulator.base_url))
        async with on_the_line(llm) as line:
            assert await ask(llm, line) == "Yes, I can help you with that."
        body = simulator.chats[0].body
        assert body["max_tokens"] == 50
        assert "max_completion_tokens" not in body
        assert {message["role"] for message in body["messages"]} <= {"system", "user"}


async def test_a_busy_server_is_asked_once_and_told_of(http: aiohttp.ClientSession) -> None:
    busy = Behaviour(refuse_status=429, retry_after_seconds=7)
    async with OpenAISimulator(script=[busy]) as simulator:
        llm = build_llm(OpenAILLMOptions(), context(http, simulator.base_url, key="k"))
        async with on_the_line(llm) as line:
            assert await ask(llm, line) == ""
            failed = await line.first(ErrorFrame)
        assert len(simulator.connections) == 1
        assert failed.category is ErrorCategory.RATE_LIMIT
        assert isinstance(failed.exception, APIStatusError)
        assert failed.exception.response.headers["retry-after"] == "7"


async def test_an_answer_that_breaks_off_is_reported_and_the_next_one_comes(
    http: aiohttp.ClientSession, key: str
) -> None:
    broken = Reply(text="एक दो तीन चार पाँच", drop_after_chunks=2)
    async with OpenAISimulator(replies=[broken, "ठीक है।"]) as simulator:
        llm = build_llm(OpenAILLMOptions(), context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            assert (await ask(llm, line)).startswith("एक")
            await line.until(lambda: line.errors)
            assert await ask(llm, line) == "ठीक है।"


async def test_calls_share_a_client_per_server_and_key(
    http: aiohttp.ClientSession, key: str
) -> None:
    first = clients.get("http://127.0.0.1:9/v1", key)
    assert clients.get("http://127.0.0.1:9/v1", key) is first
    assert clients.get("http://127.0.0.1:9/v1", f"{key}2") is not first
    await clients.close()
    assert clients.get("http://127.0.0.1:9/v1", key) is not first


def test_a_server_of_ones_own_needs_an_address() -> None:
    with pytest.raises(ValidationError, match="base_url is needed"):
        CompatibleLLMOptions(model="m")


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (None, None),
        ("http://h:8000", "http://h:8000/v1"),
        ("http://h:8000/v1/", "http://h:8000/v1"),
        ("http://h/x/v1/chat/completions", "http://h/x/v1"),
    ],
)
def test_addresses_as_people_write_them(written: str | None, address: str | None) -> None:
    assert normalised(written) == address


async def test_tool_calls_are_run_whole_however_a_server_mixes_them(
    http: aiohttp.ClientSession, key: str
) -> None:
    calls = (ToolCall("get_price", '{"crop":"कपास"}'), ToolCall("get_price", '{"crop":"सोया"}'))
    asked: list[object] = []

    async def get_price(params: FunctionCallParams) -> None:
        asked.append(params.arguments["crop"])
        await params.result_callback({"price": 7100})

    tool = FunctionSchema(
        name="get_price",
        description="Price.",
        properties={"crop": {"type": "string"}},
        required=["crop"],
        handler=get_price,
    )
    async with OpenAISimulator(replies=[Reply(text="रुकिए।", tool_calls=calls)]) as simulator:
        llm = build_llm(OpenAILLMOptions(), context(http, simulator.base_url, key=key))
        question = LLMContext(
            messages=[{"role": "user", "content": "दाम?"}], tools=ToolsSchema([tool])
        )
        async with on_the_line(llm) as line:
            await line.send(LLMContextFrame(question))
            await line.first(FunctionCallResultFrame, 2)
        assert sorted(map(str, asked)) == ["कपास", "सोया"]
        assert line.errors == []
