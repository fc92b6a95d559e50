"""The simulated Google: strict about what is sent, and true to its shapes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc.aio
import pytest
from google.cloud import texttospeech_v1 as speaking
from google.cloud.speech_v2.types import cloud_speech as hearing

from simulators.google import FunctionCall, GeminiSimulator, GoogleSpeechSimulator, Reply
from tests.unit.simulators.vendors.sound import packets, silence, speech

MODEL = "/v1beta/models/gemini-3.6-flash:streamGenerateContent?alt=sse"
CONTENTS = [{"role": "user", "parts": [{"text": "नमस्ते"}]}]


async def generate(
    http: aiohttp.ClientSession, simulator: GeminiSimulator, key: str, body: Any
) -> tuple[int, str]:
    headers = {"x-goog-api-key": key}
    async with http.post(f"{simulator.base_url}{MODEL}", json=body, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_an_answer_comes_in_candidates(http: aiohttp.ClientSession, key: str) -> None:
    reply = Reply(text="एक दो", calls=(FunctionCall("transfer", {"to": "desk"}),))
    async with GeminiSimulator(replies=[reply], api_key=key) as simulator:
        status, text = await generate(http, simulator, key, {"contents": CONTENTS})
        assert (status, simulator.violations) == (200, [])
    chunks = [json.loads(line.removeprefix("data: ")) for line in text.split("\r\n\r\n") if line]
    parts = [chunk["candidates"][0]["content"]["parts"][0] for chunk in chunks]
    assert "".join(part.get("text", "") for part in parts) == "एक दो"
    assert parts[-2]["functionCall"] == {"name": "transfer", "args": {"to": "desk"}}
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"contents": []},
        {"contents": CONTENTS, "messages": []},
        {"contents": CONTENTS, "generationConfig": {"max_tokens": 3}},
        {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]},
        {"contents": [{"role": "model", "parts": [{"text": "x"}]}]},
        {"contents": [{"role": "user", "parts": []}]},
    ],
)
async def test_what_no_correct_client_sends_is_refused(
    http: aiohttp.ClientSession, key: str, body: Any
) -> None:
    async with GeminiSimulator() as simulator:
        status, text = await generate(http, simulator, key, body)
        assert status == 400
        assert json.loads(text)["error"]["status"] == "INVALID_ARGUMENT"
        assert len(simulator.violations) == 1


async def test_a_wrong_key_is_refused_as_google_does(http: aiohttp.ClientSession, key: str) -> None:
    async with GeminiSimulator(api_key=key) as simulator:
        status, text = await generate(http, simulator, f"not-{key}", {"contents": CONTENTS})
    assert status == 400
    assert "API_KEY_INVALID" in text


async def call(
    simulator: GoogleSpeechSimulator, method: str, answer: Any, requests: list[Any]
) -> list[Any]:
    """Make a streaming call; returns the answers."""

    async def each() -> AsyncIterator[Any]:
        for request in requests:
            yield request

    async with grpc.aio.insecure_channel(f"127.0.0.1:{simulator.port}") as channel:
        calling = channel.stream_stream(
            method,
            request_serializer=lambda request: type(request).serialize(request),
            response_deserializer=answer.deserialize,
        )
        return [one async for one in calling(each())]


def recognition(**change: Any) -> Any:
    given = {
        "language_codes": ["hi-IN"],
        "model": "latest_long",
        "explicit_decoding_config": {
            "encoding": "LINEAR16",
            "sample_rate_hertz": 8_000,
            "audio_channel_count": 1,
        },
    } | change
    recognizer = given.pop("recognizer", "projects/p/locations/global/recognizers/_")
    return hearing.StreamingRecognizeRequest(
        recognizer=recognizer, streaming_config={"config": given}
    )


async def recognise(simulator: GoogleSpeechSimulator, *requests: Any) -> list[Any]:
    method = "/google.cloud.speech.v2.Speech/StreamingRecognize"
    return await call(simulator, method, hearing.StreamingRecognizeResponse, list(requests))


async def test_speech_becomes_results_and_the_last_one_comes_at_the_end() -> None:
    sound = packets(speech(400) + silence(700) + speech(400))
    requests = [hearing.StreamingRecognizeRequest(audio=packet) for packet in sound]
    async with GoogleSpeechSimulator(utterances=["हाँ जी", "नहीं"]) as simulator:
        answers = await recognise(simulator, recognition(), *requests)
        assert simulator.violations == []
    results = [answer.results[0] for answer in answers]
    finals = [r.alternatives[0].transcript for r in results if r.is_final]
    assert finals == ["हाँ जी", "नहीं"]
    assert not results[0].is_final


@pytest.mark.parametrize(
    "change",
    [
        {"recognizer": "recognizers/_"},
        {"language_codes": ["pa-IN"]},
        {"model": ""},
        {"explicit_decoding_config": {"encoding": "MULAW", "sample_rate_hertz": 8_000}},
    ],
)
async def test_a_recognition_that_google_would_refuse(change: dict[str, Any]) -> None:
    async with GoogleSpeechSimulator() as simulator:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await recognise(simulator, recognition(**change))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert len(simulator.violations) == 1


@pytest.mark.parametrize(
    ("voice", "encoding", "is_taken"),
    [
        ("hi-IN-Chirp3-HD-Kore", "PCM", True),
        ("hi-IN-Wavenet-A", "PCM", False),
        ("hi-IN-Chirp3-HD-Kore", "MP3", False),
    ],
)
async def test_only_voices_and_formats_that_stream_speak(
    voice: str, encoding: str, is_taken: bool
) -> None:
    config = {
        "voice": {"language_code": "hi-IN", "name": voice},
        "streaming_audio_config": {"audio_encoding": encoding, "sample_rate_hertz": 8_000},
    }
    requests = [
        speaking.StreamingSynthesizeRequest(streaming_config=config),
        speaking.StreamingSynthesizeRequest(input={"text": "नमस्ते"}),
    ]
    method = "/google.cloud.texttospeech.v1.TextToSpeech/StreamingSynthesize"
    async with GoogleSpeechSimulator(speed=50) as simulator:
        speak = call(simulator, method, speaking.StreamingSynthesizeResponse, requests)
        if not is_taken:
            with pytest.raises(grpc.aio.AioRpcError):
                await speak
            assert len(simulator.violations) == 1
            return
        pcm = b"".join(answer.audio_content for answer in await speak)
        assert len(pcm) == simulator.spoken[0][2] * 16
        assert simulator.violations == []
