"""Bhashini's streaming recogniser and pipeline."""

import base64
import io
import json
import wave
from typing import Any

import aiohttp
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulators import tone
from simulators.behaviour import Behaviour
from simulators.bhashini import BhashiniSimulator
from tests.unit.simulators.vendors.receiving import one
from tests.unit.simulators.vendors.sound import silence, speech

SERVICE = "bhashini/ai4b/indic-conformer/grpc"
ASR = "bhashini/ai4bharat/conformer-multilingual-asr"
TTS = "ai4bharat/indic-tts-coqui-indo_aryan-gpu--t4"
CHUNK = (np.frombuffer(speech(200, rate_hz=16_000), dtype="<i2") / 32768).astype("<f4").tobytes()
END = '{"type":"end"}'


def start(**changes: Any) -> str:
    """The first message, but for changes to its ``config``."""
    config = {
        "serviceId": SERVICE,
        "language": {"sourceLanguage": "hi"},
        "audioFormat": "pcm",
        "encoding": "raw",
        "samplingRate": 16_000,
        "transcriptionFormat": {"value": "transcript"},
        **changes,
    }
    streaming = {
        "chunkDurationMs": 200,
        "interimResults": True,
        "endOfStreamPolicy": "client_signal",
    }
    return json.dumps(
        {
            "type": "start",
            "controlConfig": {"dataTracking": False},
            "config": config,
            "streamingConfig": streaming,
        }
    )


def stream(simulator: BhashiniSimulator, key: str | None = "any") -> connect:
    """Connect."""
    query = "" if key is None else f"?api_key={key}"
    return connect(f"{simulator.ws_url}/ws/v1/asr/stream{query}", proxy=None)


async def message(client: ClientConnection) -> Any:
    """The next message, decoded."""
    return json.loads(await one(client))


async def test_a_stream_is_read_while_it_comes() -> None:
    async with (
        BhashiniSimulator(texts=["मुझे मदद चाहिए"], final_ms=10) as simulator,
        stream(simulator) as client,
    ):
        await client.send(start())
        ready = await message(client)
        assert (ready["type"], bool(ready["sessionId"])) == ("ready", True)
        for text in ("मुझे", "मुझे मदद", "मुझे मदद चाहिए"):
            await client.send(CHUNK)
            interim = {"type": "transcript", "output": [{"source": text}], "isFinal": False}
            assert await message(client) == interim
        await client.send(END)
        final = {"type": "transcript", "output": [{"source": text}], "isFinal": True}
        assert await message(client) == final
        heard = simulator.heard[0]
        assert (heard.language, heard.service_id, heard.duration_ms) == ("hi", SERVICE, 600)
        assert simulator.violations == []


async def test_silence_has_no_text() -> None:
    quiet = bytes(len(silence(200, rate_hz=16_000)) * 2)
    async with BhashiniSimulator() as simulator, stream(simulator) as client:
        await client.send(start())
        await message(client)
        await client.send(quiet)
        await client.send(END)
        final = {"type": "transcript", "output": [{"source": ""}], "isFinal": True}
        assert await message(client) == final


@pytest.mark.parametrize("key", [None, "", "wrong"])
async def test_without_the_key_the_handshake_is_refused(key: str | None) -> None:
    async with BhashiniSimulator(api_key="right") as simulator:
        with pytest.raises(InvalidStatus) as refused:
            await stream(simulator, key)
        assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (["{"], "INVALID_START"),
        ([CHUNK], "INVALID_START"),
        ([END], "INVALID_START"),
        ([start(serviceId=ASR)], "INVALID_SERVICE_TASK"),
        ([start(language={"sourceLanguage": "en"})], "INVALID_LANGUAGE"),
        ([start(samplingRate=8_000)], "INVALID_CONFIG"),
        ([start(encoding="base64")], "INVALID_CONFIG"),
        ([start(), CHUNK[:-1]], "INVALID_AUDIO"),
        ([start(), np.full(100, 1.5, dtype="<f4").tobytes()], "INVALID_AUDIO"),
        ([start(), np.full(100, np.nan, dtype="<f4").tobytes()], "INVALID_AUDIO"),
        ([start(), start()], "INVALID_MESSAGE"),
    ],
)
async def test_what_no_correct_client_sends_is_an_error(sent: list[str | bytes], told: str) -> None:
    async with BhashiniSimulator() as simulator, stream(simulator) as client:
        for frame in sent:
            await client.send(frame)
        answers = [await message(client) for _ in sent]
        assert answers[-1] == {"type": "error", "message": told}
        with pytest.raises(ConnectionClosed):
            await one(client)
        assert len(simulator.violations) == 1


async def test_a_stream_may_fail_be_dropped_or_never_come_to_its_final() -> None:
    script = [Behaviour(error_after_bytes=1), Behaviour(drop_after_bytes=1)]
    async with BhashiniSimulator(script=script, sends_final=False, interim_ms=9_000) as simulator:
        async with stream(simulator) as client:
            await client.send(start())
            await message(client)
            await client.send(CHUNK)
            assert await message(client) == {"type": "error", "message": "INTERNAL_ERROR"}
        async with stream(simulator) as client:
            await client.send(start())
            await message(client)
            await client.send(CHUNK)
            with pytest.raises(ConnectionClosed):
                await one(client)
        async with stream(simulator) as client:
            await client.send(start())
            await client.send(END)
            await simulator.until(lambda: len(simulator.heard) == 1)
            assert (await message(client))["type"] == "ready"
            assert client.close_code is None
        await simulator.until(simulator.connections[2].ended.is_set)


