"""Chat completions, by a plain client and by OpenAI's own."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    NotFoundError,
)

from simulators.behaviour import Behaviour
from simulators.openai import ChatRequest, OpenAISimulator, Reply, ToolCall

HINDI = "आपका स्वागत है, मैं आपकी क्या मदद करूँ?"
TOOL = {
    "type": "function",
    "function": {"name": "get_price", "parameters": {"type": "object", "properties": {}}},
}


CHAT: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


def client(simulator: OpenAISimulator, key: str) -> AsyncOpenAI:
    """The real client, pointed at the simulator."""
    return AsyncOpenAI(api_key=key, base_url=simulator.base_url, max_retries=0)


async def ask(openai: AsyncOpenAI, text: str = "नमस्ते", **more: Any) -> list[Any]:
    """Stream one completion, as Pipecat asks for it."""
    stream = await openai.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
        stream=True,
        stream_options={"include_usage": True},
        **more,
    )
    return [chunk async for chunk in stream]


def said(chunks: list[Any]) -> str:
    """The text of a stream."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def body(**changes: Any) -> dict[str, Any]:
    """A valid request, but for the changes."""
    valid = {
        "model": "gpt-4o",
        "stream": True,
        "messages": [{"role": "user", "content": "hello"}],
    }
    return {**valid, **changes}


async def post(
    http: aiohttp.ClientSession, simulator: OpenAISimulator, key: str, json_body: Any
) -> tuple[int, Any]:
    """Post a request by a plain client."""
    async with http.post(
        f"{simulator.base_url}/chat/completions",
        json=json_body,
        headers={"Authorization": f"Bearer {key}"},
    ) as response:
        return response.status, json.loads(await response.read())


@pytest.mark.parametrize("reply", [Reply(text=HINDI), Reply(text=HINDI, split_utf8=True)])
async def test_a_reply_streams_word_by_word_and_ends_with_usage(key: str, reply: Reply) -> None:
    async with OpenAISimulator(replies=[reply], api_key=key) as simulator:
        async with client(simulator, key) as openai:
            chunks = await ask(openai)
        assert said(chunks) == HINDI
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].choices == []
        assert chunks[-1].usage.total_tokens > 0
        assert len(chunks) == len(HINDI.split()) + 3
        assert simulator.chats[0].user_text == "नमस्ते"
        assert simulator.violations == []


async def test_split_utf8_cuts_within_a_character(key: str, http: aiohttp.ClientSession) -> None:
    async with OpenAISimulator(replies=[Reply(text=HINDI, split_utf8=True)]) as simulator:
        broken = 0
        async with http.post(
            f"{simulator.base_url}/chat/completions",
            json=body(),
            headers={"Authorization": f"Bearer {key}"},
        ) as response:
            raw = bytearray()
            # As they were sent, also where the system hands over several at once.
            async for piece, _ in response.content.iter_chunks():
                raw += piece
                broken += b"\xa4" in piece[:1] or b"\xa5" in piece[:1]
        assert broken > 0
        assert raw.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_chunks_may_be_tiny_or_huge(key: str, size: int) -> None:
    reply = Reply(text=HINDI, chunk_chars=size, comments=True)
    async with OpenAISimulator(replies=[reply]) as simulator, client(simulator, key) as openai:
        assert said(await ask(openai)) == HINDI


async def test_spaces_and_line_ends_survive_the_cutting(key: str) -> None:
    text = "One,  two.\nThree "
    async with OpenAISimulator(replies=[text]) as simulator, client(simulator, key) as openai:
        assert said(await ask(openai)) == text


async def test_replies_come_by_pattern_or_from_a_function(key: str) -> None:
    rules = {"price|दाम": "7100 rupees.", ".*": "Yes."}
    async with OpenAISimulator(replies=rules) as simulator, client(simulator, key) as openai:
        assert said(await ask(openai, "कपास का दाम?")) == "7100 rupees."
        assert said(await ask(openai, "hello")) == "Yes."

    def reply(request: ChatRequest) -> str:
        return f"{request.number}: {request.user_text}"

    async with OpenAISimulator(replies=reply) as simulator, client(simulator, key) as openai:
        await ask(openai)
        assert said(await ask(openai, "two")) == "1: two"


async def test_tool_calls_stream_interleaved_and_their_results_are_accepted(key: str) -> None:
    calls = (
        ToolCall("get_price", '{"crop":"cotton"}'),
        ToolCall("get_price", '{"crop":"soya"}'),
    )
    replies: list[str | Reply] = [Reply(tool_calls=calls), "7100."]
    async with OpenAISimulator(replies=replies) as simulator:
        async with client(simulator, key) as openai:
            chunks = await ask(openai, tools=[TOOL], tool_choice="auto")
            arguments = ["", ""]
            ids = ["", ""]
            for chunk in chunks:
                for part in (chunk.choices[0].delta.tool_calls or ()) if chunk.choices else ():
                    arguments[part.index] += part.function.arguments
                    ids[part.index] = part.id or ids[part.index]
            assert arguments == [call.arguments for call in calls]
            assert chunks[-2].choices[0].finish_reason == "tool_calls"
            history: list[Any] = [
                {"role": "user", "content": "price?"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": call_id,
                            "type": "function",
                            "function": {"name": "get_price", "arguments": "{}"},
                        }
                        for call_id in ids
                    ],
                },
                *({"role": "tool", "tool_call_id": call_id, "content": "1"} for call_id in ids),
            ]
            answer = await openai.chat.completions.create(
                model="gpt-4o",
                messages=history,
                tools=[TOOL],  # type: ignore[list-item]
            )
        assert answer.choices[0].message.content == "7100."
        assert simulator.chats[1].answers_tool
        assert simulator.violations == []


