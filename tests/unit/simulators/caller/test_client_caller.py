"""A client program's session with a scripted server."""

import asyncio
import base64
from typing import Any

import pytest

from simulators.caller.client import ClientCaller, ClientRefused, FormatName
from simulators.caller.client_messages import FORMATS
from simulators.caller.leg import CallTimeout
from simulators.caller.ticker import ManualTicker
from simulators.speech import tone
from tests.unit.simulators.caller.app import App, Socket
from tests.until import until

AT = 1_793_514_600_123
SPEECH = base64.b64encode(FORMATS["pcm_8k"].encode(tone(400, 20, rate_hz=8000))).decode()


def head(**members: Any) -> dict[str, Any]:
    return {"session_id": "u-1", "timestamp": AT} | members


async def accept(socket: Socket, message: dict[str, Any]) -> None:
    """A server that accepts everyone and answers pings."""
    if message["type"] == "auth":
        await socket.send(type="ready", formats=list(FORMATS), **head())
    elif message["type"] == "ping":
        await socket.send(type="pong", **head())
    elif message.get("action") == "end":
        await socket.send(type="status", state="ended", **head())
        await socket.ws.close()


def caller_of(app: App, **options: Any) -> ClientCaller:
    given: dict[str, Any] = {"format": "pcm_8k", "ticker": ManualTicker()} | options
    return ClientCaller(app.media_url, token="header.payload.signature", **given)


async def audio(socket: Socket, sequence: int, data: str = SPEECH, **members: Any) -> None:
    await socket.send(type="audio", sequence=sequence, data=data, **head(**members))


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("binary", [False, True])
async def test_a_session_in_every_format(name: FormatName, binary: bool) -> None:
    wire_format = FORMATS[name]
    pcm = tone(400, 50, rate_hz=wire_format.rate_hz)
    ticker = ManualTicker()
    async with (
        App(on_message=accept) as app,
        caller_of(app, format=name, binary=binary, agent_id="a1", ticker=ticker) as caller,
    ):
        socket = await app.socket()
        saying = asyncio.ensure_future(caller.say(pcm))
        await asyncio.sleep(0)
        ticker.advance(60)
        await saying
        if binary:
            await socket.ws.send_bytes(wire_format.encode(pcm))
        else:
            await audio(socket, 1, base64.b64encode(wire_format.encode(pcm)).decode())
        await until(lambda: caller.packets_received == 1)
        ticker.advance(100)
        await until(lambda: len(socket.binary) + len(socket.of("audio", "type")) == 8)
    auth = {"type": "auth", "token": "header.payload.signature", "format": name, "agent_id": "a1"}
    assert socket.messages[0] == (auth | {"binary": True} if binary else auth)
    sent = socket.binary or [base64.b64decode(each["data"]) for each in socket.of("audio", "type")]
    assert b"".join(sent[:3])[: len(wire_format.encode(pcm))] == wire_format.encode(pcm)
    for number, each in enumerate(socket.of("audio", "type"), start=1):
        assert (each["session_id"], each["sequence"], each["format"]) == ("u-1", number, name)
    expected = wire_format.decode(wire_format.encode(pcm)).tolist()
    start = 60 * wire_format.rate_hz // 1000
    assert caller.heard[start : start + pcm.size].tolist() == expected
    assert caller.violations == []


async def test_everything_the_server_tells_is_collected() -> None:
    ticker = ManualTicker()
    async with App(on_message=accept) as app, caller_of(app, ticker=ticker) as caller:
        socket = await app.socket()
        transcript = {"type": "transcript", "role": "user"}
        await socket.send(**transcript, text="hel", final=False, **head())
        await socket.send(**transcript, text="hello", final=True, **head())
        await socket.send(type="transcript", role="agent", text="hi", final=True, **head())
        await socket.send(type="status", state="thinking", **head())
        await socket.send(type="metrics", turn=1, response_ms=412.5, **head())
        await socket.send(type="error", code="message_invalid", message="x", fatal=False, **head())
        caller.text("hello")
        caller.press("12")
        caller.control("interrupt")
        pinging = asyncio.ensure_future(caller.ping())
        await until(lambda: caller.pongs == 1)
        ticker.advance(20)
        assert await pinging == 20.0
    assert [(each.speaker, each.text) for each in caller.transcript] == [
        ("caller", "hello"),
        ("agent", "hi"),
    ]
    assert [each.text for each in caller.interim] == ["hel"]
    assert caller.states == [(0.0, "thinking")]
    assert caller.metrics[0].response_ms == 412.5
    assert caller.errors[0].code == "message_invalid"
    assert [each for each in socket.messages if each["type"] not in ("auth", "audio")] == [
        {"type": "text", "text": "hello"},
        {"type": "dtmf", "digit": "1"},
        {"type": "dtmf", "digit": "2"},
        {"type": "control", "action": "interrupt", "session_id": "u-1"},
        {"type": "ping"},
    ]
    assert caller.violations == []


