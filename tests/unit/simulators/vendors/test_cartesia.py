"""Cartesia's text-to-speech, by a plain client and by Cartesia's own."""

import asyncio
import base64
import io
import json
import wave
from typing import Any

import aiohttp
import numpy as np
import pytest
from cartesia import APIStatusError, AsyncCartesia, BadRequestError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulators import tone
from simulators.behaviour import Behaviour
from simulators.cartesia import CartesiaSimulator
from simulators.cartesia.context import Context
from tests.unit.simulators.vendors.receiving import one

VERSION = "2026-03-01"
FORMAT: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 8000}


def speak(
    simulator: CartesiaSimulator, key: str, *, version: str = VERSION, path: str = "/tts/websocket"
) -> connect:
    """Connect as a plain client does."""
    headers = {"X-API-Key": key, "Cartesia-Version": version}
    return connect(f"{simulator.ws_url}{path}", additional_headers=headers, proxy=None)


def request(
    text: str = "नमस्ते जी", *, context: str = "turn-1", continues: bool = False, **more: Any
) -> str:
    """A request to speak, as Pipecat makes it."""
    return json.dumps(
        {
            "transcript": text,
            "continue": continues,
            "context_id": context,
            "model_id": "sonic-3",
            "voice": {"mode": "id", "id": "voice-1"},
            "output_format": FORMAT,
            "add_timestamps": True,
            "use_normalized_timestamps": False,
            "max_buffer_delay_ms": 0,
            "language": "hi",
            **more,
        }
    )


async def until(client: ClientConnection, *kinds: str) -> list[dict[str, Any]]:
    """Everything up to the first message of one of these kinds."""
    messages = []
    async with asyncio.timeout(30):
        while True:
            messages.append(json.loads(await client.recv()))
            if messages[-1]["type"] in kinds:
                return messages


def audio(messages: list[dict[str, Any]], context: str = "turn-1") -> bytes:
    """The audio of a context."""
    return b"".join(
        base64.b64decode(message["data"])
        for message in messages
        if message["type"] == "chunk" and message["context_id"] == context
    )


def pitch(pcm: bytes, rate_hz: int = 8000) -> float:
    """The tone that is heard."""
    return tone.dominant_frequency(np.frombuffer(pcm, dtype="<i2"), rate_hz)


async def test_speech_is_as_long_as_its_text_and_has_the_tone_that_was_noted(key: str) -> None:
    async with CartesiaSimulator(api_key=key, ms_per_character=70) as simulator:
        async with speak(simulator, key) as client:
            await client.send(request("नमस्ते जी"))
            messages = await until(client, "done")
        pcm = audio(messages)
        assert len(pcm) == round(9 * 0.070 * 8000) * 2
        assert pitch(pcm) == pytest.approx(simulator.spoken[0].frequency_hz, abs=5)
        assert simulator.spoken[0].sent_ms == simulator.spoken[0].duration_ms == 630
        assert simulator.violations == []


async def test_words_are_timed_between_the_chunks(key: str) -> None:
    async with CartesiaSimulator() as simulator, speak(simulator, key) as client:
        await client.send(request("one two three four"))
        messages = await until(client, "done")
    timed = [message["word_timestamps"] for message in messages if message["type"] == "timestamps"]
    assert [word for part in timed for word in part["words"]] == ["one", "two", "three", "four"]
    starts = [start for part in timed for start in part["start"]]
    assert starts == sorted(starts)
    assert messages[1]["type"] == "chunk"
    assert len(timed) > 1


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"])
@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100])
async def test_every_encoding_and_rate(key: str, encoding: str, rate_hz: int) -> None:
    output = {"container": "raw", "encoding": encoding, "sample_rate": rate_hz}
    async with CartesiaSimulator(speed=100) as simulator, speak(simulator, key) as client:
        await client.send(request("12345", output_format=output))
        pcm = audio(await until(client, "done"))
    assert len(pcm) == round(0.350 * rate_hz) * tone.BYTES_PER_SAMPLE[encoding]


async def test_a_context_takes_text_in_parts_and_flushes_each(key: str) -> None:
    async with CartesiaSimulator() as simulator:
        async with speak(simulator, key) as client:
            await client.send(request("First part. ", continues=True))
            await client.send(request("Second part.", continues=True))
            await client.send(request(""))
            messages = await until(client, "done")
        assert [said.text for said in simulator.spoken] == ["First part. ", "Second part."]
        flushed = [message["flush_id"] for message in messages if message["type"] == "flush_done"]
        assert flushed == [1, 2]
        late = [m for m in messages if m["type"] == "timestamps"][-1]["word_timestamps"]
        assert late["start"][-1] > simulator.spoken[0].duration_ms / 1000
        assert simulator.violations == []


