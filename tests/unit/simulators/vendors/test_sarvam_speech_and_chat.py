"""The simulated Sarvam's recogniser and chat: strict about what is sent."""

import base64
from typing import Any

import aiohttp
import pytest

from simulators.sarvam import SarvamSimulator

QUERY = {
    "language_code": "hi-IN",
    "model": "saaras:v3-realtime",
    "endpointing": "manual",
    "encoding": "linear16",
    "sample_rate": "8000",
}
AUDIO = {"event": "audio_input", "audio": base64.b64encode(bytes(16_000)).decode()}
START, END = {"event": "speech_start"}, {"event": "speech_end"}
CHAT = {"model": "sarvam-105b", "messages": [{"role": "user", "content": "नमस्ते"}]}


async def converse(
    http: aiohttp.ClientSession, simulator: SarvamSimulator, key: str, *messages: Any
) -> list[Any]:
    """Send events; returns the answers up to the first final, ``pong`` or error."""
    url = f"{simulator.base_url}/speech-to-text-realtime/ws"
    answers: list[Any] = []
    headers = {"api-subscription-key": key}
    async with http.ws_connect(url, params=QUERY, headers=headers) as websocket:
        for message in messages:
            await websocket.send_json(message)
        while not answers or answers[-1]["event"] in ("session.begin", "transcript.partial"):
            answers.append(await websocket.receive_json(timeout=30))
    return answers


async def test_an_utterance_is_what_lies_between_its_marks(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with SarvamSimulator(utterances=["एक दो तीन"], api_key=key) as simulator:
        answers = await converse(http, simulator, key, AUDIO, START, AUDIO, END)
        events = [answer["event"] for answer in answers]
        assert events == ["session.begin", "transcript.partial", "transcript.final"]
        assert answers[-1]["text"] == "एक दो तीन"
        assert len(simulator.heard[0].audio) == 16_000
        assert simulator.violations == []


@pytest.mark.parametrize(
    "messages",
    [
        [END],
        [START, START],
        [{"event": "hello"}],
        [{"event": "audio_input", "audio": "!"}],
        [{"event": "audio_input", "audio": ""}],
        [[]],
    ],
    ids=str,
)
async def test_what_no_correct_client_sends_is_answered_with_an_error(
    http: aiohttp.ClientSession, key: str, messages: list[Any]
) -> None:
    async with SarvamSimulator() as simulator:
        answers = await converse(http, simulator, key, *messages)
        assert answers[-1]["event"] == "error"
        assert len(simulator.violations) == 1


@pytest.mark.parametrize(
    "change", [{"language_code": "od-IN"}, {"sample_rate": "24000"}, {"pace": "1"}]
)
async def test_settings_that_are_rejected(
    http: aiohttp.ClientSession, key: str, change: dict[str, str]
) -> None:
    async with SarvamSimulator() as simulator:
        url = f"{simulator.base_url}/speech-to-text-realtime/ws"
        headers = {"api-subscription-key": key}
        async with http.ws_connect(url, params={**QUERY, **change}, headers=headers) as websocket:
            await websocket.receive(timeout=30)
        assert websocket.close_code == 4000


@pytest.mark.parametrize(
    ("version", "change", "status"),
    [
        ("v1", {}, 200),
        ("v2", {}, 400),
        ("v1", {"max_completion_tokens": 5}, 400),
        ("v1", {"reasoning_effort": None}, 200),
        ("v1", {"reasoning_effort": "none"}, 400),
        ("v1", {"messages": [{"role": "developer", "content": "x"}]}, 400),
    ],
)
async def test_chats(
    http: aiohttp.ClientSession, key: str, version: str, change: dict[str, Any], status: int
) -> None:
    async with SarvamSimulator(replies=["जी।"]) as simulator:
        url = f"{simulator.base_url}/{version}/chat/completions"
        headers = {"api-subscription-key": key}
        async with http.post(url, json={**CHAT, **change}, headers=headers) as answer:
            assert answer.status == status
            body = await answer.json()
        if status == 200:
            assert body["choices"][0]["message"]["content"] == "जी।"
        assert len(simulator.violations) == (status != 200)
