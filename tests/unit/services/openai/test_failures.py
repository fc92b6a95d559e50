"""Every way in which a model fails: told once, by its kind, and never without an end."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from aiohttp import web
from openai import APIConnectionError, APIError, APIStatusError
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.errors import ErrorCategory

from services.groq import GroqLLMOptions
from services.groq.llm import build_llm as build_groq
from services.ollama import OllamaLLMOptions
from services.ollama.llm import build_llm as build_ollama
from services.openai import OpenAILLMOptions
from services.openai.clients import clients
from services.openai.failures import BrokenAnswerError, described
from services.openai.llm import build_llm
from services.openrouter import OpenRouterLLMOptions
from services.openrouter.llm import build_llm as build_openrouter
from services.xai import XAILLMOptions
from services.xai.llm import build_llm as build_xai
from simulators.base import json_response
from simulators.behaviour import Behaviour
from simulators.openai import GroqSimulator, OpenAISimulator, OpenRouterSimulator, Reply
from tests.unit.services.calls import Line, context, on_the_line

TEXT = "एक दो तीन चार पाँच"
VENDORS = {
    "openai": (OpenAISimulator, build_llm, OpenAILLMOptions()),
    "groq": (GroqSimulator, build_groq, GroqLLMOptions()),
    "ollama": (OpenAISimulator, build_ollama, OllamaLLMOptions(model="m")),
    "openrouter": (OpenRouterSimulator, build_openrouter, OpenRouterLLMOptions()),
    "xai": (OpenAISimulator, build_xai, XAILLMOptions()),
}
every = pytest.mark.parametrize("vendor", VENDORS)


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await clients.close()


def question() -> Frame:
    return LLMContextFrame(LLMContext(messages=[{"role": "user", "content": "नमस्ते"}]))


async def fails(
    http: aiohttp.ClientSession, vendor: str, reply: Reply, *script: Behaviour
) -> tuple[ErrorFrame, str]:
    """The one error of one answer, and what was said before it."""
    make, build, options = VENDORS[vendor]
    async with make(replies=[reply], script=script) as simulator:
        llm = build(options, context(http, simulator.base_url, key="k"))  # type: ignore[operator]
        async with on_the_line(llm) as line:
            await line.send(question())
            await line.first(LLMFullResponseEndFrame)
            await line.first(ErrorFrame)
        assert len(line.of(ErrorFrame)) == 1
        assert len(line.of(LLMFullResponseEndFrame)) == 1
        assert len(simulator.connections) == 1
        return line.of(ErrorFrame)[0], said(line)


def said(line: Line) -> str:
    return "".join(frame.text for frame in line.of(LLMTextFrame))


@every
@pytest.mark.parametrize(
    ("status", "category"),
    [
        (400, ErrorCategory.INVALID_REQUEST),
        (401, ErrorCategory.AUTHENTICATION),
        (403, ErrorCategory.AUTHORIZATION),
        (404, ErrorCategory.INVALID_REQUEST),
        (429, ErrorCategory.RATE_LIMIT),
        (500, ErrorCategory.SERVER),
        (503, ErrorCategory.SERVER),
    ],
)
async def test_a_refusal(
    http: aiohttp.ClientSession, vendor: str, status: int, category: ErrorCategory
) -> None:
    refusal = Behaviour(refuse_status=status, retry_after_seconds=3)
    error, text = await fails(http, vendor, Reply(text=TEXT), refusal)
    assert text == ""
    assert error.category is category
    assert isinstance(error.exception, APIStatusError)
    assert error.exception.response.headers["retry-after"] == "3"
    assert str(status) in error.error


@every
async def test_a_connection_that_is_torn_in_mid_answer(
    http: aiohttp.ClientSession, vendor: str
) -> None:
    error, text = await fails(http, vendor, Reply(text=TEXT, drop_after_chunks=2))
    assert TEXT.startswith(text)
    assert text
    assert error.category is ErrorCategory.CONNECTIVITY
    assert isinstance(error.exception, APIConnectionError)


@every
async def test_an_error_within_the_stream(http: aiohttp.ClientSession, vendor: str) -> None:
    error, text = await fails(http, vendor, Reply(text=TEXT, error_after_chunks=2))
    assert TEXT.startswith(text)
    assert text
    assert error.category is ErrorCategory.SERVER
    assert isinstance(error.exception, APIError)


@every
async def test_an_answer_that_ends_politely_before_its_end(
    http: aiohttp.ClientSession, vendor: str
) -> None:
    error, text = await fails(http, vendor, Reply(text=TEXT, end_after_chunks=2))
    assert text == "एक दो"
    assert error.category is ErrorCategory.SERVER
    assert isinstance(error.exception, BrokenAnswerError)


@every
async def test_garbage_in_the_stream(http: aiohttp.ClientSession, vendor: str) -> None:
    error, text = await fails(http, vendor, Reply(text=TEXT), Behaviour(garbage_frames=1))
    assert text == ""
    assert error.category is ErrorCategory.SERVER
    assert error.exception is not None


@every
async def test_nobody_listens(http: aiohttp.ClientSession, vendor: str, closed_port: int) -> None:
    make, build, options = VENDORS[vendor]
    address = make(port=closed_port).base_url
    llm = build(options, context(http, address, key="k"))  # type: ignore[operator]
    async with on_the_line(llm) as line:
        await line.send(question())
        await line.first(LLMFullResponseEndFrame)
        error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.CONNECTIVITY
    assert isinstance(error.exception, APIConnectionError)
    assert len(line.of(ErrorFrame)) == 1


async def test_an_answer_whose_reason_came_is_whole_without_done(
    http: aiohttp.ClientSession,
) -> None:
    async with OpenAISimulator(replies=[Reply(text=TEXT, sends_done=False)]) as simulator:
        llm = build_llm(OpenAILLMOptions(), context(http, simulator.base_url, key="k"))
        async with on_the_line(llm) as line:
            await line.send(question())
            await line.first(LLMFullResponseEndFrame)
        assert said(line) == TEXT
        assert line.errors == []


async def test_a_quota_that_is_used_up_is_told_from_a_busy_server(
    http: aiohttp.ClientSession,
) -> None:
    class Spent(OpenAISimulator):
        def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
            error = {"message": "x", "type": "insufficient_quota", "code": "insufficient_quota"}
            return json_response({"error": error}, status=status, headers=headers)

    async with Spent(behaviour=Behaviour(refuse_status=429)) as simulator:
        llm = build_llm(OpenAILLMOptions(), context(http, simulator.base_url, key="k"))
        async with on_the_line(llm) as line:
            await line.send(question())
            error = await line.first(ErrorFrame)
    assert error.category is ErrorCategory.QUOTA
    assert "insufficient_quota" in error.error


@pytest.mark.parametrize("before_the_first_word", [True, False])
async def test_an_interruption_hangs_up(
    http: aiohttp.ClientSession, before_the_first_word: bool
) -> None:
    reply = Reply(text=TEXT, stall_after_chunks=0 if before_the_first_word else 2)
    async with OpenAISimulator(replies=[reply]) as simulator:
        llm = build_llm(OpenAILLMOptions(), context(http, simulator.base_url, key="k"))
        async with on_the_line(llm) as line:
            await line.send(question())
            await simulator.until(lambda: bool(simulator.connections))
            await simulator.until(lambda: simulator.connections[0].silent)
            if not before_the_first_word:
                await line.first(LLMTextFrame)
            await line.send(InterruptionFrame())
            async with asyncio.timeout(30):
                await simulator.connections[0].ended.wait()
            assert simulator.connections[0].abandoned
        assert line.errors == []


def test_messages_quote_nothing_that_a_server_says() -> None:
    error = APIError("the key sk-abc is wrong", None, body={"code": "oh no, नमस्ते"})  # type: ignore[arg-type]
    assert described("OpenAI", "llm", error) == "OpenAI llm: the server broke off with an error"