async def test_text_waits_for_more_as_long_as_it_may(key: str) -> None:
    async with CartesiaSimulator() as simulator:
        async with speak(simulator, key) as client:
            parts: Any = {"continues": True, "max_buffer_delay_ms": 5000}
            await client.send(request("One, ", **parts))
            await client.send(request("two. ", **parts))
            await simulator.until(lambda: len(simulator.spoken) == 1)
            await client.send(request("three", **parts))
            await client.send(request("", max_buffer_delay_ms=5000))
            await until(client, "done")
            assert [said.text for said in simulator.spoken] == ["One, two. ", "three"]
            parts["max_buffer_delay_ms"] = 20
            await client.send(request("four", context="turn-2", **parts))
            await simulator.until(lambda: len(simulator.spoken) == 3)
        assert simulator.violations == []


async def test_contexts_run_side_by_side_with_tones_of_their_own(key: str) -> None:
    # Each speaks for a second: the second request comes while the first is spoken.
    async with CartesiaSimulator(speed=1) as simulator, speak(simulator, key) as client:
        await client.send(request("One two three.", context="a"))
        await client.send(request("Four five six.", context="b"))
        messages = await until(client, "done") + await until(client, "done")
        order = [message["context_id"] for message in messages if message["type"] == "chunk"]
        assert order != sorted(order)
        for number, context in enumerate("ab"):
            heard = pitch(audio(messages, context))
            assert heard == pytest.approx(tone.frequency(number), abs=5)


async def test_tones_may_change_with_each_transcript(key: str) -> None:
    async with CartesiaSimulator(tone_per="transcript") as simulator:
        async with speak(simulator, key) as client:
            await client.send(request("First.", continues=True))
            await client.send(request("Second."))
            await until(client, "done")
        first, second = simulator.spoken
        assert first.frequency_hz != second.frequency_hz


async def test_after_a_cancel_come_a_few_late_chunks_and_no_more(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel, sent_ms = Context.cancel, list[float]()

    def noted(context: Context) -> None:
        sent_ms.append(simulator.spoken[0].sent_ms)
        cancel(context)

    monkeypatch.setattr(Context, "cancel", noted)
    async with CartesiaSimulator(speed=1, late_chunks=2) as simulator:
        async with speak(simulator, key) as client:
            await client.send(request("A long sentence that goes on for a while."))
            messages = await until(client, "chunk")
            await client.send('{"context_id":"turn-1","cancel":true}')
            await simulator.until(lambda: simulator.spoken[0].is_cancelled)
            await client.send(request("Next.", context="turn-2"))
            messages += await until(client, "done")
        assert messages[-1]["context_id"] == "turn-2"
        assert simulator.spoken[0].sent_ms - sent_ms[0] == 2 * tone.CHUNK_MS
        assert len(audio(messages)) == simulator.spoken[0].sent_ms * 16
        assert simulator.violations == []


async def test_cancelling_what_is_unknown_or_over_does_nothing(key: str) -> None:
    async with CartesiaSimulator() as simulator, speak(simulator, key) as client:
        await client.send('{"context_id":"none","cancel":true}')
        await client.send(request("Hello."))
        await until(client, "done")
        await client.send('{"context_id":"turn-1","cancel":true}')
        await client.send(request("Hello.", context="turn-2"))
        await until(client, "done")
        assert simulator.violations == []


# -- strictness ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"colour": "blue"}, "invalid_request"),
        ({"transcript": None}, "invalid_request"),
        ({"context_id": None}, "invalid_request"),
        ({"model_id": "tenor-1"}, "model_not_found"),
        ({"voice": None}, "voice_not_found"),
        ({"voice": {"mode": "id", "id": None}}, "voice_not_found"),
        ({"voice": {"mode": "embedding", "embedding": []}}, "invalid_request"),
        ({"output_format": {**FORMAT, "container": "wav"}}, "invalid_request"),
        ({"output_format": {**FORMAT, "encoding": "opus"}}, "invalid_request"),
        ({"output_format": {**FORMAT, "sample_rate": 11025}}, "invalid_request"),
        ({"language": "as"}, "language_not_supported"),
        ({"language": "ta", "model_id": "sonic-2"}, "language_not_supported"),
        ({"generation_config": {"speed": 2.0}}, "invalid_request"),
        ({"generation_config": {"pitch": 1.0}}, "invalid_request"),
        ({"max_buffer_delay_ms": 6000}, "invalid_request"),
        ({"continue": "yes"}, "invalid_request"),
        ({"transcript": ""}, "invalid_request"),
    ],
)
async def test_a_wrong_request_is_answered_with_an_error(
    key: str, change: dict[str, Any], code: str
) -> None:
    async with CartesiaSimulator() as simulator, speak(simulator, key) as client:
        await client.send(json.dumps({**json.loads(request("Hi.")), **change}))
        answer = json.loads(await one(client))
        assert (answer["type"], answer["status_code"], answer["done"]) == ("error", 400, True)
        assert answer["error_code"] == code
        assert answer.get("context_id") == (None if "context_id" in change else "turn-1")
        assert len(simulator.violations) == 1