async def test_other_shapes_of_streams(key: str) -> None:
    replies = [
        Reply(text="one two", null_content=True, sends_done=False, sends_usage=False),
        Reply(text="one two", reasoning_only=True),
        Reply(text="cut", finish_reason="length"),
    ]
    async with OpenAISimulator(replies=replies) as simulator, client(simulator, key) as openai:
        chunks = await ask(openai)
        assert said(chunks) == "one two"
        assert chunks[0].choices[0].delta.content is None
        assert chunks[-1].choices
        chunks = await ask(openai)
        assert said(chunks) == ""
        assert [c.choices[0].delta.model_extra for c in chunks[1:3]] == [
            {"reasoning": "one"},
            {"reasoning": " two"},
        ]
        assert (await ask(openai))[-2].choices[0].finish_reason == "length"


async def test_a_stream_may_break_off_fail_or_stall(key: str) -> None:
    replies = [
        Reply(text="one two three", drop_after_chunks=2),
        Reply(text="one two three", error_after_chunks=1),
        Reply(text="one two three", stall_after_chunks=1),
    ]
    async with OpenAISimulator(replies=replies) as simulator, client(simulator, key) as openai:
        stream = await openai.chat.completions.create(stream=True, **CHAT)
        texts = []
        with pytest.raises(APIConnectionError):
            async for chunk in stream:
                texts.append(chunk.choices[0].delta.content)
        assert texts == ["", "one", " two"]
        with pytest.raises(APIError):
            await ask(openai)
        stalled = asyncio.create_task(ask(openai))
        await simulator.until(lambda: len(simulator.connections) == 3)
        await simulator.until(lambda: simulator.connections[2].silent)
        stalled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stalled
        await simulator.until(simulator.connections[2].ended.is_set)
        assert simulator.connections[2].abandoned


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "invalid_api_key"), (429, "rate_limit_exceeded"), (500, None), (503, None)],
)
async def test_refusals_have_openais_shape(key: str, status: int, code: str | None) -> None:
    behaviour = Behaviour(refuse_status=status, retry_after_seconds=2)
    async with OpenAISimulator(behaviour=behaviour) as simulator:
        async with client(simulator, key) as openai:
            with pytest.raises(APIStatusError) as refused:
                await ask(openai)
        assert refused.value.status_code == status
        assert refused.value.code == code
        assert refused.value.response.headers["retry-after"] == "2"


async def test_the_clients_own_retry_meets_the_script(key: str) -> None:
    script = [Behaviour(refuse_status=429, retry_after_seconds=0.01)]
    async with OpenAISimulator(replies=["yes"], script=script) as simulator:
        async with AsyncOpenAI(api_key=key, base_url=simulator.base_url) as openai:
            assert said(await ask(openai)) == "yes"
        assert len(simulator.requests) == 2


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"colour": 1}, "colour"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": "1"}]},
            "messages[0].role",
        ),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
        ({"stream": False, "stream_options": {"include_usage": True}}, "stream_options"),
        ({"tools": []}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
    ],
)
async def test_a_wrong_request_is_refused_with_400(
    key: str, http: aiohttp.ClientSession, change: dict[str, Any], param: str
) -> None:
    async with OpenAISimulator() as simulator:
        status, answer = await post(http, simulator, key, body(**change))
        assert status == 400
        assert answer["error"]["type"] == "invalid_request_error"
        assert answer["error"]["param"] == param
        assert len(simulator.violations) == 1


async def test_unanswered_tool_calls_are_refused(key: str, http: aiohttp.ClientSession) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "user", "content": "well?"},
        {"role": "tool", "tool_call_id": "c1", "content": "too late"},
    ]
    async with OpenAISimulator() as simulator:
        status, answer = await post(http, simulator, key, body(messages=messages))
        assert status == 400
        assert "c1" in answer["error"]["message"]


async def test_extra_parameters_of_other_servers_can_be_allowed(
    key: str, http: aiohttp.ClientSession
) -> None:
    async with OpenAISimulator(extra_parameters=["top_k"]) as simulator:
        status, _ = await post(http, simulator, key, body(top_k=5, stream=False))
        assert status == 200


async def test_json_that_is_none_is_refused(key: str, http: aiohttp.ClientSession) -> None:
    async with OpenAISimulator() as simulator:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        url = f"{simulator.base_url}/chat/completions"
        async with http.post(url, data=b"{", headers=headers) as response:
            assert response.status == 400
        assert len(simulator.violations) == 1


async def test_keys_and_models_are_checked(key: str) -> None:
    async with OpenAISimulator(api_key=key, models=["gpt-4.1"]) as simulator:
        async with client(simulator, "other") as openai:
            with pytest.raises(AuthenticationError):
                await ask(openai)
        async with client(simulator, key) as openai:
            with pytest.raises(NotFoundError) as missing:
                await ask(openai)
            assert missing.value.code == "model_not_found"
            assert [model.id async for model in openai.models.list()] == ["gpt-4.1"]
            assert (await openai.models.retrieve("gpt-4.1")).id == "gpt-4.1"
        assert len(simulator.violations) == 2
        assert len(simulator.connections) == 2


async def test_an_empty_reply_has_no_text(key: str) -> None:
    async with OpenAISimulator(behaviour=Behaviour(empty=True)) as simulator:
        async with client(simulator, key) as openai:
            chunks = await ask(openai)
        assert said(chunks) == ""
        assert chunks[-2].choices[0].finish_reason == "stop"


async def test_a_dropped_connection_is_seen_as_such(key: str) -> None:
    async with (
        OpenAISimulator(behaviour=Behaviour(drop_after_ms=0)) as simulator,
        client(simulator, key) as openai,
    ):
        with pytest.raises(APIConnectionError):
            await ask(openai)
