"""OpenAI's transcription, speech and realtime sessions, by plain clients and by OpenAI's own."""

import base64
import io
import wave
from typing import Any

import aiohttp
import msgspec
import pytest
from openai import AsyncOpenAI, BadRequestError

from simulators import tone
from simulators.behaviour import Behaviour
from simulators.openai import AzureOpenAISimulator, GroqSimulator, OpenAISimulator
from tests.unit.simulators.vendors.sound import silence, speech

TEXT = "मुझे मदद चाहिए"
SPEECH: dict[str, Any] = {
    "input": "नमस्ते",
    "model": "tts-1",
    "voice": "alloy",
    "response_format": "pcm",
}
SESSION: dict[str, Any] = {
    "type": "transcription",
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "gpt-realtime-whisper", "language": "hi"},
            "turn_detection": None,
        }
    },
}


def client(simulator: OpenAISimulator, key: str) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=simulator.base_url, max_retries=0)


def wav(pcm: bytes, rate_hz: int = 8000) -> tuple[str, bytes, str]:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(pcm)
    return "audio.wav", file.getvalue(), "audio/wav"


@pytest.mark.parametrize("make", [OpenAISimulator, GroqSimulator])
async def test_a_file_is_transcribed(make: type[OpenAISimulator], key: str) -> None:
    async with make(texts=[TEXT], api_key=key) as simulator, client(simulator, key) as openai:
        for audio, text in ((speech(500), TEXT), (silence(500), "")):
            answer = await openai.audio.transcriptions.create(
                file=wav(audio), model="whisper-1", language="hi", prompt="दाम"
            )
            assert answer.text == text
        heard = simulator.heard[0]
        assert (heard.language, heard.prompt, heard.duration_ms) == ("hi", "दाम", 500)
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": "or"}, "Invalid language"),
        ({"file": ("a.wav", b"no wave", "audio/wav")}, "corrupted"),
        ({"temperature": 3.0}, "temperature"),
        ({"extra_body": {"colour": "red"}}, "Unknown parameter"),
    ],
)
async def test_a_wrong_file_or_field_is_refused(
    key: str, changes: dict[str, Any], message: str
) -> None:
    async with OpenAISimulator() as simulator, client(simulator, key) as openai:
        request = {"file": wav(speech(200)), "model": "whisper-1", "language": "hi", **changes}
        with pytest.raises(BadRequestError, match=message):
            await openai.audio.transcriptions.create(**request)
        assert len(simulator.violations) == 1


async def test_speech_is_a_tone_for_each_text(key: str) -> None:
    async with OpenAISimulator() as simulator, client(simulator, key) as openai:
        whole = []
        for _ in range(2):
            async with openai.audio.speech.with_streaming_response.create(**SPEECH) as answer:
                whole.append(await answer.read())
        assert len(whole[0]) == tone.bytes_for(tone.speech_ms("नमस्ते"), "pcm_s16le", 24_000)
        assert whole[0] != whole[1]
        assert [spoken.text for spoken in simulator.spoken] == ["नमस्ते", "नमस्ते"]


@pytest.mark.parametrize(
    "changes", [{"voice": ""}, {"response_format": "opus"}, {"speed": 9}, {"language": "hi"}]
)
async def test_wrong_speech_is_refused(
    http: aiohttp.ClientSession, key: str, changes: dict[str, Any]
) -> None:
    async with OpenAISimulator() as simulator:
        async with http.post(
            f"{simulator.base_url}/audio/speech",
            json={**SPEECH, **changes},
            headers={"Authorization": f"Bearer {key}"},
        ) as answer:
            assert answer.status == 400
        assert len(simulator.violations) == 1


async def converse(
    http: aiohttp.ClientSession, simulator: OpenAISimulator, *events: dict[str, Any]
) -> list[dict[str, Any]]:
    """Send events, and read what comes until the last of them is answered."""
    url = f"{simulator.ws_url}/realtime?intent=transcription"
    told = []
    async with http.ws_connect(url, headers={"Authorization": "Bearer k"}) as socket:
        told.append(await socket.receive_json(loads=msgspec.json.decode))
        for event in events:
            await socket.send_str(msgspec.json.encode(event).decode())
        ends = ("error", "conversation.item.input_audio_transcription.completed")
        while told[-1]["type"] not in ends:
            told.append(await socket.receive_json(loads=msgspec.json.decode, timeout=30))
    return told


def append(audio: bytes) -> dict[str, Any]:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}


async def test_a_session_transcribes_what_is_committed(http: aiohttp.ClientSession) -> None:
    async with OpenAISimulator(texts=[TEXT]) as simulator:
        told = await converse(
            http,
            simulator,
            {"type": "session.update", "session": SESSION},
            append(speech(400, encoding="pcm_mulaw")),
            {"type": "input_audio_buffer.commit"},
        )
        kinds = [event["type"].rpartition(".")[2] for event in told]
        assert kinds == ["created", "updated", "committed", *["delta"] * 3, "completed"]
        assert "".join(event.get("delta", "") for event in told) == TEXT
        assert told[-1]["transcript"] == TEXT
        heard = simulator.heard[0]
        assert (heard.format, heard.rate_hz, heard.duration_ms) == ("audio/pcmu", 8_000, 400)
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([{"type": "input_audio_buffer.commit"}], "input_audio_buffer_commit_empty"),
        ([append(b"\xff" * 80)], "invalid_value"),
        ([{"type": "response.create"}], "invalid_value"),
        ([{"type": "session.update", "session": {"type": "realtime"}}], "invalid_value"),
        (
            [
                {"type": "session.update", "session": SESSION},
                append(b"\xff" * 790),
                {"type": "input_audio_buffer.commit"},
            ],
            "input_audio_buffer_commit_empty",
        ),
    ],
)
async def test_a_wrong_event_is_an_error_and_not_the_end(
    http: aiohttp.ClientSession, events: list[dict[str, Any]], code: str
) -> None:
    async with OpenAISimulator() as simulator:
        told = await converse(http, simulator, *events)
        assert told[-1]["error"]["code"] == code
        assert len(simulator.violations) == 1


async def test_a_session_can_be_told_to_fail(http: aiohttp.ClientSession) -> None:
    behaviour = Behaviour(error_after_bytes=100)
    async with OpenAISimulator(behaviour=behaviour) as simulator:
        update = {"type": "session.update", "session": SESSION}
        told = await converse(http, simulator, update, append(b"\xff" * 800))
        assert told[-1]["error"]["type"] == "server_error"
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/openai/deployments/d/chat/completions?api-version=1", {"api-key": "k"}, 200),
        ("/openai/v1/chat/completions", {"Authorization": "Bearer k"}, 200),
        ("/openai/v1/chat/completions", {"api-key": "k"}, 200),
        ("/openai/deployments/d/chat/completions?api-version=1", {"api-key": "x"}, 401),
        (
            "/openai/deployments/d/chat/completions?api-version=1",
            {"Authorization": "Bearer k"},
            401,
        ),
        ("/openai/deployments/d/chat/completions", {"api-key": "k"}, 404),
    ],
)
async def test_azures_doors(
    http: aiohttp.ClientSession, path: str, headers: dict[str, str], status: int
) -> None:
    body = {"model": "d", "messages": [{"role": "user", "content": "x"}]}
    async with AzureOpenAISimulator(api_key="k") as simulator:
        async with http.post(f"{simulator.base_url}{path}", json=body, headers=headers) as answer:
            assert answer.status == status
        assert bool(simulator.violations) == (status != 200)