# -- the pipeline --------------------------------------------------------------------------


def file(pcm: bytes, rate_hz: int = 8_000) -> str:
    """A WAV file in base64."""
    with io.BytesIO() as memory:
        with wave.open(memory, "wb") as opened:
            opened.setparams((1, 2, rate_hz, 0, "NONE", ""))
            opened.writeframes(pcm)
        return base64.b64encode(memory.getvalue()).decode()


def asr(content: str | None = None, **changes: Any) -> dict[str, Any]:
    """A recognition, but for changes to its ``config``."""
    config = {
        "serviceId": ASR,
        "language": {"sourceLanguage": "hi"},
        "audioFormat": "wav",
        "samplingRate": 8_000,
        **changes,
    }
    content = file(speech(500)) if content is None else content
    return {
        "pipelineTasks": [{"taskType": "asr", "config": config}],
        "inputData": {"audio": [{"audioContent": content}]},
    }


def tts(**changes: Any) -> dict[str, Any]:
    """A synthesis, but for changes to its ``config``."""
    config = {
        "serviceId": TTS,
        "language": {"sourceLanguage": "hi"},
        "gender": "female",
        "samplingRate": 8_000,
        "speed": 1.0,
        **changes,
    }
    return {
        "pipelineTasks": [{"taskType": "tts", "config": config}],
        "inputData": {"input": [{"source": "नमस्ते"}]},
    }


async def compute(
    http: aiohttp.ClientSession, simulator: BhashiniSimulator, body: Any, key: str = "any"
) -> tuple[int, Any]:
    """Status and answer."""
    url = f"{simulator.base_url}/services/inference/pipeline"
    async with http.post(url, json=body, headers={"Authorization": key}) as response:
        return response.status, json.loads(await response.read())


async def test_an_utterance_is_recognised(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator(texts={"hi": "नमस्ते", "*": "और"}) as simulator:
        status, answer = await compute(http, simulator, asr())
        assert (status, answer["pipelineResponse"][0]["output"]) == (200, [{"source": "नमस्ते"}])
        _, answer = await compute(http, simulator, asr(language={"sourceLanguage": "ta"}))
        assert answer["pipelineResponse"][0]["output"] == [{"source": "और"}]
        assert simulator.heard[0].duration_ms == 500
        assert simulator.violations == []


async def test_a_sentence_is_spoken(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator() as simulator:
        status, answer = await compute(http, simulator, tts(samplingRate=16_000))
        task = answer["pipelineResponse"][0]
        assert (status, task["config"]["samplingRate"]) == (200, 16_000)
        content = base64.b64decode(task["audio"][0]["audioContent"])
        with wave.open(io.BytesIO(content)) as opened:
            pcm = np.frombuffer(opened.readframes(opened.getnframes()), dtype="<i2")
            assert opened.getframerate() == 16_000
        spoken = simulator.spoken[0]
        assert len(pcm) / 16 == pytest.approx(spoken.duration_ms, abs=1)
        assert tone.dominant_frequency(pcm, 16_000) == pytest.approx(spoken.frequency_hz, abs=5)


async def test_an_invalid_chain_is_answered_with_nothing(http: aiohttp.ClientSession) -> None:
    async with BhashiniSimulator() as simulator:
        body = {**asr(), "pipelineTasks": [*tts()["pipelineTasks"], *asr()["pipelineTasks"]]}
        assert await compute(http, simulator, body) == (200, {"pipelineResponse": []})
        assert len(simulator.violations) == 1


@pytest.mark.parametrize("key", ["", "wrong", "Bearer right"])
async def test_the_key_goes_bare_into_the_header(http: aiohttp.ClientSession, key: str) -> None:
    async with BhashiniSimulator(api_key="right") as simulator:
        assert (await compute(http, simulator, asr(), key))[0] == 401
        assert (await compute(http, simulator, asr(), "right"))[0] == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ([], 422),
        (asr(serviceId=SERVICE), 404),
        (asr(language={"sourceLanguage": "en"}), 500),
        (asr(language={}), 422),
        (asr(samplingRate=16_000), 500),
        (asr(content="&&&"), 500),
        (asr(content=base64.b64encode(speech(100)).decode()), 500),
        ({**asr(), "inputData": {}}, 422),
        (tts(serviceId=ASR), 404),
        (tts(language={"sourceLanguage": "ta"}), 500),
        (tts(gender="Divya"), 422),
        (tts(samplingRate=4_000), 422),
        ({**tts(), "inputData": {"input": []}}, 422),
    ],
)
async def test_a_wrong_task_is_refused(http: aiohttp.ClientSession, body: Any, status: int) -> None:
    async with BhashiniSimulator() as simulator:
        found, answer = await compute(http, simulator, body)
        assert (found, "detail" in answer) == (status, True)
        assert len(simulator.violations) == 1


async def test_the_pipeline_may_fail_or_be_late(http: aiohttp.ClientSession) -> None:
    script = [Behaviour(error_after_bytes=0), Behaviour(refuse_status=429), Behaviour(empty=True)]
    async with BhashiniSimulator(script=script, latency_ms=5) as simulator:
        status, answer = await compute(http, simulator, asr())
        assert (status, answer["detail"]["kind"]) == (500, "DHRUVA-101")
        assert (await compute(http, simulator, asr()))[0] == 429
        _, answer = await compute(http, simulator, asr())
        assert answer["pipelineResponse"][0]["output"] == [{"source": ""}]
