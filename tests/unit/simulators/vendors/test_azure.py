"""The simulated Azure AI Speech: strict about what is sent, and true to its shapes."""

import json
import struct
from typing import Any

import aiohttp
import pytest

from simulators.azure import AzureSimulator
from simulators.azure.messages import WrongMessage, parse
from tests.unit.simulators.vendors.sound import packets, silence, speech

TIME = "X-Timestamp:2026-01-02T03:04:05.678Z"
TURN = "0" * 32
STT, TTS = "/stt/speech/universal/v2", "/tts/cognitiveservices/websocket/v1"
SSML = (
    "<speak version='1.0' xml:lang='hi-IN' xmlns='http://www.w3.org/2001/10/synthesis'>"
    "<voice name='hi-IN-SwaraNeural'>नमस्ते जी</voice></speak>"
)


def text(path: str, body: Any) -> str:
    content = body if isinstance(body, str) else json.dumps(body)
    return f"{TIME}\r\nPath:{path}\r\nX-RequestId:{TURN}\r\n\r\n{content}"


def audio(data: bytes) -> bytes:
    head = f"{TIME}\r\nPath:audio\r\nX-RequestId:{TURN}\r\nX-StreamId:1\r\n".encode()
    return struct.pack(">H", len(head)) + head + data


def wav_header(rate_hz: int = 8_000, bits: int = 16) -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * 2, 2, bits)
    return b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + form + b"data\0\0\0\0"


def context(language: str = "hi-IN") -> str:
    return text("speech.context", {"phraseDetection": {"language": language}})


def output(form: str = "raw-8khz-16bit-mono-pcm") -> str:
    options = {"outputFormat": form, "metadataOptions": {"wordBoundaryEnabled": True}}
    return text("synthesis.context", {"synthesis": {"audio": options}})


async def converse(
    http: aiohttp.ClientSession,
    simulator: AzureSimulator,
    key: str,
    path: str,
    *messages: str | bytes,
) -> list[aiohttp.WSMessage]:
    """Send messages; returns what comes up to the end of the turn or of the connection."""
    answers: list[aiohttp.WSMessage] = []
    url, headers = f"{simulator.base_url}{path}", {"Ocp-Apim-Subscription-Key": key}
    async with http.ws_connect(url, headers=headers, protocols=["USP"]) as websocket:
        for message in messages:
            if isinstance(message, str):
                await websocket.send_str(message)
            else:
                await websocket.send_bytes(message)
        while True:
            answer = await websocket.receive(timeout=30)
            answers.append(answer)
            if answer.type is aiohttp.WSMsgType.CLOSE or "Path:turn.end" in str(answer.data):
                return answers


def paths(answers: list[aiohttp.WSMessage]) -> list[str]:
    texts = [answer.data for answer in answers if answer.type is aiohttp.WSMsgType.TEXT]
    return [text.partition("Path:")[2].partition("\r")[0] for text in texts]


async def test_speech_becomes_phrases(http: aiohttp.ClientSession, key: str) -> None:
    sound = [audio(packet) for packet in packets(speech(400) + silence(700))]
    async with AzureSimulator(utterances=["हाँ जी"], api_key=key) as simulator:
        answers = await converse(
            http, simulator, key, STT, context(), audio(wav_header()), *sound, audio(b"")
        )
        assert simulator.violations == []
    assert paths(answers) == [
        "turn.start",
        "speech.startDetected",
        "speech.hypothesis",
        "speech.phrase",
        "speech.endDetected",
        "speech.phrase",
        "turn.end",
    ]
    phrase = json.loads(answers[3].data.partition("\r\n\r\n")[2])
    assert (phrase["RecognitionStatus"], phrase["DisplayText"]) == ("Success", "हाँ जी")


async def test_text_becomes_sound_with_word_times(http: aiohttp.ClientSession, key: str) -> None:
    async with AzureSimulator(speed=50) as simulator:
        answers = await converse(http, simulator, key, TTS, output(), text("ssml", SSML))
        assert simulator.violations == []
    assert paths(answers) == ["turn.start", "response", "audio.metadata", "turn.end"]
    binary = [answer.data for answer in answers if answer.type is aiohttp.WSMsgType.BINARY]
    bodies = [data[2 + struct.unpack(">H", data[:2])[0] :] for data in binary]
    assert len(b"".join(bodies)) == simulator.spoken[0].duration_ms * 16
    assert bodies[-1] == b""


@pytest.mark.parametrize(
    ("path", "messages"),
    [
        (STT, ["no headers"]),
        (STT, [text("speech.unheard", {})]),
        (STT, [context("sat-IN")]),
        (STT, [audio(wav_header())]),
        (STT, [context(), audio(b"\0" * 320)]),
        (STT, [context(), audio(wav_header(11_025))]),
        (STT, [context(), audio(wav_header(bits=8))]),
        (STT, [b"\x00"]),
        (TTS, [output("audio-16khz-32kbitrate-mono-mp3")]),
        (TTS, [text("ssml", SSML)]),
        (TTS, [output(), text("ssml", "<speak>")]),
        (TTS, [output(), text("ssml", SSML.replace("hi-IN-Swara", "ta-IN-Pallavi"))]),
    ],
)
async def test_what_no_correct_client_sends_ends_the_connection(
    http: aiohttp.ClientSession, key: str, path: str, messages: list[str | bytes]
) -> None:
    async with AzureSimulator() as simulator:
        answers = await converse(http, simulator, key, path, *messages)
        assert (answers[-1].type, answers[-1].data) == (aiohttp.WSMsgType.CLOSE, 1007)
        assert len(simulator.violations) == 1


@pytest.mark.parametrize(("protocols", "status"), [(["USP"], 401), ([], 400)])
async def test_handshakes_that_are_refused(
    http: aiohttp.ClientSession, key: str, protocols: list[str], status: int
) -> None:
    async with AzureSimulator(api_key=key) as simulator:
        given = key if status == 400 else f"not-{key}"
        headers = {"Ocp-Apim-Subscription-Key": given}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(
                f"{simulator.base_url}{STT}", headers=headers, protocols=protocols
            )
        assert refused.value.status == status
        assert len(simulator.violations) == 1


def test_a_message_without_a_time_is_none() -> None:
    with pytest.raises(WrongMessage, match="X-Timestamp"):
        parse("Path:speech.config\r\n\r\n{}")