@pytest.mark.parametrize("frame", ["{", "[1]", b"\0\1", '{"cancel":true}'])
async def test_what_is_no_request_is_answered_with_an_error(key: str, frame: str | bytes) -> None:
    async with CartesiaSimulator() as simulator, speak(simulator, key) as client:
        await client.send(frame)
        assert json.loads(await one(client))["type"] == "error"
        assert len(simulator.violations) == 1


async def test_older_versions_get_the_older_shape_of_errors(key: str) -> None:
    async with (
        CartesiaSimulator() as simulator,
        speak(simulator, key, version="2024-11-13") as client,
    ):
        await client.send(request("Hi.", model_id="tenor-1"))
        answer = json.loads(await one(client))
    assert answer["error"].startswith("Invalid model: ")
    assert "error_code" not in answer


async def test_fields_must_stay_the_same_within_a_context(key: str) -> None:
    async with CartesiaSimulator() as simulator, speak(simulator, key) as client:
        await client.send(request("One.", continues=True))
        await client.send(request("Two.", language="mr", continues=True))
        error = (await until(client, "error"))[-1]
        assert error["error_code"] == "context_field_changed"
        assert "language" in error["message"]
        await client.send(request("Three."))
        await until(client, "done")
        assert [said.text for said in simulator.spoken] == ["One.", "Three."]


async def test_a_context_is_over_when_done_or_a_second_after_its_audio(key: str) -> None:
    async with (
        CartesiaSimulator(context_expiry_ms=20) as simulator,
        speak(simulator, key) as client,
    ):
        await client.send(request("Done."))
        await until(client, "done")
        await client.send(request("More."))
        assert (await until(client, "error"))[-1]["error_code"] == "context_closed"
        await client.send(request("Open.", context="turn-2", continues=True))
        await until(client, "flush_done")
        await simulator.until(lambda: "turn-2" in simulator.finished)
        await client.send(request("Late.", context="turn-2", continues=True))
        assert (await until(client, "error"))[-1]["error_code"] == "context_closed"
        await client.send(request("", context="turn-2"))
        assert (await until(client, "done", "error"))[-1]["type"] == "done"


async def test_a_cancelled_context_is_over_at_once_when_nothing_is_being_said(key: str) -> None:
    async with CartesiaSimulator(late_chunks=3) as simulator, speak(simulator, key) as client:
        await client.send(request("Open.", continues=True))
        await until(client, "flush_done")
        await client.send('{"context_id":"turn-1","cancel":true}')
        await simulator.until(lambda: simulator.finished == ["turn-1"])


async def test_key_and_version_are_needed(key: str) -> None:
    async with CartesiaSimulator(api_key=key) as simulator:
        with pytest.raises(InvalidStatus) as refused:
            await speak(simulator, "other")
        assert refused.value.response.status_code == 401
        with pytest.raises(InvalidStatus) as refused:
            await speak(simulator, key, version="latest")
        assert refused.value.response.status_code == 400
        url = f"{simulator.tts_url}?api_key={key}&cartesia_version={VERSION}"
        async with connect(url, proxy=None) as client:
            await client.send(request())
            await until(client, "done")
        assert len(simulator.violations) == 2


async def test_an_idle_socket_is_closed(key: str) -> None:
    async with (
        CartesiaSimulator(idle_timeout_seconds=0.02) as simulator,
        speak(simulator, key) as client,
    ):
        with pytest.raises(ConnectionClosed):
            await one(client)
        assert client.close_code == 1000


# -- what can go wrong ---------------------------------------------------------------------


