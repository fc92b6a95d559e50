"""The simulated Soniox: strict about what is sent, and true to its shapes."""

from typing import Any

import aiohttp
import numpy as np
import pytest

from simulators.soniox import SonioxSimulator

CONFIG = {
    "model": "stt-rt-v5",
    "audio_format": "pcm_s16le",
    "num_channels": 1,
    "sample_rate": 8000,
    "language_hints": ["hi"],
}
SPEECH = (np.sin(np.arange(4_800)) * 8_000).astype("<i2").tobytes()


async def converse(
    http: aiohttp.ClientSession, simulator: SonioxSimulator, key: str, *messages: Any
) -> list[Any]:
    """Send messages; returns everything that comes until the server closes."""
    url = f"{simulator.base_url}/transcribe-websocket"
    headers = {"Authorization": f"Bearer {key}"}
    answers: list[Any] = []
    async with http.ws_connect(url, headers=headers) as websocket:
        for message in messages:
            if isinstance(message, bytes):
                await websocket.send_bytes(message)
            elif isinstance(message, str):
                await websocket.send_str(message)
            else:
                await websocket.send_json(message)
        async for answer in websocket:
            answers.append(answer.json())
    return answers


async def test_finalize_makes_all_final_and_an_empty_message_ends_it(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with SonioxSimulator(utterances=["एक दो"], api_key=key) as simulator:
        finalize = {"type": "finalize"}
        answers = await converse(
            http, simulator, key, CONFIG, {"type": "keepalive"}, SPEECH, finalize, ""
        )
        final = [
            token["text"] for answer in answers for token in answer["tokens"] if token["is_final"]
        ]
        assert final == ["एक", " दो", "<fin>"]
        assert answers[-1]["finished"]
        assert simulator.violations == []


@pytest.mark.parametrize(
    "messages",
    [
        [SPEECH],
        [{**CONFIG, "sample_rate": 44_100}],
        [{**CONFIG, "language_hints": ["or"]}],
        [{**CONFIG, "pace": 1}],
        [{**CONFIG, "context": "text"}],
        [{"sample_rate": 8000}],
        [CONFIG, b"\x00"],
        [CONFIG, {"type": "hello"}],
        ["{"],
    ],
    ids=lambda messages: str(messages)[:60],
)
async def test_what_no_correct_client_sends_is_answered_with_an_error(
    http: aiohttp.ClientSession, key: str, messages: list[Any]
) -> None:
    async with SonioxSimulator() as simulator:
        answers = await converse(http, simulator, key, *messages)
        assert answers[-1]["error_code"] == 400
        assert "tokens" not in answers[-1]
        assert len(simulator.violations) == 1


async def test_silence_without_keepalive_ends_it(http: aiohttp.ClientSession, key: str) -> None:
    async with SonioxSimulator(idle_timeout_seconds=0.01) as simulator:
        answers = await converse(http, simulator, key, CONFIG)
        assert answers[-1]["error_code"] == 408
