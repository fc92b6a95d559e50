"""Deepgram's live transcription, by a plain client and by Deepgram's own."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment
from deepgram.core import ApiError
from deepgram.listen.v1.types import (
    ListenV1Metadata,
    ListenV1Results,
    ListenV1SpeechStarted,
    ListenV1UtteranceEnd,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulators.behaviour import Behaviour
from simulators.deepgram import DeepgramSimulator, Heard, Timing, Utterance
from tests.unit.simulators.vendors.receiving import one
from tests.unit.simulators.vendors.sound import packets, silence, speech

#: Deepgram's SDK 7.17 imports names that websockets has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")

QUERY = {
    "model": "nova-3",
    "language": "hi",
    "encoding": "linear16",
    "sample_rate": "8000",
    "channels": "1",
    "interim_results": "true",
    "endpointing": "150",
    "smart_format": "true",
    "punctuate": "true",
}
TURN = speech(1000) + silence(300)


def listen(simulator: DeepgramSimulator, key: str, query: Any = None, **changes: str) -> connect:
    """Connect as a plain client does."""
    pairs = query if query is not None else {**QUERY, **changes}
    headers = {"Authorization": f"Token {key}"}
    url = f"{simulator.ws_url}/v1/listen?{urlencode(pairs)}"
    return connect(url, additional_headers=headers, proxy=None)


async def send(client: ClientConnection, audio: bytes, size: int = 320) -> None:
    """Send audio in packets."""
    for packet in packets(audio, size):
        await client.send(packet)


async def finish(client: ClientConnection) -> list[dict[str, Any]]:
    """Close the stream and return everything that was said on it."""
    await client.send('{"type":"CloseStream"}')
    async with asyncio.timeout(30):
        return [json.loads(message) async for message in client]


def transcripts(messages: Sequence[dict[str, Any]], **wanted: Any) -> list[str]:
    """Transcripts of the results that have these values."""
    return [
        message["channel"]["alternatives"][0]["transcript"]
        for message in messages
        if message["type"] == "Results"
        and all(message[name] == value for name, value in wanted.items())
    ]


async def test_an_utterance_has_interims_and_a_final_and_the_stream_ends_with_metadata(
    key: str,
) -> None:
    async with DeepgramSimulator(utterances=["मुझे मदद चाहिए"]) as simulator:
        async with listen(simulator, key) as client:
            await send(client, TURN)
            messages = await finish(client)
            assert client.close_code == 1000
        assert transcripts(messages, is_final=False) == [
            "मुझे",
            "मुझे मदद",
            *["मुझे मदद चाहिए"] * 3,
        ]
        assert transcripts(messages, is_final=True) == ["मुझे मदद चाहिए"]
        assert transcripts(messages, speech_final=True) == ["मुझे मदद चाहिए"]
        metadata = messages[-1]
        assert metadata["type"] == "Metadata"
        assert metadata["duration"] == 1.3
        assert metadata["sha256"] == hashlib.sha256(TURN).hexdigest()
        assert simulator.connections[0].audio == TURN
        assert simulator.violations == []


async def test_utterances_come_in_turn_and_again_from_the_first(key: str) -> None:
    async with DeepgramSimulator(utterances=["one", "two"]) as simulator:
        async with listen(simulator, key, interim_results="false") as client:
            await send(client, TURN * 3)
            messages = await finish(client)
        assert transcripts(messages) == ["one", "two", "one"]


async def test_segments_follow_each_other_without_a_gap(key: str) -> None:
    async with (
        DeepgramSimulator(utterances=[Utterance("a b", parts=("a", "b"))]) as simulator,
        listen(simulator, key) as client,
    ):
        await send(client, TURN + silence(6000) + TURN)
        messages = await finish(client)
    finals = [message for message in messages if message.get("is_final")]
    texts = [final["channel"]["alternatives"][0]["transcript"] for final in finals]
    assert texts == ["a", "b", "", "a", "b"]
    assert [final["speech_final"] for final in finals] == [False, True, False, False, True]
    position = 0.0
    for final in finals:
        assert final["start"] == pytest.approx(position, abs=0.002)
        position = final["start"] + final["duration"]


@pytest.mark.parametrize("size", [320, 200, 1600, 4000])
async def test_the_size_of_packets_makes_no_difference(key: str, size: int) -> None:
    async with DeepgramSimulator(utterances=["one", "two"]) as simulator:
        async with listen(simulator, key, interim_results="false") as client:
            await send(client, TURN * 2, size)
            messages = await finish(client)
        assert transcripts(messages) == ["one", "two"]


@pytest.mark.parametrize(("name", "encoding"), [("mulaw", "pcm_mulaw"), ("alaw", "pcm_alaw")])
async def test_speech_is_found_in_companded_audio(key: str, name: str, encoding: str) -> None:
    audio = speech(600, encoding=encoding) + silence(400, encoding=encoding)
    async with DeepgramSimulator(utterances=["one"]) as simulator:
        async with listen(simulator, key, encoding=name) as client:
            await send(client, audio, 160)
            messages = await finish(client)
        assert transcripts(messages, is_final=True) == ["one"]


async def test_quiet_and_clicks_are_not_speech(key: str) -> None:
    async with DeepgramSimulator() as simulator, listen(simulator, key) as client:
        await send(client, silence(1000) + speech(40) + silence(1000))
        messages = await finish(client)
    assert [message["type"] for message in messages] == ["Metadata"]


async def test_finalize_makes_final_what_was_said_so_far(key: str) -> None:
    async with (
        DeepgramSimulator(utterances=["one"]) as simulator,
        listen(simulator, key, interim_results="false") as client,
    ):
        await send(client, speech(600))
        await client.send('{"type":"Finalize"}')
        first = json.loads(await one(client))
        await client.send('{"type":"Finalize"}')
        second = json.loads(await one(client))
    assert transcripts([first], from_finalize=True, is_final=True) == ["one"]
    assert transcripts([second], from_finalize=True, is_final=True) == [""]


async def test_endpointing_off_waits_for_finalize(key: str) -> None:
    async with (
        DeepgramSimulator(utterances=["one"]) as simulator,
        listen(simulator, key, endpointing="false", interim_results="false") as client,
    ):
        await send(client, speech(500) + silence(2000))
        await client.send('{"type":"Finalize"}')
        assert transcripts([json.loads(await one(client))], speech_final=True) == ["one"]


async def test_events_of_speech_come_when_asked_for(key: str) -> None:
    timing = Timing(late_speech_started=True, utterance_ends=2)
    audio = silence(500) + speech(1000) + silence(1500)
    for chosen, expected in (
        (Timing(), ["SpeechStarted", "Results", "UtteranceEnd"]),
        (timing, ["Results", "SpeechStarted", "Results", "UtteranceEnd", "UtteranceEnd"]),
    ):
        async with DeepgramSimulator(utterances=["one"], timing=chosen) as simulator:
            query = {"vad_events": "true", "utterance_end_ms": "1000"}
            async with listen(simulator, key, **query) as client:
                await send(client, audio)
                messages = await finish(client)
        kinds = [message["type"] for message in messages[:-1]]
        collapsed = [
            kind
            for number, kind in enumerate(kinds)
            if kind != "Results" or number == 0 or kinds[number - 1] != "Results"
        ]
        assert collapsed == expected
        ends = [message for message in messages if message["type"] == "UtteranceEnd"]
        assert ends[0]["last_word_end"] == 1.5
        started = next(message for message in messages if message["type"] == "SpeechStarted")
        assert started["timestamp"] == 0.5


async def test_a_function_hears_what_was_said(key: str) -> None:
    heard: list[Heard] = []

    def recognise(speech: Heard) -> str:
        heard.append(speech)
        return f"{speech.duration_ms:.0f} ms"

    async with (
        DeepgramSimulator(utterances=recognise) as simulator,
        listen(simulator, key, interim_results="false") as client,
    ):
        await send(client, silence(200) + TURN)
        messages = await finish(client)
    assert transcripts(messages) == ["1000 ms"]
    assert heard[-1].audio == speech(1000)


async def test_a_shared_script_goes_on_where_the_torn_connection_left_it(key: str) -> None:
    torn = Behaviour(drop_after_bytes=len(TURN) + 8000)
    async with DeepgramSimulator(
        utterances=["one", "two"], script=[torn], shared_script=True
    ) as simulator:
        async with listen(simulator, key, interim_results="false") as client:
            await send(client, TURN)
            assert transcripts([json.loads(await one(client))]) == ["one"]
            with pytest.raises(ConnectionClosed):
                await send(client, TURN)
                await one(client)
            assert client.close_code == 1006
        async with listen(simulator, key, interim_results="false") as client:
            await send(client, TURN)
            assert transcripts(await finish(client)) == ["two"]


async def test_multilingual_results_name_the_language(key: str) -> None:
    utterance = Utterance("namaste ji", language="hi")
    async with (
        DeepgramSimulator(utterances=[utterance]) as simulator,
        listen(simulator, key, language="multi", interim_results="false") as client,
    ):
        await send(client, TURN)
        alternative = (await finish(client))[0]["channel"]["alternatives"][0]
    assert alternative["languages"] == ["hi"]
    assert [word["language"] for word in alternative["words"]] == ["hi", "hi"]


# -- strictness ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"colour": "blue"}, "Unknown query parameter: colour"),
        ({"model": "nova-9"}, "No such model/language/tier combination found."),
        ({"language": "ml"}, "No such model/language/tier combination found."),
        ({"language": "hi-IN"}, "No such model/language/tier combination found."),
        ({"language": "hi-Latn"}, "No such model/language/tier combination found."),
        ({"encoding": "pcm"}, "Invalid encoding: pcm"),
        ({"sample_rate": "fast"}, "sample_rate"),
        ({"sample_rate": "800"}, "800 is not in 8000 to 48000"),
        ({"interim_results": "True"}, "neither true nor false"),
        ({"utterance_end_ms": "500"}, "500 is not in 1000"),
        ({"utterance_end_ms": "1000", "interim_results": "false"}, "requires interim_results"),
        ({"keywords": "x:2"}, "use keyterm"),
        ({"keyterm": "x", "model": "nova-2"}, "only supported for Nova-3"),
        ({"endpointing": "soon"}, "endpointing"),
        ({"channels": "2"}, "one channel"),
    ],
)
async def test_a_wrong_query_is_refused_with_the_reason(
    key: str, change: dict[str, str], reason: str
) -> None:
    async with DeepgramSimulator() as simulator:
        with pytest.raises(InvalidStatus) as refused:
            await listen(simulator, key, **change)
        response = refused.value.response
        assert response.status_code == 400
        assert reason in response.headers["dg-error"]
        assert response.body is not None
        assert json.loads(response.body)["err_code"] == "Bad Request"
        assert len(simulator.violations) == 1


@pytest.mark.parametrize("missing", ["encoding", "sample_rate"])
async def test_raw_audio_needs_encoding_and_rate(key: str, missing: str) -> None:
    query = {name: value for name, value in QUERY.items() if name != missing}
    async with DeepgramSimulator() as simulator:
        with pytest.raises(InvalidStatus) as refused:
            await listen(simulator, key, query)
        assert refused.value.response.status_code == 400


async def test_a_parameter_given_twice_is_refused(key: str) -> None:
    async with DeepgramSimulator() as simulator:
        with pytest.raises(InvalidStatus):
            await listen(simulator, key, [*QUERY.items(), ("model", "nova-3")])
        async with listen(simulator, key, [*QUERY.items(), ("keyterm", "a"), ("keyterm", "b")]):
            pass
        assert len(simulator.violations) == 1


async def test_a_wrong_key_is_refused(key: str) -> None:
    async with DeepgramSimulator(api_key=key) as simulator:
        with pytest.raises(InvalidStatus) as refused:
            await listen(simulator, "other")
        assert refused.value.response.status_code == 401
        url = f"{simulator.ws_url}/v1/listen?{urlencode(QUERY)}"
        with pytest.raises(InvalidStatus):
            await connect(url, proxy=None)
        async with connect(url, proxy=None, subprotocols=["token", key]) as client:  # type: ignore[list-item]
            assert client.subprotocol == "token"


@pytest.mark.parametrize(
    "text",
    [
        "KeepAlive",
        "[]",
        '{"type":"keepalive"}',
        '{"type":"KeepAlive","at":1}',
        '{"type":"Configure","keyterms":"x"}',
        '{"type":["KeepAlive"]}',
    ],
)
async def test_a_malformed_message_is_answered_with_a_schema_error(key: str, text: str) -> None:
    async with DeepgramSimulator() as simulator, listen(simulator, key) as client:
        await client.send(text)
        answer = json.loads(await one(client))
        assert (answer["type"], answer["variant"]) == ("Error", "SchemaError")
        assert answer["message"] == text
        assert len(simulator.violations) == 1


async def test_half_a_sample_ends_the_stream(key: str) -> None:
    async with DeepgramSimulator() as simulator, listen(simulator, key) as client:
        await client.send(b"\0" * 321)
        with pytest.raises(ConnectionClosed):
            await one(client)
        assert client.close_code == 1008
        assert "data0000" in (client.close_reason or "")
        assert "half a sample" in simulator.violations[0]


async def test_a_control_message_in_a_binary_frame_is_noticed(key: str) -> None:
    async with DeepgramSimulator() as simulator, listen(simulator, key) as client:
        await client.send(b'{"type":"KeepAlive"}')
        await finish(client)
        assert "binary frame" in simulator.violations[0]


async def test_an_empty_binary_frame_ends_the_stream(key: str) -> None:
    async with DeepgramSimulator() as simulator, listen(simulator, key) as client:
        await client.send(b"")
        assert [json.loads(message)["type"] async for message in client] == ["Metadata"]
        assert client.close_code == 1000
        assert len(simulator.violations) == 1


async def test_without_audio_or_keepalive_it_closes_with_net0001(key: str) -> None:
    async with DeepgramSimulator(idle_timeout_seconds=0.05) as simulator:
        async with listen(simulator, key) as client:
            with pytest.raises(ConnectionClosed):
                await one(client)
            assert client.close_code == 1011
            assert "net0001" in (client.close_reason or "")
        assert simulator.violations != []


async def test_configure_is_answered(key: str) -> None:
    async with DeepgramSimulator() as simulator:
        async with listen(simulator, key) as client:
            await client.send('{"type":"Configure","keyterms":["कपास"]}')
            assert json.loads(await one(client))["keyterms"] == ["कपास"]
        async with listen(simulator, key, model="nova-2") as client:
            await client.send('{"type":"Configure","keyterms":["कपास"]}')
            answer = json.loads(await one(client))
        assert answer["type"] == "ConfigureFailure"
        assert answer["code"] == "CONFIGURE_KEYTERMS_NOT_SUPPORTED"


# -- Deepgram's own client -----------------------------------------------------------------


def deepgram(simulator: DeepgramSimulator, key: str) -> AsyncDeepgramClient:
    """The real client, pointed at the simulator."""
    environment = DeepgramClientEnvironment(
        base=simulator.base_url,
        production=simulator.ws_url,
        agent=simulator.ws_url,
        agent_rest=simulator.base_url,
    )
    return AsyncDeepgramClient(api_key=key, environment=environment)


async def test_deepgrams_own_client_understands_every_message(key: str) -> None:
    async with DeepgramSimulator(utterances=["नमस्ते जी"], api_key=key) as simulator:
        async with deepgram(simulator, key).listen.v1.connect(
            **QUERY,
            vad_events="true",
            utterance_end_ms="1000",
            keyterm=["जी", "कपास"],
        ) as client:
            await client.send_keep_alive()
            for packet in packets(speech(800) + silence(1500)):
                await client.send_media(packet)
            await client.send_finalize()
            await client.send_close_stream()
            messages: list[Any] = [message async for message in client]
        results = [message for message in messages if isinstance(message, ListenV1Results)]
        finals = [result for result in results if result.speech_final]
        assert finals[0].channel.alternatives[0].transcript == "नमस्ते जी"
        assert [word.punctuated_word for word in finals[0].channel.alternatives[0].words] == [
            "नमस्ते",
            "जी",
        ]
        assert results[-1].from_finalize is True
        kinds = {type(message) for message in messages}
        assert {ListenV1SpeechStarted, ListenV1UtteranceEnd, ListenV1Metadata} < kinds
        assert simulator.violations == []


@pytest.mark.parametrize("status", [400, 401, 429, 503])
async def test_deepgrams_own_client_sees_refusals(key: str, status: int) -> None:
    async with DeepgramSimulator(behaviour=Behaviour(refuse_status=status)) as simulator:
        with pytest.raises(ApiError) as refused:
            async with deepgram(simulator, key).listen.v1.connect(**QUERY):
                pass
        assert refused.value.status_code == status
