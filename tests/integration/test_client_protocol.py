"""Sessions of client programs on ``/voice``: what docs/client-protocol.md promises."""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import secrets
import time
import wave
from collections.abc import Callable
from typing import Any

import jwt
import numpy as np
import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sessions.tokens import ALGORITHM, AUDIENCE, ISSUER, issue_token
from simulators.caller.client import ClientCaller, FormatName
from simulators.speech import Speech
from tests.integration.server import BUSY_SECONDS, RunningServer

FORMATS: tuple[FormatName, ...] = ("pcm_8k", "pcm_16k", "pcm_24k", "mulaw_8k")


async def talk(server: RunningServer, speech: Speech, form: FormatName, binary: bool) -> None:
    client = server.program(speech, format=form, binary=binary)
    async with client:
        await client.listen_until_quiet(500, 10_000)
        await client.say("what are your opening hours")
        await client.listen_until_quiet(500, 10_000)
        assert await client.ping(10_000) < 2000 + BUSY_SECONDS * 1000
        await client.end()
    said = [(line.speaker, line.text) for line in client.transcript]
    assert ("caller", "what are your opening hours") in said, (form, binary)
    assert ("agent", "We open at nine.") in said, (form, binary)
    assert client.violations == [], (form, binary)
    assert client.close_code == 1000
    states = [state for _, state in client.states]
    assert states[-1] == "ended" and {"listening", "thinking", "speaking"} <= set(states)
    assert client.metrics[-1].response_ms is not None


async def test_every_format_in_text_and_binary_frames(
    server: RunningServer, speech: Speech
) -> None:
    # Caller, server and recogniser share the machine: few at a time.
    for form in FORMATS:
        await asyncio.gather(*(talk(server, speech, form, binary) for binary in (False, True)))
    await server.parts.manager.settled()
    records = server.records()
    assert len(records) == 8
    assert {record["end_cause"] for record in records} == {"client_end"}
    assert all(record["direction"] == "client" for record in records)
    assert sorted(record["recording"]["rate_hz"] for record in records) == sorted(
        [8000, 8000, 8000, 8000, 16000, 16000, 24000, 24000]
    )
    assert {record["labels"]["subject"] for record in records} == {"test"}


def state(client: ClientCaller) -> str:
    """What the server said last that the agent does."""
    return client.states[-1][1] if client.states else ""


async def typed(server: RunningServer, speech: Speech) -> None:
    client = server.program(speech)
    async with client:
        await client.listen_until_quiet(300, 10_000)
        client.text("what are your opening hours")
        await client.wait_for_speech()
        client.press("1")
        await client.listen_until_quiet(500, 10_000)
        said = [line.text for line in client.transcript if line.speaker == "agent"]
        assert said[-1] == "You pressed one."
        assert any(line.speaker == "caller" for line in client.transcript)
    assert client.violations == []


async def paused(server: RunningServer, speech: Speech) -> None:
    client = server.program(speech)
    async with client:
        await client.listen_until_quiet(300, 10_000)
        client.control("pause")
        await client.until(lambda: state(client) == "paused", 10_000, "paused")
        before = client.packets_received
        await client.say("what are your opening hours")
        await client.wait(700)
        assert client.packets_received == before
        client.control("resume")
        await client.until(lambda: state(client) != "paused", 10_000, "resumed")
        await client.say("opening hours")
        await client.listen_until_quiet(500, 10_000)
        said = [line.text for line in client.transcript if line.speaker == "caller"]
        assert said == ["opening hours"]
    assert client.violations == []


async def interrupted(server: RunningServer, speech: Speech) -> None:
    client = server.program(speech)
    async with client:
        await client.listen_until_quiet(300, 10_000)
        client.text("tell me a long story")
        await client.wait_for_speech()
        clears = len(client.playback.clears_ms)
        client.control("interrupt")
        await client.until(lambda: len(client.playback.clears_ms) > clears, 10_000, "interrupted")
        received = client.packets_received
        await client.wait(500)
        assert client.packets_received == received
    assert client.violations == []
    heard = [line.text for line in client.transcript if line.speaker == "agent"]
    assert not any("every crop had its own season" in text for text in heard)


async def test_typing_pausing_and_interrupting(server: RunningServer, speech: Speech) -> None:
    await asyncio.gather(typed(server, speech), paused(server, speech), interrupted(server, speech))