async def test_audio_may_be_odd_empty_at_the_wrong_rate_or_break_off(key: str) -> None:
    script = [
        Behaviour(odd_frames=True),
        Behaviour(empty=True),
        Behaviour(audio_rate_hz=16000),
        Behaviour(error_after_bytes=1600),
        Behaviour(drop_after_bytes=3200),
        Behaviour(garbage_frames=2),
    ]
    async with CartesiaSimulator(script=script, speed=100) as simulator:
        expected = round(0.63 * 8000) * 2
        lengths = []
        for ending in ("done", "done", "done", "error"):
            async with speak(simulator, key) as client:
                await client.send(request("नमस्ते जी"))
                messages = await until(client, ending)
                lengths.append(len(audio(messages)))
                if len(lengths) == 1:
                    first = base64.b64decode(messages[1]["data"])
                    assert len(first) % 2 == 1
        assert lengths == [expected, 0, expected * 2, 1600]
        async with speak(simulator, key) as client:
            await client.send(request("नमस्ते जी"))
            with pytest.raises(ConnectionClosed):
                await until(client, "done")
            assert client.close_code == 1006
        async with speak(simulator, key) as client:
            await client.send(request("नमस्ते जी"))
            with pytest.raises(ValueError):
                json.loads(await one(client))


# -- Cartesia's own client -----------------------------------------------------------------


def cartesia(simulator: CartesiaSimulator, key: str) -> AsyncCartesia:
    """The real client, pointed at the simulator."""
    return AsyncCartesia(
        api_key=key,
        base_url=simulator.base_url,
        websocket_base_url=simulator.ws_url,
        max_retries=0,
    )


async def test_cartesias_own_client_streams_a_context(key: str) -> None:
    async with CartesiaSimulator(api_key=key) as simulator, cartesia(simulator, key) as client:
        options: Any = {"websocket_connection_options": {"proxy": None}}
        async with client.tts.websocket_connect(**options) as connection:
            context = connection.context(
                model_id="sonic-3",
                voice={"id": "voice-1"},
                output_format=FORMAT,
                language="hi",
                add_timestamps=True,
            )
            await context.push("नमस्ते। ")
            await context.push("क्या हाल है?")
            await context.no_more_inputs()
            events: list[Any] = [event async for event in context.receive()]
        assert {event.type for event in events} == {"chunk", "timestamps", "done"}
        pcm = b"".join(event.audio for event in events if event.type == "chunk")
        assert len(pcm) == sum(round(said.duration_ms * 8) * 2 for said in simulator.spoken)
        assert simulator.violations == []


async def test_cartesias_own_client_gets_bytes_and_events(key: str) -> None:
    async with CartesiaSimulator(api_key=key) as simulator, cartesia(simulator, key) as client:
        common: Any = {"model_id": "sonic-3", "transcript": "नमस्ते जी", "voice": "voice-1"}
        raw = await client.tts.generate(**common, output_format=FORMAT, language="hi")
        assert len(await raw.read()) == round(0.63 * 8000) * 2
        wav_format = {**FORMAT, "container": "wav"}
        wav = await client.tts.generate(**common, output_format=wav_format, language="hi")  # type: ignore[arg-type]
        with wave.open(io.BytesIO(await wav.read())) as file:
            assert (file.getframerate(), file.getnframes()) == (8000, 5040)
        stream = await client.tts.generate_sse(
            **common, output_format=FORMAT, add_timestamps=True, context_id="a"
        )
        events: list[Any] = [event async for event in stream]
        assert [event.type for event in events][-1] == "done"
        assert sum(len(event.audio) for event in events if event.type == "chunk") == 10080
        assert simulator.violations == []


async def test_cartesias_own_client_sees_errors(key: str) -> None:
    script = [Behaviour(refuse_status=429)]
    async with CartesiaSimulator(script=script) as simulator, cartesia(simulator, key) as client:
        common: Any = {"voice": "voice-1", "output_format": FORMAT}
        with pytest.raises(APIStatusError) as limited:
            await client.tts.generate(model_id="sonic-3", transcript="x", **common)
        assert limited.value.status_code == 429
        with pytest.raises(BadRequestError) as wrong:
            await client.tts.generate(model_id="tenor", transcript="x", **common)
        assert "model_not_found" in str(wrong.value)
        with pytest.raises(BadRequestError):
            await client.tts.generate(model_id="sonic-3", transcript=" ", **common)


async def test_a_body_that_is_no_json_is_refused(key: str, http: aiohttp.ClientSession) -> None:
    async with CartesiaSimulator() as simulator:
        headers = {"X-API-Key": key, "Cartesia-Version": VERSION}
        url = f"{simulator.base_url}/tts/bytes"
        async with http.post(url, data=b"{", headers=headers) as response:
            assert response.status == 400
            assert (await response.json())["title"] == "Bad request"
