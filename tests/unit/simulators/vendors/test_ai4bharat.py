"""AI4Bharat's two servers."""

import asyncio
import base64
import hashlib
import json
from typing import Any

import aiohttp
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulators import tone
from simulators.ai4bharat import AI4BharatSTTSimulator, AI4BharatTTSSimulator, Segment
from simulators.behaviour import Behaviour
from tests.unit.simulators.vendors.receiving import one
from tests.unit.simulators.vendors.sound import silence, speech

SPEECH = speech(500, rate_hz=16000)


async def transcribe(
    http: aiohttp.ClientSession,
    simulator: AI4BharatSTTSimulator,
    audio: bytes = SPEECH,
    *,
    path: str = "/transcribe",
    **changes: Any,
) -> tuple[int, Any]:
    """Post a segment; returns status and answer."""
    body = {"audio_b64": base64.b64encode(audio).decode(), "language_id": "hi", **changes}
    body = {name: value for name, value in body.items() if value is not ...}
    async with http.post(f"{simulator.base_url}{path}", json=body) as response:
        content = await response.read()
        return response.status, json.loads(content) if content[:1] == b"{" else content.decode()


async def test_texts_come_in_turn(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator(texts=["एक", "दो"]) as simulator:
        answers = [await transcribe(http, simulator) for _ in range(3)]
        assert answers == [(200, {"text": "एक"}), (200, {"text": "दो"}), (200, {"text": "एक"})]
        assert simulator.segments[0].audio == SPEECH
        assert simulator.segments[0].duration_ms == 500
        assert simulator.violations == []


async def test_texts_come_by_hash_or_language(http: aiohttp.ClientSession) -> None:
    other = speech(700, rate_hz=16000)
    texts = {hashlib.sha256(other).hexdigest(): "यही", "ta": "வணக்கம்", "*": "कुछ"}
    async with AI4BharatSTTSimulator(texts=texts) as simulator:
        assert (await transcribe(http, simulator, other))[1] == {"text": "यही"}
        assert (await transcribe(http, simulator, language_id="ta"))[1] == {"text": "வணக்கம்"}
        assert (await transcribe(http, simulator, language_id=...))[1] == {"text": "कुछ"}
        assert simulator.segments[2].language == "hi"


async def test_texts_may_come_from_a_function(http: aiohttp.ClientSession) -> None:
    def recognise(segment: Segment) -> str:
        return f"{segment.number} {segment.language} {segment.duration_ms:.0f}"

    async with AI4BharatSTTSimulator(texts=recognise) as simulator:
        assert (await transcribe(http, simulator))[1] == {"text": "0 hi 500"}


async def test_silence_has_no_text(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        quiet = silence(500, rate_hz=16000)
        assert await transcribe(http, simulator, quiet) == (200, {"text": ""})


async def test_health_is_always_healthy(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        async with http.get(f"{simulator.base_url}/health") as response:
            health = await response.json()
        assert health["status"] == "healthy"
        assert health["bhili_enabled"] == "no"
        assert simulator.connections == []


async def test_bhili_is_a_model_of_its_own(http: aiohttp.ClientSession) -> None:
    path = "/transcribe/bhili"
    async with AI4BharatSTTSimulator() as simulator:
        status, answer = await transcribe(http, simulator, path=path)
        assert (status, answer) == (503, {"detail": "Bhili model is disabled"})
    async with AI4BharatSTTSimulator(has_bhili=True, texts=["ok"]) as simulator:
        short = speech(90, rate_hz=16000)
        assert await transcribe(http, simulator, short, path=path) == (200, {"text": ""})
        assert await transcribe(http, simulator, path=path) == (200, {"text": "ok"})


@pytest.mark.parametrize(
    ("changes", "kind", "where"),
    [
        ({"audio_b64": ...}, "missing", ["body", "audio_b64"]),
        ({"audio_b64": 5}, "string_type", ["body", "audio_b64"]),
        ({"language_id": 5}, "string_type", ["body", "language_id"]),
    ],
)
async def test_a_body_of_the_wrong_form_is_refused_with_422(
    http: aiohttp.ClientSession, changes: dict[str, Any], kind: str, where: list[str]
) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        status, answer = await transcribe(http, simulator, **changes)
        assert status == 422
        assert (answer["detail"][0]["type"], answer["detail"][0]["loc"]) == (kind, where)
        assert len(simulator.violations) == 1


async def test_what_is_no_json_is_refused_with_422(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        for data in (b"{", b"[]"):
            async with http.post(f"{simulator.base_url}/transcribe", data=data) as response:
                assert response.status == 422
        assert len(simulator.violations) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"audio": SPEECH[:-1]},
        {"audio_b64": "&&&"},
        {"language_id": "en"},
        {"language_id": "hi-IN"},
    ],
)
async def test_what_the_server_cannot_take_is_an_internal_error(
    http: aiohttp.ClientSession, changes: dict[str, Any]
) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        assert await transcribe(http, simulator, **changes) == (500, "Internal Server Error")
        assert len(simulator.violations) == 1


async def test_a_wav_header_is_noticed(http: aiohttp.ClientSession) -> None:
    async with AI4BharatSTTSimulator() as simulator:
        assert (await transcribe(http, simulator, b"RIFF" + SPEECH))[0] == 200
        assert "WAV header" in simulator.violations[0]


async def test_a_full_queue_and_a_dead_worker(http: aiohttp.ClientSession) -> None:
    script = [Behaviour(refuse_status=503), Behaviour(stall_after_ms=0)]
    async with AI4BharatSTTSimulator(script=script, texts=["ok"]) as simulator:
        answer = await transcribe(http, simulator)
        assert answer == (503, {"detail": "STT queue is full"})
        waits = asyncio.create_task(transcribe(http, simulator))
        await simulator.until(lambda: len(simulator.connections) == 2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await waits
        await simulator.until(simulator.connections[1].ended.is_set)
        assert simulator.connections[1].abandoned
        assert await transcribe(http, simulator) == (200, {"text": "ok"})


# -- speech --------------------------------------------------------------------------------

PROMPT = {"prompt": "आपका स्वागत है", "description": "Divya. Calm.", "language": "hi"}


def speak(simulator: AI4BharatTTSSimulator, path: str = "/") -> connect:
    """Connect."""
    return connect(f"{simulator.ws_url}{path}", proxy=None)


async def rest(client: ClientConnection) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Messages and audio frames until the server closes."""
    messages, frames = [], []
    async with asyncio.timeout(30):
        async for message in client:
            if isinstance(message, bytes):
                frames.append(message)
            else:
                messages.append(json.loads(message))
    return messages, frames


@pytest.mark.parametrize("path", ["/", "/tts/stream"])
async def test_a_prompt_is_spoken_in_float32_and_the_server_closes(path: str) -> None:
    async with AI4BharatTTSSimulator() as simulator:
        async with speak(simulator, path) as client:
            await client.send(json.dumps(PROMPT))
            messages, frames = await rest(client)
            assert client.close_code == 1000
        assert [message["type"] for message in messages] == ["meta", "done"]
        assert messages[0]["sample_rate"] == 44100
        assert messages[0]["pid"] == messages[1]["pid"]
        samples = np.frombuffer(b"".join(frames), dtype="<f4")
        assert len(samples) == round(0.070 * len(PROMPT["prompt"]) * 44100)
        assert np.abs(samples).max() < 1
        pcm = (samples * 32767).astype(np.int16)
        heard = tone.dominant_frequency(pcm, 44100)
        assert heard == pytest.approx(simulator.spoken[0].frequency_hz, abs=5)
        assert simulator.violations == []


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"prompt":"x"}', '{"description":"x"}', '{"prompt":"","description":"x"}']
)
async def test_a_bad_request_is_answered_with_an_error_and_a_close(text: str) -> None:
    async with AI4BharatTTSSimulator() as simulator, speak(simulator) as client:
        await client.send(text)
        messages, _ = await rest(client)
        assert messages[0]["type"] == "error"
        assert messages[0]["message"].startswith("bad request: ")
        assert len(simulator.violations) == 1


async def test_what_a_correct_client_never_sends_is_noticed() -> None:
    async with AI4BharatTTSSimulator(speed=1) as simulator:
        async with speak(simulator) as client:
            await client.send(json.dumps({**PROMPT, "voice": "x", "language": "xx"}))
            await one(client)
            await client.send(json.dumps(PROMPT))
            await simulator.until(lambda: len(simulator.violations) == 3)
        assert "second message" in simulator.violations[-1]


async def test_without_an_upgrade_there_is_nothing(http: aiohttp.ClientSession) -> None:
    async with (
        AI4BharatTTSSimulator() as simulator,
        http.get(f"{simulator.base_url}/tts") as response,
    ):
        assert response.status == 426


async def test_a_client_that_leaves_ends_the_synthesis() -> None:
    async with AI4BharatTTSSimulator(speed=0.5) as simulator:
        async with speak(simulator) as client:
            await client.send(json.dumps(PROMPT))
            await one(client)
        await simulator.until(simulator.connections[0].ended.is_set)
        assert simulator.spoken[0].sent_ms < simulator.spoken[0].duration_ms


async def test_synthesis_may_fail_stall_be_odd_or_empty() -> None:
    script = [
        Behaviour(error_after_bytes=0),
        Behaviour(error_after_bytes=20000),
        Behaviour(odd_frames=True),
        Behaviour(empty=True),
        Behaviour(drop_after_bytes=20000),
        Behaviour(stall_after_bytes=20000),
        Behaviour(refuse_status=503),
    ]
    async with AI4BharatTTSSimulator(script=script, speed=50) as simulator:
        seen = []
        for _ in range(4):
            async with speak(simulator) as client:
                await client.send(json.dumps(PROMPT))
                messages, frames = await rest(client)
                kinds = [message["type"] for message in messages]
                seen.append((kinds, [len(frame) % 4 for frame in frames[:2]]))
        assert seen == [
            (["error"], []),
            (["meta", "error"], [0, 0]),
            (["meta", "done"], [1, 1]),
            (["meta", "done"], []),
        ]
        async with speak(simulator) as client:
            await client.send(json.dumps(PROMPT))
            with pytest.raises(ConnectionClosed):
                await rest(client)
        async with speak(simulator) as client:
            await client.send(json.dumps(PROMPT))
            await simulator.until(lambda: simulator.connections[5].silent)
            assert client.close_code is None
        with pytest.raises(InvalidStatus):
            await speak(simulator)
