"""Sarvam's chat models through Pipecat's service, against the simulator."""

from typing import Any

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
from services.connections.clients import close_shared_clients
from services.sarvam import SarvamLLMOptions
from services.sarvam.addresses import chat_address
from services.sarvam.llm import build_llm, clients
from simulators.behaviour import Behaviour
from simulators.sarvam import SarvamSimulator
from tests.unit.services.calls import Line, context, on_the_line


async def ask(line: Line) -> None:
    await line.send(LLMContextFrame(LLMContext(messages=[{"role": "user", "content": "नमस्ते"}])))
    await line.first(LLMFullResponseEndFrame)


async def body_for(
    http: aiohttp.ClientSession, key: str, options: SarvamLLMOptions
) -> tuple[str, dict[str, Any]]:
    async with SarvamSimulator(api_key=key) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_llm(options, here)) as line:
            await ask(line)
        await close_shared_clients()
        assert simulator.violations == []
        assert line.errors == []
        assert "".join(frame.text for frame in line.of(LLMTextFrame)) == "जी, मैं आपकी मदद करूँगी।"
        return simulator.connections[0].received.path, dict(simulator.chats[0].body)


async def test_the_model_for_talk_is_the_default(http: aiohttp.ClientSession, key: str) -> None:
    options = SarvamLLMOptions(temperature=0.3, top_p=0.9, max_tokens=80)
    path, body = await body_for(http, key, options)
    assert path == "/v1/chat/completions"
    assert body["model"] == "sarvam-105b-conversations"
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.3, 0.9, 80)
    assert "reasoning_effort" not in body


@pytest.mark.parametrize(
    ("model", "effort", "version", "sent"),
    [
        ("sarvam-105b", None, "v1", None),
        ("sarvam-105b", "high", "v1", "high"),
        ("glm5.3", None, "v2", "low"),
        ("deepseekv4.1-flash", "medium", "v2", "medium"),
    ],
)
async def test_it_thinks_no_more_than_it_is_told(
    http: aiohttp.ClientSession, key: str, model: Any, effort: Any, version: str, sent: str | None
) -> None:
    options = SarvamLLMOptions(model=model, reasoning_effort=effort)
    path, body = await body_for(http, key, options)
    assert path == f"/{version}/chat/completions"
    assert body["reasoning_effort"] == sent


async def test_a_model_that_does_not_think(http: aiohttp.ClientSession, key: str) -> None:
    _, body = await body_for(http, key, SarvamLLMOptions(model="gemma4"))
    assert "reasoning_effort" not in body
    effort = SarvamLLMOptions(reasoning_effort="low")
    assert effort.problems_with(variables=(), transfer_targets=())
    assert SarvamLLMOptions().problems_with(variables=(), transfer_targets=()) == []


@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(refuse_status=401), ErrorCategory.AUTHENTICATION),
        (Behaviour(refuse_status=429, retry_after_seconds=7), ErrorCategory.RATE_LIMIT),
        (Behaviour(refuse_status=500), ErrorCategory.SERVER),
        (Behaviour(error_after_bytes=1), None),
        (Behaviour(garbage_frames=1), None),
        (Behaviour(drop_after_bytes=300), None),
    ],
    ids=str,
)
async def test_every_failure_is_told_once_and_the_answer_ends(
    http: aiohttp.ClientSession, key: str, behaviour: Behaviour, category: ErrorCategory | None
) -> None:
    async with SarvamSimulator(behaviour=behaviour) as simulator:
        here = context(http, simulator.base_url, key=key)
        async with on_the_line(build_llm(SarvamLLMOptions(), here)) as line:
            await ask(line)
            error = await line.first(ErrorFrame)
        await close_shared_clients()
        assert category in (None, error.category)
        assert len(simulator.connections) == 1
        assert key not in error.error


async def test_calls_share_a_client(http: aiohttp.ClientSession, key: str) -> None:
    async with SarvamSimulator() as simulator:
        address = f"{simulator.base_url}/v1"
        assert clients.get(address, key) is clients.get(address, key)
        assert clients.get(address, key).max_retries == 0
        await close_shared_clients()


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://api.sarvam.ai", "https://api.sarvam.ai/v1"),
        ("wss://h/speech-to-text-realtime/ws", "https://h/v1"),
        ("http://h:1/v2/chat/completions", "http://h:1/v2"),
    ],
)
def test_addresses_as_people_write_them(written: str, address: str) -> None:
    assert chat_address(written, "v1") == address


def test_an_address_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"llm\.sarvam\.base_url"):
        chat_address("api.sarvam.ai", "v1")
