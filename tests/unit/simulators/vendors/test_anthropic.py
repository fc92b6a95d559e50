"""The simulated Anthropic: strict about what is sent, and true to its shapes."""

import json
from typing import Any

import aiohttp
import pytest

from simulators.anthropic import AnthropicSimulator, Reply, ToolUse
from simulators.behaviour import Behaviour

BODY: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 100,
    "stream": True,
    "messages": [{"role": "user", "content": "नमस्ते"}],
}
USE = {"type": "tool_use", "id": "toolu_1", "name": "transfer", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}


async def post(
    http: aiohttp.ClientSession, simulator: AnthropicSimulator, key: str, body: Any
) -> tuple[int, str]:
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    url = f"{simulator.base_url}/v1/messages"
    async with http.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.text()


def events(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        kind, data = block.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_an_answer_has_the_events_of_the_documentation(
    http: aiohttp.ClientSession, key: str
) -> None:
    reply = Reply(text="एक दो", tool_uses=(ToolUse("transfer", '{"to": "desk"}'),))
    async with AnthropicSimulator(replies=[reply], api_key=key) as simulator:
        status, text = await post(http, simulator, key, BODY)
        assert simulator.violations == []
    found = events(text)
    assert status == 200
    assert all(kind == data["type"] for kind, data in found)
    assert [kind for kind, _ in found] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[-2][1]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": None},
        {"unheard_of": 1},
        {"temperature": 1.5},
        {"messages": []},
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
        {"messages": [{"role": "user", "content": [RESULT]}]},
        {
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": [USE]},
                {"role": "user", "content": "no result"},
            ]
        },
        {"tool_choice": {"type": "auto"}},
        {"tools": [{"name": "transfer"}]},
        {"system": [{"type": "text", "text": ""}]},
        {"stream": False},
    ],
)
async def test_what_no_correct_client_sends_is_refused(
    http: aiohttp.ClientSession, key: str, change: dict[str, Any]
) -> None:
    async with AnthropicSimulator() as simulator:
        status, text = await post(http, simulator, key, {**BODY, **change})
        assert status == 400
        assert json.loads(text)["error"]["type"] == "invalid_request_error"
        assert len(simulator.violations) == 1


async def test_results_of_tools_are_taken(http: aiohttp.ClientSession, key: str) -> None:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [RESULT]},
    ]
    async with AnthropicSimulator() as simulator:
        status, _ = await post(http, simulator, key, {**BODY, "messages": messages})
        assert (status, simulator.violations) == (200, [])


async def test_a_wrong_key_is_refused(http: aiohttp.ClientSession, key: str) -> None:
    async with AnthropicSimulator(api_key=key) as simulator:
        status, text = await post(http, simulator, f"not-{key}", BODY)
        assert status == 401
        assert json.loads(text)["error"]["type"] == "authentication_error"


async def test_a_refusal_may_say_when_to_come_back(http: aiohttp.ClientSession, key: str) -> None:
    busy = Behaviour(refuse_status=529, retry_after_seconds=3)
    async with AnthropicSimulator(behaviour=busy) as simulator:
        status, text = await post(http, simulator, key, BODY)
        assert status == 529
        assert json.loads(text)["error"]["type"] == "overloaded_error"
