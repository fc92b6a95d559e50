"""The newer doors of the simulated Deepgram, over real sockets: turns, and speech."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest

from simulators import tone
from simulators.deepgram import DeepgramSimulator

FLUX = "model=flux-general-multi&encoding=linear16&sample_rate=8000"
AURA_VOICE = "model=aura-2-thalia-en&encoding=linear16&sample_rate=8000"
FLUX_VOICE = "model=flux-meena-en&encoding=linear16&sample_rate=8000"
LOUD = (np.sin(np.arange(8_000) / 3) * 8_000).astype("<i2").tobytes()


@asynccontextmanager
async def talking_to(
    simulator: DeepgramSimulator, door: str, key: str = "some"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Authorization": f"Token {key}"}
    async with (
        simulator,
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{simulator.ws_url}{door}") as socket,
    ):
        yield socket


async def told(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next message of a kind; for ``TurnInfo``, of an event."""
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            data: dict[str, Any] = json.loads(message.data)
            if kind in (data["type"], data.get("event")):
                return data
    raise AssertionError(f"no {kind} came")


async def sound_until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> bytes:
    pcm = bytearray()
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            pcm += message.data
        elif json.loads(message.data)["type"] == kind:
            return bytes(pcm)
    raise AssertionError(f"no {kind} came")


async def test_a_turn_from_its_start_to_its_end() -> None:
    simulator = DeepgramSimulator(utterances=["मुझे मदद चाहिए"])
    async with talking_to(simulator, f"/v2/listen?{FLUX}&language_hint=hi") as socket:
        assert (await told(socket, "Connected"))["sequence_id"] == 0
        await socket.send_bytes(LOUD)
        assert (await told(socket, "StartOfTurn"))["turn_index"] == 0
        update = await told(socket, "Update")
        assert "मुझे मदद चाहिए".startswith(update["transcript"])
        await socket.send_bytes(bytes(12_000))
        end = await told(socket, "EndOfTurn")
        assert (end["transcript"], end["trigger"]) == ("मुझे मदद चाहिए", "model")
        assert (end["languages"], len(end["words"])) == (["hi"], 3)
        await socket.send_bytes(LOUD)
        await socket.send_json({"type": "ForceEndTurn"})
        end = await told(socket, "EndOfTurn")
        assert (end["turn_index"], end["trigger"]) == (1, "manual")
        await socket.send_json({"type": "CloseStream"})
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert simulator.violations == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "model=nova-3&encoding=linear16&sample_rate=8000",
        "model=flux-general-en&encoding=linear16&sample_rate=8000&language_hint=hi",
        f"{FLUX}&language_hint=ta",
        f"{FLUX}&endpointing=300",
        f"{FLUX}&eot_threshold=0.2",
        f"{FLUX}&eot_timeout_ms=x",
        "model=flux-general-en&encoding=flac&sample_rate=8000",
    ],
)
async def test_a_query_of_flux_that_deepgram_would_refuse(query: str) -> None:
    simulator = DeepgramSimulator()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with talking_to(simulator, f"/v2/listen?{query}"):
            pass
    assert refusal.value.status == 400
    assert len(simulator.violations) == 1


@pytest.mark.parametrize("message", ["{", '{"type": "KeepAlive"}', '{"type": "Finalize"}'])
async def test_a_message_that_flux_does_not_know(message: str) -> None:
    simulator = DeepgramSimulator()
    async with talking_to(simulator, f"/v2/listen?{FLUX}") as socket:
        await socket.send_str(message)
        assert (await told(socket, "Error"))["code"] == "UNPARSABLE_CLIENT_MESSAGE"
    assert len(simulator.violations) == 1


@pytest.mark.parametrize(
    ("door", "end"),
    [(f"/v1/speak?{AURA_VOICE}", "Flushed"), (f"/v2/speak?{FLUX_VOICE}", "SpeechMetadata")],
)
async def test_a_text_and_its_sound(door: str, end: str) -> None:
    simulator = DeepgramSimulator(speed=100)
    async with talking_to(simulator, door) as socket:
        await socket.send_json({"type": "Speak", "text": "Good morning."})
        await socket.send_json({"type": "Flush"})
        pcm = await sound_until(socket, end)
    (spoken,) = simulator.spoken
    assert len(pcm) / 16 == spoken.duration_ms
    heard = tone.dominant_frequency(np.frombuffer(pcm, dtype="<i2"), 8_000)
    assert heard == pytest.approx(spoken.frequency_hz, abs=5)
    assert simulator.violations == []


async def test_flux_speaks_before_it_has_all_the_text() -> None:
    async with talking_to(DeepgramSimulator(speed=100), f"/v2/speak?{FLUX_VOICE}") as socket:
        await socket.send_json({"type": "Speak", "text": "Good morning. "})
        await told(socket, "SpeechStarted")
        assert (await socket.receive()).type is aiohttp.WSMsgType.BINARY


async def test_clear_and_interrupt() -> None:
    async with talking_to(DeepgramSimulator(speed=2), f"/v1/speak?{AURA_VOICE}") as socket:
        await socket.send_json({"type": "Speak", "text": "Good morning to you."})
        await socket.send_json({"type": "Flush"})
        await socket.send_json({"type": "Clear"})
        await told(socket, "Cleared")
        await socket.send_json({"type": "Close"})
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    async with talking_to(DeepgramSimulator(speed=2), f"/v2/speak?{FLUX_VOICE}") as socket:
        await socket.send_json({"type": "Interrupt"})
        assert (await told(socket, "Warning"))["code"] == "NO_ACTIVE_SPEECH"
        await socket.send_json({"type": "Speak", "text": "Good morning to you."})
        started = await told(socket, "SpeechStarted")
        assert (await socket.receive()).type is aiohttp.WSMsgType.BINARY
        await socket.send_json({"type": "Interrupt"})
        ended = await told(socket, "SpeechInterrupted")
        assert ended["metadata"]["speech_id"] == started["speech_id"]


@pytest.mark.parametrize(
    "door",
    [
        f"/v1/speak?{FLUX_VOICE}",
        f"/v2/speak?{AURA_VOICE}",
        "/v1/speak?model=aura-2-thalia-en&encoding=linear16&sample_rate=11025",
        f"/v1/speak?{AURA_VOICE}&language=hi",
        f"/v2/speak?{FLUX_VOICE}&speed=3",
    ],
)
async def test_a_voice_that_deepgram_does_not_have(door: str) -> None:
    simulator = DeepgramSimulator()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with talking_to(simulator, door):
            pass
    assert refusal.value.status == 400
    assert len(simulator.violations) == 1


@pytest.mark.parametrize(
    "message", ["[]", '{"type": "Speak", "text": " "}', '{"type": "Finalize"}']
)
async def test_a_message_that_the_voices_do_not_know(message: str) -> None:
    simulator = DeepgramSimulator()
    async with talking_to(simulator, f"/v1/speak?{AURA_VOICE}") as socket:
        await socket.send_str(message)
        await told(socket, "Error")
    assert len(simulator.violations) == 1


@pytest.mark.parametrize(
    "door", [f"/v2/listen?{FLUX}", f"/v1/speak?{AURA_VOICE}", f"/v2/speak?{FLUX_VOICE}"]
)
async def test_a_wrong_key(door: str) -> None:
    simulator = DeepgramSimulator(api_key="right")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with talking_to(simulator, door, key="wrong"):
            pass
    assert refusal.value.status == 401
