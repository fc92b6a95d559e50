"""The simulated Smallest AI: strict about what is sent, and true to its shapes."""

import base64
from typing import Any

import aiohttp
import pytest

from simulators.smallest import SmallestSimulator

REQUEST = {
    "text": "नमस्ते",
    "voice_id": "meher",
    "model": "lightning_v3.1_pro",
    "language": "hi",
    "sample_rate": 8000,
}


async def converse(
    http: aiohttp.ClientSession, simulator: SmallestSimulator, key: str, *messages: Any
) -> list[Any]:
    """Send messages; returns the answers up to ``complete`` or an error."""
    url = f"{simulator.base_url}/waves/v1/tts/live"
    answers: list[Any] = []
    async with http.ws_connect(url, headers={"Authorization": f"Bearer {key}"}) as websocket:
        for message in messages:
            await websocket.send_json(message)
        while not answers or answers[-1]["status"] == "chunk":
            answers.append(await websocket.receive_json(timeout=30))
    return answers


async def test_fragments_are_spoken_and_complete_ends_them(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with SmallestSimulator(speed=50, api_key=key) as simulator:
        first = {**REQUEST, "continue": True, "max_buffer_delay_ms": 0}
        last = {**REQUEST, "text": "", "continue": False}
        answers = await converse(http, simulator, key, first, last)
        assert answers[-1]["status"] == "complete"
        audio = b"".join(base64.b64decode(a["data"]["audio"]) for a in answers[:-1])
        assert len(audio) / 16 == pytest.approx(simulator.spoken[0].duration_ms, abs=1)
        assert simulator.violations == []


@pytest.mark.parametrize(
    "change",
    [
        {"voice_id": ""},
        {"text": None},
        {"language": "as"},
        {"sample_rate": 22_050},
        {"speed": 3},
        {"model": "lightning"},
        {"max_buffer_delay_ms": 6_000},
        {"pitch": 1},
    ],
    ids=str,
)
async def test_what_no_correct_client_sends_is_answered_with_an_error(
    http: aiohttp.ClientSession, key: str, change: dict[str, Any]
) -> None:
    async with SmallestSimulator() as simulator:
        answers = await converse(http, simulator, key, {**REQUEST, **change})
        assert answers[-1]["status"] == "error"
        url, headers = f"{simulator.base_url}/waves/v1/tts", {"Authorization": f"Bearer {key}"}
        async with http.post(url, json={**REQUEST, **change}, headers=headers) as answer:
            assert answer.status == 400
        assert len(simulator.violations) == 2
