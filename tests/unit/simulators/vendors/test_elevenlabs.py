"""The simulated ElevenLabs, over real sockets."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest

from simulators.elevenlabs import ElevenLabsSimulator

VOICE = "EXAVITQu4vr4xnSDxMaL"
LISTEN = "/v1/speech-to-text/realtime?model_id=scribe_v2_realtime&audio_format=pcm_8000"
SPEAK = (
    f"/v1/text-to-speech/{VOICE}/multi-stream-input"
    "?model_id=eleven_flash_v2_5&output_format=pcm_8000"
)
LOUD = (np.sin(np.arange(8_000) / 3) * 8_000).astype("<i2").tobytes()


@asynccontextmanager
async def talking_to(
    simulator: ElevenLabsSimulator, door: str, key: str = "some"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        simulator,
        aiohttp.ClientSession(headers={"xi-api-key": key}) as session,
        session.ws_connect(f"{simulator.ws_url}{door}") as socket,
    ):
        yield socket


def chunk(pcm: bytes, *, commit: bool = False) -> dict[str, Any]:
    return {
        "message_type": "input_audio_chunk",
        "audio_base_64": base64.b64encode(pcm).decode(),
        "commit": commit,
        "sample_rate": 8_000,
    }


async def told(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = await socket.receive_json()
        if message["message_type"] == kind:
            return message


async def test_what_is_committed_is_read() -> None:
    simulator = ElevenLabsSimulator(utterances=["मुझे मदद चाहिए", "हाँ"])
    async with talking_to(simulator, f"{LISTEN}&include_timestamps=true") as socket:
        await told(socket, "session_started")
        await socket.send_json(chunk(LOUD))
        assert (await told(socket, "partial_transcript"))["text"].startswith("मुझे")
        await socket.send_json(chunk(b"", commit=True))
        assert (await told(socket, "committed_transcript"))["text"] == "मुझे मदद चाहिए"
        words = (await told(socket, "committed_transcript_with_timestamps"))["words"]
        assert [word["text"] for word in words] == ["मुझे", "मदद", "चाहिए"]
        await socket.send_json(chunk(bytes(8_000), commit=True))
        assert (await told(socket, "committed_transcript"))["text"] == ""
        await socket.send_json(chunk(LOUD, commit=True))
        assert (await told(socket, "committed_transcript"))["text"] == "हाँ"
        await socket.send_json(chunk(LOUD[:320], commit=True))
        await told(socket, "commit_throttled")
    assert simulator.violations == []


@pytest.mark.parametrize(
    "message",
    [
        "{",
        json.dumps({"message_type": "input_audio_chunk"}),
        json.dumps({**chunk(b""), "audio_base_64": "?"}),
        json.dumps({**chunk(b""), "sample_rate": 16_000}),
        json.dumps(chunk(b"\x00")),
        json.dumps({**chunk(b""), "language": "hi"}),
    ],
)
async def test_a_chunk_that_is_none(message: str) -> None:
    simulator = ElevenLabsSimulator()
    async with talking_to(simulator, LISTEN) as socket:
        await socket.send_str(message)
        await told(socket, "input_error")
    assert len(simulator.violations) == 1


@pytest.mark.parametrize(
    "door",
    [
        f"{LISTEN}&language_code=brx",
        f"{LISTEN}&commit_strategy=never",
        f"{LISTEN}&endpointing=1",
        LISTEN.replace("scribe_v2_realtime", "scribe_v1"),
        LISTEN.replace("pcm_8000", "pcm_9000"),
        f"{SPEAK}&language_code=mr",
        SPEAK.replace("eleven_flash_v2_5", "eleven_nothing"),
        SPEAK.replace(VOICE, "nobody"),
        f"{SPEAK}&speed=1",
    ],
)
async def test_a_query_that_elevenlabs_would_refuse(door: str) -> None:
    simulator = ElevenLabsSimulator()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with talking_to(simulator, door):
            pass
    assert refusal.value.status == 400
    assert len(simulator.violations) == 1


@pytest.mark.parametrize("door", [LISTEN, SPEAK])
async def test_a_wrong_key(door: str) -> None:
    simulator = ElevenLabsSimulator(api_key="right")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with talking_to(simulator, door, key="wrong"):
            pass
    assert refusal.value.status == 401


async def test_a_context_from_its_first_word_to_its_last() -> None:
    simulator = ElevenLabsSimulator(speed=100)
    text, letters, pcm = "नमस्ते, आप कैसे हैं?", "", b""
    async with talking_to(simulator, f"{SPEAK}&language_code=hi") as socket:
        await socket.send_json({"text": " ", "context_id": "a", "voice_settings": {"speed": 1.1}})
        await socket.send_json({"text": text, "context_id": "a"})
        await socket.send_json({"text": ""})
        await socket.send_json({"context_id": "a", "close_context": True})
        while not (message := await socket.receive_json())["isFinal"]:
            assert message["contextId"] == "a"
            pcm += base64.b64decode(message["audio"])
            letters += "".join((message["alignment"] or {"chars": []})["chars"])
        await socket.send_json({"close_socket": True})
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert letters == text
    assert len(pcm) / 16 == simulator.spoken[0].duration_ms
    assert simulator.violations == []


@pytest.mark.parametrize(
    "messages",
    [
        [{"text": "", "context_id": "a"}, {"text": " ", "context_id": "a", "voice_settings": {}}],
        [{"text": " ", "context_id": "a", "voice_settings": {"volume": 1}}],
        [{"text": "no context"}],
        [{"context_id": "a", "transcript": "x"}],
        [{"text": " ", "context_id": str(number)} for number in range(6)],
    ],
    ids=["settings late", "setting", "no context", "key", "six contexts"],
)
async def test_a_message_that_ends_the_connection(messages: list[dict[str, Any]]) -> None:
    simulator = ElevenLabsSimulator()
    async with talking_to(simulator, SPEAK) as socket:
        for message in messages:
            await socket.send_json(message)
        assert "error" in await socket.receive_json()
        closed = await socket.receive()
    assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1008)
    assert len(simulator.violations) == 1