async def test_what_is_said_in_a_pause_is_not_recorded(
    server: RunningServer, speech: Speech
) -> None:
    async with server.program(speech, format="pcm_8k") as client:
        client.control("pause")
        await client.until(lambda: state(client) == "paused", 10_000, "paused")
        await client.say("this is nobody's business")
        client.control("resume")
        await client.wait(300)
    record = await server.one_record()
    with wave.open(io.BytesIO(server.stored(record["recording"]["file"]))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert int(np.abs(client.said).max()) > 3000
    assert int(np.abs(samples[:, 0]).max()) == 0
    assert len(samples) > 8 * 1500


async def refused(server: RunningServer, **auth: Any) -> tuple[str, int]:
    """Error code and close code that an ``auth`` meets."""
    async with connect(f"{server.ws}/voice") as socket:
        await socket.send(json.dumps({"type": "auth", **auth}))
        error = json.loads(await socket.recv())
        assert error["type"] == "error" and error["fatal"] is True
        assert error["session_id"] is None and error["message"]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        return error["code"], closed.value.rcvd.code


async def test_who_may_not_come_in_is_told_why(server: RunningServer) -> None:
    good = server.token()
    cases: list[tuple[dict[str, Any], tuple[str, int]]] = [
        ({}, ("auth_invalid", 1008)),
        ({"token": ""}, ("auth_invalid", 1008)),
        ({"token": "abc"}, ("auth_invalid", 1008)),
        ({"token": good, "format": "opus"}, ("format_unsupported", 1008)),
        ({"token": good, "agent_id": "nobody"}, ("agent_unknown", 1008)),
        ({"token": good, "agent_id": "../brisk"}, ("agent_unknown", 1008)),
        ({"token": server.token("other")}, ("auth_invalid", 1008)),
        ({"token": server.token("other"), "agent_id": "nobody"}, ("auth_invalid", 1008)),
    ]
    for auth, expected in cases:
        assert await refused(server, **auth) == expected, auth
    assert server.parts.manager.active == 0
    assert server.records() == []


async def test_a_token_for_one_agent_opens_that_one(server: RunningServer, speech: Speech) -> None:
    async with server.program(speech, token=server.token("brisk"), agent_id="brisk") as client:
        await client.wait_for_speech()
    assert client.violations == []


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"sub": "t", "aud": AUDIENCE, "iss": ISSUER, "iat": now, "exp": now + 60}
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def unsigned(secret: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=").decode()
    return f"{head}.{body}."


def signed_by_hand(header: dict[str, Any]) -> Callable[[str], str]:
    """A token whose header says what it likes, with a correct HMAC."""

    def make(secret: str) -> str:
        parts = [json.dumps(part).encode() for part in (header, claims())]
        text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        digest = hmac.digest(secret.encode(), text.encode(), hashlib.sha256)
        return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    return make


def signed(**changes: Any) -> Callable[[str], str]:
    return lambda secret: jwt.encode(claims(**changes), secret, algorithm=ALGORITHM)


def timed(**offsets: int) -> Callable[[str], str]:
    """Claims so many seconds from the moment at which the token is made."""

    def make(secret: str) -> str:
        now = int(time.time())
        times = {name: now + offset for name, offset in offsets.items()}
        return jwt.encode(claims(**times), secret, algorithm=ALGORITHM)

    return make


FORGERIES: dict[str, Callable[[str], str]] = {
    "no signature": unsigned,
    "RS256 in the header, HMAC below": signed_by_hand({"alg": "RS256", "typ": "JWT"}),
    "HS512": lambda secret: jwt.encode(claims(), secret * 2, algorithm="HS512"),
    "critical extension": signed_by_hand({"alg": "HS256", "crit": ["exp"], "typ": "JWT"}),
    "another key": lambda _: jwt.encode(claims(), secrets.token_hex(32), algorithm=ALGORITHM),
    "no exp": signed(exp=None),
    "no iat": signed(iat=None),
    "no sub": signed(sub=None),
    "no aud": signed(aud=None),
    "no iss": signed(iss=None),
    "aud of another door": signed(aud="calls"),
    "another issuer": signed(iss="somebody"),
    "not yet": timed(nbf=3600),
    "issued in the future": timed(iat=3600, exp=3700),
    "good for a day": timed(exp=86_400),
    "good for sixteen minutes": timed(exp=960),
    "exp is no number": signed(exp="never"),
    "agent is no name": signed(agent={"$ne": ""}),
    "sub is no name": signed(sub={"a": 1}),
}


async def test_forged_tokens(server: RunningServer) -> None:
    secret = server.parts.jwt_secret.get_secret_value()
    for name, forge in FORGERIES.items():
        assert await refused(server, token=forge(secret)) == ("auth_invalid", 1008), name
    expired = issue_token(SecretStr(secret), subject="t", age_seconds=-60)
    assert await refused(server, token=expired) == ("auth_expired", 1008)


async def test_auth_comes_first_and_in_time(server: RunningServer) -> None:
    for first in ({"type": "ping"}, {"type": "audio", "data": "AAAA"}):
        async with connect(f"{server.ws}/voice") as socket:
            await socket.send(json.dumps(first))
            assert json.loads(await socket.recv())["code"] == "auth_invalid"
    usual_seconds = server.parts.reception.start_seconds
    server.parts.reception.start_seconds = 0.05
    async with connect(f"{server.ws}/voice") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "auth_timeout")
    server.parts.reception.start_seconds = usual_seconds
    for nonsense in ("hello", "{}", "[]", '{"type":"hello"}', b"\x00\x01"):
        async with connect(f"{server.ws}/voice") as socket:
            await socket.send(nonsense)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


