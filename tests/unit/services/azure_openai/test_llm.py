"""Azure OpenAI: its two kinds of addresses, its key, its failures."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.errors import ErrorCategory

from config.errors import ConfigError
from services.azure_openai import AzureOpenAILLMOptions
from services.azure_openai.llm import build_llm, resource_address
from services.connections.clients import close_shared_clients
from simulators.behaviour import Behaviour
from simulators.openai import AzureOpenAISimulator, Reply
from tests.unit.services.calls import Line, context, on_the_line


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await close_shared_clients()


async def ask(
    http: aiohttp.ClientSession, simulator: AzureOpenAISimulator, path: str, key: str
) -> Line:
    options = AzureOpenAILLMOptions.model_validate({"deployment": "chat-in", "max_tokens": 60})
    llm = build_llm(options, context(http, f"{simulator.base_url}{path}", key=key))
    async with on_the_line(llm) as line:
        context_ = LLMContext(messages=[{"role": "user", "content": "नमस्ते"}])
        await line.send(LLMContextFrame(context_))
        await line.first(LLMFullResponseEndFrame)
    return line


@pytest.mark.parametrize(
    ("path", "reached", "version"),
    [
        ("", "/openai/deployments/chat-in/chat/completions", "2025-04-01-preview"),
        ("/openai/v1", "/openai/v1/chat/completions", None),
    ],
)
async def test_both_kinds_of_addresses(
    http: aiohttp.ClientSession, key: str, path: str, reached: str, version: str | None
) -> None:
    async with AzureOpenAISimulator(replies=["जी।"], api_key=key) as simulator:
        line = await ask(http, simulator, path, key)
        assert [frame.text for frame in line.of(LLMTextFrame)] == ["जी।"]
        received = simulator.requests[0]
        assert received.path == reached
        assert dict(received.query).get("api-version") == version
        assert simulator.chats[0].body["max_completion_tokens"] == 60
        assert simulator.violations == []


async def test_a_version_of_ones_own(http: aiohttp.ClientSession, key: str) -> None:
    async with AzureOpenAISimulator() as simulator:
        options = AzureOpenAILLMOptions(model="d", api_version="2024-10-21")
        llm = build_llm(options, context(http, simulator.base_url, key=key))
        async with on_the_line(llm) as line:
            message = LLMContext(messages=[{"role": "user", "content": "x"}])
            await line.send(LLMContextFrame(message))
            await line.first(LLMFullResponseEndFrame)
        assert dict(simulator.requests[0].query)["api-version"] == "2024-10-21"
    assert AzureOpenAILLMOptions(
        base_url="https://r.openai.azure.com/openai/v1", model="d", api_version="2024-10-21"
    ).problems_with(variables=(), transfer_targets=())


@pytest.mark.parametrize("path", ["", "/openai/v1"])
@pytest.mark.parametrize(
    ("reply", "behaviour", "category"),
    [
        (Reply(), Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Reply(), Behaviour(refuse_status=429), ErrorCategory.RATE_LIMIT),
        (Reply(), Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Reply(text="a b c", drop_after_chunks=1), Behaviour(), ErrorCategory.CONNECTIVITY),
        (Reply(text="a b c", error_after_chunks=1), Behaviour(), ErrorCategory.SERVER),
        (Reply(text="a b c", end_after_chunks=1), Behaviour(), ErrorCategory.SERVER),
    ],
)
async def test_failures_are_told_once_by_their_kind(
    http: aiohttp.ClientSession,
    key: str,
    path: str,
    reply: Reply,
    behaviour: Behaviour,
    category: ErrorCategory,
) -> None:
    async with AzureOpenAISimulator(replies=[reply], behaviour=behaviour) as simulator:
        line = await ask(http, simulator, path, key)
        await line.first(ErrorFrame)
        assert [frame.category for frame in line.of(ErrorFrame)] == [category]
        assert line.of(ErrorFrame)[0].exception is not None
        assert len(simulator.connections) == 1


def test_addresses_as_people_write_them() -> None:
    assert resource_address("https://r.openai.azure.com/openai/") == "https://r.openai.azure.com"
    with pytest.raises(ConfigError, match="AZURE_OPENAI_ENDPOINT"):
        resource_address("my-resource")