async def test_interrupted_drops_what_is_buffered() -> None:
    ticker = ManualTicker()
    async with App(on_message=accept) as app, caller_of(app, ticker=ticker) as caller:
        socket = await app.socket()
        for sequence in range(1, 11):
            await audio(socket, sequence)
        await until(lambda: caller.packets_received == 10)
        ticker.advance(50)
        await socket.send(type="interrupted", **head())
        await until(lambda: bool(caller.playback.clears_ms))
        await audio(socket, 11)
        await until(lambda: caller.packets_received == 11)
        ticker.advance(150)
    ear = caller.heard
    assert ear.size == 1600
    assert ear[399:560].any()
    assert not ear[560:].any()
    assert caller.replies()[0].end_ms == 50.0
    assert caller.violations == []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": "greeting"}, "'greeting'"),
        ({"type": "audio", "data": SPEECH}, "sequence"),
        ({"type": "audio", "sequence": 1, "data": "A=B="}, "not base64"),
        ({"type": "audio", "sequence": 1, "data": ""}, "0 bytes"),
        ({"type": "audio", "sequence": 1, "data": "AAAA"}, "3 bytes"),
        ({"type": "audio", "sequence": 1, "data": SPEECH, "format": "pcm_16k"}, "format"),
        ({"type": "status", "state": "confused"}, "confused"),
        ({"type": "transcript", "role": "user", "text": "x"}, "final"),
        ({"type": "status", "state": "speaking", "timestamp": 1_793_514_600}, "milliseconds"),
        ({"type": "status", "state": "speaking", "timestamp": None}, "timestamp"),
        ({"type": "status", "state": "speaking", "session_id": "u-2"}, "another session"),
        ({"type": "ready", "formats": ["pcm_8k"]}, "twice"),
        ([], "message without type"),
    ],
)
async def test_what_the_protocol_does_not_allow_is_a_violation(message: Any, words: str) -> None:
    async with App(on_message=accept) as app, caller_of(app) as caller:
        socket = await app.socket()
        if isinstance(message, dict):
            await socket.send(**(head() | message))
        else:
            await socket.ws.send_json(message)
        await until(lambda: bool(caller.violations))
        assert caller.live
    (violation,) = caller.violations
    assert words in violation.text


async def test_sequences_must_increase_and_binary_must_be_asked_for() -> None:
    async with App(on_message=accept) as app, caller_of(app) as caller:
        socket = await app.socket()
        for sequence in (5, 7, 7):
            await audio(socket, sequence)
        await socket.ws.send_bytes(b"\x00\x00")
        await until(lambda: len(caller.violations) == 2)
    assert [each.text for each in caller.violations] == [
        "audio: sequence 7 after 7",
        "a binary message that was not asked for",
    ]


async def test_audio_before_ready_is_a_violation() -> None:
    async def hasty(socket: Socket, message: dict[str, Any]) -> None:
        if message["type"] == "auth":
            await audio(socket, 1)
            await accept(socket, message)

    async with App(on_message=hasty) as app, caller_of(app) as caller:
        assert [each.text for each in caller.violations] == ["Audio before ready"]
    assert caller.packets_received == 0


async def test_a_refusal_is_told_with_its_code_and_the_close_that_follows() -> None:
    async def refuse(socket: Socket, message: dict[str, Any]) -> None:
        where = head(session_id=None)
        await socket.send(type="error", code="auth_invalid", message="no", fatal=True, **where)
        await socket.ws.close(code=1008)

    async with App(on_message=refuse) as app:
        caller = caller_of(app)
        with pytest.raises(ClientRefused, match="auth_invalid: no") as refused:
            await caller.place()
    assert refused.value.code == "auth_invalid"
    assert caller.close_code == 1008
    assert caller.violations == []


async def test_a_silent_server_and_a_close_before_ready_are_told() -> None:
    async with App() as app:
        with pytest.raises(CallTimeout, match="neither ready nor an error"):
            await caller_of(app, ready_timeout_seconds=0.05).place()

    async def close(socket: Socket, message: dict[str, Any]) -> None:
        await socket.ws.close(code=1013, message=b"server_full")

    async with App(on_message=close) as app:
        with pytest.raises(ClientRefused, match="1013 server_full"):
            await caller_of(app).place()


async def test_end_waits_for_the_server_to_close() -> None:
    async with App(on_message=accept) as app:
        caller = caller_of(app)
        await caller.place()
        await caller.end()
        assert not caller.live
        assert caller.close_code == 1000
        assert caller.states[-1][1] == "ended"