async def test_twenty_bad_messages_in_a_row_end_a_session(
    server: RunningServer, speech: Speech
) -> None:
    client = server.program(speech)
    client.mute()  # audio in between would be a good message
    async with client:
        await client.wait_for_speech()
        for _ in range(3):
            for _ in range(19):
                client.send_raw("{")
            await client.ping()
        assert len(client.errors) == 57
        assert {error.code for error in client.errors} == {"message_invalid"}
        for _ in range(20):
            client.send_raw("{")
        await client.wait_ended()
    assert (client.errors[-1].code, client.errors[-1].fatal) == ("too_many_errors", True)
    assert client.close_code == 1008
    assert client.violations == []
    assert (await server.one_record())["end_cause"] == "wire_error"


async def test_what_is_wrong_with_a_message_is_said_and_survived(
    server: RunningServer, speech: Speech
) -> None:
    bad = [
        {"type": "control", "action": "end", "session_id": "another"},
        {"type": "control", "action": "explode"},
        {"type": "text", "text": ""},
        {"type": "text", "text": "x" * 4001},
        {"type": "dtmf", "digit": "12"},
        {"type": "auth", "token": "again"},
        {"type": "audio", "data": "not base64!"},
        {"type": "audio", "data": "AAAA", "format": "mulaw_8k"},
        {"no": "type"},
    ]
    client = server.program(speech)
    client.mute()
    async with client:
        await client.wait_for_speech()
        for message in bad:
            client.send_raw(json.dumps(message))
        client.send_raw("{" * 9 + "}" * 9)
        client.send_raw(json.dumps({"type": "text", "text": "x" * 65_536}))
        client.send_raw(json.dumps({"type": "something new"}))
        await client.ping()
        codes = [error.code for error in client.errors]
        assert codes == ["message_invalid"] * (len(bad) + 1) + ["message_too_large"]
        client.text("what are your opening hours")
        await client.listen_until_quiet(300, 10_000)
        assert client.transcript[-1].text == "We open at nine."
    assert client.violations == []


async def test_pages_of_other_hosts_stay_outside(server: RunningServer) -> None:
    async def status(origin: str | None, path: str = "/voice") -> int:
        headers = {} if origin is None else {"Origin": origin}
        try:
            async with connect(f"{server.ws}{path}", additional_headers=headers):
                return 101
        except InvalidStatus as refusal:
            return refusal.response.status_code

    own = server.http
    assert await status(None) == 101
    assert await status(own) == 101
    assert await status(own, "/ws/transcription/x") == 101
    for other in ("https://elsewhere.example", own + "/", own.replace("http", "https"), "null"):
        assert await status(other) == 403, other
        assert await status(other, "/ws/transcription/x") == 403, other
        assert await status(other, "/voice/brisk") == 403, other


async def test_a_full_server_says_so(
    server: RunningServer, speech: Speech, caplog: pytest.LogCaptureFixture
) -> None:
    server.parts.manager.draining = True
    for path in ("/voice", "/voice/brisk", "/agent/nobody"):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(server.ws + path).__aenter__()
        answer = refusal.value.response
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert json.loads(answer.body)["code"] == "draining"
    assert not [line for line in caplog.messages if "ASGI" in line]
    server.parts.manager.draining = False
    async with server.program(speech) as client:
        await client.wait_for_speech()
