"""The simulated Sarvam: strict about what is sent, and true to its shapes."""

import base64
from typing import Any

import aiohttp
import pytest

from simulators.sarvam import SarvamSimulator

CONFIG = {
    "target_language_code": "hi-IN",
    "speaker": "ritu",
    "speech_sample_rate": "8000",
    "output_audio_codec": "linear16",
    "min_buffer_size": 50,
}
QUERY = "model=bulbul:v3&send_completion_event=true"


async def converse(
    http: aiohttp.ClientSession, simulator: SarvamSimulator, key: str, *messages: Any
) -> list[Any]:
    """Send messages; returns the answers up to the first ``final`` or error."""
    url = f"{simulator.base_url}/text-to-speech/ws?{QUERY}"
    answers: list[Any] = []
    async with http.ws_connect(url, headers={"api-subscription-key": key}) as websocket:
        for message in messages:
            await websocket.send_json(message)
        while not answers or answers[-1]["type"] == "audio":
            answers.append(await websocket.receive_json(timeout=30))
    return answers


async def test_short_texts_wait_for_a_flush_and_final_ends_them(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with SarvamSimulator(speed=50, api_key=key) as simulator:
        answers = await converse(
            http,
            simulator,
            key,
            {"type": "config", "data": CONFIG},
            {"type": "ping"},
            {"type": "text", "data": {"text": "एक "}},
            {"type": "text", "data": {"text": "दो"}},
            {"type": "flush"},
        )
        assert [spoken.text for spoken in simulator.spoken] == ["एक दो"]
        assert answers[-1] == {"type": "event", "data": {"event_type": "final"}}
        audio = b"".join(base64.b64decode(a["data"]["audio"]) for a in answers[:-1])
        assert len(audio) / 16 == pytest.approx(simulator.spoken[0].duration_ms, abs=1)
        assert answers[0]["data"]["content_type"] == "audio/linear16"
        assert simulator.violations == []


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "data": {"text": "पहले"}},
        {"type": "config", "data": {**CONFIG, "target_language_code": "or-IN"}},
        {"type": "config", "data": {**CONFIG, "target_language_code": "ur-IN"}},
        {"type": "config", "data": {**CONFIG, "speech_sample_rate": "11025"}},
        {"type": "config", "data": {**CONFIG, "pitch": 0.1}},
        {"type": "config", "data": {**CONFIG, "pace": 3}},
        {"type": "config", "data": {**CONFIG, "unheard_of": 1}},
        {"type": "cancel"},
        [],
    ],
)
async def test_what_no_correct_client_sends_is_answered_with_an_error(
    http: aiohttp.ClientSession, key: str, message: Any
) -> None:
    async with SarvamSimulator() as simulator:
        answers = await converse(http, simulator, key, message)
        assert answers[0]["type"] == "error"
        assert set(answers[0]["data"]) == {"message", "code", "request_id"}
        assert len(simulator.violations) == 1


@pytest.mark.parametrize(
    ("query", "with_key", "status"), [(QUERY, False, 403), ("model=bulbul:v2", True, 400)]
)
async def test_handshakes_that_are_refused(
    http: aiohttp.ClientSession, key: str, query: str, with_key: bool, status: int
) -> None:
    async with SarvamSimulator(api_key=key) as simulator:
        headers = {"api-subscription-key": key if with_key else f"not-{key}"}
        url = f"{simulator.base_url}/text-to-speech/ws?{query}"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url, headers=headers)
        assert refused.value.status == status
        assert len(simulator.violations) == 1


async def test_a_socket_without_traffic_is_closed(http: aiohttp.ClientSession, key: str) -> None:
    async with SarvamSimulator(idle_timeout_seconds=0.05) as simulator:
        url = f"{simulator.base_url}/text-to-speech/ws?{QUERY}"
        async with http.ws_connect(url, headers={"api-subscription-key": key}) as websocket:
            message = await websocket.receive(timeout=30)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 1000
