"""The simulated functions are strict about what they are sent."""

import secrets

import grpc
import pytest

from simulators.behaviour import Behaviour
from simulators.bhashini.nvcf import MODEL_STREAM_INFER, SYNTHESIZE, NvcfSimulator
from simulators.bhashini.protobuf import field

PROMPT = field(1, "नमस्ते") + field(2, "Divya calm") + field(3, "hi")


async def spoken(address: str, body: bytes, *metadata: tuple[str, str]) -> list[bytes]:
    async with grpc.aio.insecure_channel(address.removeprefix("http://")) as channel:
        call = channel.unary_stream(SYNTHESIZE)(body, metadata=metadata)
        return [message async for message in call]


def credentials(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}"), ("function-id", "f")]


async def test_speech_is_meta_audio_done() -> None:
    key = secrets.token_hex(8)
    async with NvcfSimulator(api_key=key) as simulator:
        messages = await spoken(simulator.base_url, PROMPT, *credentials(key))
        assert [message[0] >> 3 for message in (messages[0], messages[1], messages[-1])] == [
            1,
            2,
            3,
        ]
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("body", "metadata", "status"),
    [
        (PROMPT, [], "UNAUTHENTICATED"),
        (PROMPT, [("authorization", "Bearer x")], "NOT_FOUND"),
        (field(1, "नमस्ते") + field(3, "hi"), credentials("x"), "INVALID_ARGUMENT"),
        (PROMPT + field(3, "xx"), credentials("x"), "INVALID_ARGUMENT"),
    ],
)
async def test_what_no_client_should_send_is_refused_and_noted(
    body: bytes, metadata: list[tuple[str, str]], status: str
) -> None:
    async with NvcfSimulator() as simulator:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await spoken(simulator.base_url, body, *metadata)
        assert refused.value.code().name == status
        assert len(simulator.violations) == 1


@pytest.mark.parametrize(
    "request_body",
    [
        b"\xff\xff",
        field(1, "asr_streaming") + field(2, "1") + field(3, "s-c0"),
        field(1, "other") + field(2, "1"),
        field(9, "unknown"),
    ],
)
async def test_a_wrong_inference_is_answered_with_an_error(request_body: bytes) -> None:
    async with NvcfSimulator() as simulator:
        address = simulator.base_url.removeprefix("http://")
        async with grpc.aio.insecure_channel(address) as channel:
            call = channel.stream_stream(MODEL_STREAM_INFER)(metadata=credentials("x"))
            await call.write(request_body)
            answer = await call.read()
            await call.done_writing()
        assert answer[0] >> 3 == 1
        assert len(simulator.violations) == 1


async def test_it_can_be_told_to_fail_while_it_runs() -> None:
    async with NvcfSimulator() as simulator:
        simulator.behave_next(Behaviour(refuse_status=429))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await spoken(simulator.base_url, PROMPT, *credentials("x"))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(await spoken(simulator.base_url, PROMPT, *credentials("x"))) > 2
