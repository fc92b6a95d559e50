"""The HTTP doors and the live events, on a running server."""

import asyncio
import json
import secrets
import socket
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sessions.tokens import OPERATOR_AUDIENCE, issue_token
from simulators.caller.vobiz_answer import read_answer
from simulators.speech import Speech
from tests.integration.server import BRISK_AGENT, BUSY_SECONDS, RunningServer, running_server
from tests.integration.stillness import watched

Json = dict[str, Any]


async def get(server: RunningServer, path: str, **headers: str) -> tuple[int, str, str]:
    """Status, content type and body."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(server.http + path, headers=headers) as answer,
    ):
        return answer.status, answer.content_type, await answer.text()


async def post(server: RunningServer, path: str, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(server.http + path, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


# Health and metrics


async def test_health(server: RunningServer, speech: Speech) -> None:
    await server.until(lambda: server.parts.indexer.state == "ok")
    for path in ("/health", "/api/v1/health"):
        status, kind, text = await get(server, path)
        said: Json = json.loads(text)
        assert (status, kind, said["status"]) == (200, "application/json", "healthy")
        assert said["services"] == {
            "stt": "offline",
            "llm": "script",
            "tts": "espeak",
            "storage": "ok",
            "backend": "none",
            "index": "ok",
        }
        assert said["active_sessions"] == 0 and said["agents"] == 1
        assert said["timestamp"].endswith("Z")
    assert await get(server, "/health/live") == (
        200,
        "application/json",
        '{"status":"alive"}',
    )
    async with server.program(speech) as client:
        await client.wait_for_speech()
        assert json.loads((await get(server, "/health"))[2])["active_sessions"] == 1
        assert (await get(server, "/health/ready"))[0] == 200
        server.parts.manager.draining = True
        assert json.loads((await get(server, "/health"))[2])["status"] == "draining"
        status, _, text = await get(server, "/health/ready")
        assert (status, json.loads(text)) == (
            503,
            {"ready": False, "reason": "draining", "degraded": []},
        )
        assert (await get(server, "/health/live"))[0] == 200


async def test_metrics_tell_of_calls_and_hold_nothing_of_the_caller(
    server: RunningServer, speech: Speech
) -> None:
    async with server.phone(speech) as caller:
        await caller.wait_for_speech()
        caller.send_raw("{")
        caller.press("1")
        await caller.listen_until_quiet(300, 10_000)
    await server.parts.manager.settled()
    status, kind, text = await get(server, "/metrics")
    assert (status, kind) == (200, "text/plain")
    for name in (
        'sessions_total{dialect="vobiz"}',
        'sessions_ended_total{cause="caller_hangup"}',
        'wire_messages_bad_total{code="message_invalid"}',
        "sessions_active 0.0",
        'stage_seconds_bucket{le="0.1",stage="tts"}',
        "response_seconds_count",
    ):
        assert name in text, name
    assert caller.call_id not in text and "910000000002" not in text


# The page and its token


async def test_the_root_is_a_page_for_a_person_and_json_for_a_program(
    server: RunningServer,
) -> None:
    status, kind, text = await get(server, "/", Accept="text/html,application/xhtml+xml")
    assert (status, kind) == (200, "text/html") and "<html" in text.lower()
    status, kind, text = await get(server, "/", Accept="*/*")
    assert (status, kind) == (200, "application/json")
    assert json.loads(text)["status"] == "running"
    assert json.loads((await get(server, "/agents/"))[2]) == [
        {"agent_id": "brisk", "name": "Brisk", "language": "en-IN"}
    ]


async def test_a_development_token_is_for_the_servers_own_page(server: RunningServer) -> None:
    status, text = await post(server, "/dev/token", Origin=server.http)
    assert status == 200 and json.loads(text)["token"].count(".") == 2
    assert (await post(server, "/dev/token"))[0] == 200
    for headers in (
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Host": "elsewhere.example"},
        {"Host": f"elsewhere.example:{server.port}", "Origin": "http://elsewhere.example"},
    ):
        assert (await post(server, "/dev/token", **headers))[0] == 404, headers


@pytest.mark.parametrize(
    "env",
    [
        {"ENVIRONMENT": "production", "JWT_SECRET": secrets.token_hex(32)},
        {"PUBLIC_URL": "https://voice.example.in"},
    ],
)
async def test_calls_are_shown_to_bearers_of_a_token_only(
    tmp_path: Path, speech: Speech, env: dict[str, str]
) -> None:
    env = {"DEFAULT_AGENT": "brisk", **env}
    async with running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server:
        assert (await post(server, "/dev/token"))[0] == 404

        async def watch(**headers: str) -> int:
            url = f"{server.ws}/ws/transcription/{client.session_id}"
            try:
                async with connect(url, additional_headers=headers):
                    return 101
            except InvalidStatus as refusal:
                return refusal.response.status_code

        secret = server.parts.jwt_secret
        good = {
            "Authorization": "Bearer "
            + issue_token(secret, subject="me", audience=OPERATOR_AUDIENCE)
        }
        async with server.program(speech) as client:
            path = f"/api/v1/calls/{client.session_id}"
            bad: tuple[dict[str, str], ...] = (
                {},
                {"Authorization": f"Bearer {server.token()}"},
                {"Authorization": "Bearer nonsense"},
                {"Authorization": good["Authorization"].replace("Bearer", "Basic")},
            )
            for headers in bad:
                assert (await get(server, path, **headers))[0] == 401
                assert (await get(server, "/api/v1/calls", **headers))[0] == 401
                assert await watch(**headers) == 403
            status, _, text = await get(server, path, **good)
            assert status == 200 and json.loads(text)["state"] == "running"
            assert (await get(server, "/api/v1/calls", **good))[0] == 200
            assert await watch(**good) == 101


async def test_calls_by_our_id_and_by_the_carriers(server: RunningServer, speech: Speech) -> None:
    async with server.phone(speech) as caller:
        await caller.wait_for_speech()
        live: Json = json.loads((await get(server, f"/api/v1/calls/{caller.call_id}"))[2])
        assert (live["state"], live["agent_id"]) == ("running", "brisk")
    await server.parts.manager.settled()
    for name in (caller.call_id, live["call_id"]):
        stored: Json = json.loads((await get(server, f"/api/v1/calls/{name}"))[2])
        assert stored["state"] == "stored" and stored["call_id"] == live["call_id"]
        assert stored["recording"].startswith("file://")
    assert (await get(server, "/api/v1/calls/nobody"))[0] == 404


# Live events


async def test_a_call_can_be_watched(server: RunningServer, speech: Speech) -> None:
    caller = server.phone(speech)
    seen: list[Json] = []
    url = f"{server.ws}/ws/transcription/{caller.call_id}"
    async with connect(url) as dashboard, connect(url) as leaves_early:
        async with caller:
            await leaves_early.close()
            await caller.listen_until_quiet(300, 10_000)
            await caller.say("what are your opening hours")
            await caller.listen_until_quiet(300, 10_000)
        async with asyncio.timeout(30):
            async for message in dashboard:
                seen.append(json.loads(message))
    said = [(e["speaker"], e["text"]) for e in seen if e["type"] == "transcription" and e["final"]]
    assert said == [
        ("agent", "Welcome to the test line."),
        ("caller", "what are your opening hours"),
        ("agent", "We open at nine."),
    ]
    assert [e["status"] for e in seen if e["type"] == "call_status"] == ["connected", "ended"]
    assert {"listening", "thinking", "speaking"} <= {
        e["state"] for e in seen if e["type"] == "agent_state"
    }
    assert any(e["type"] == "metrics" and e["response_ms"] for e in seen)
    assert len({e["call_id"] for e in seen}) == 1
    assert all(e["timestamp"].endswith("Z") for e in seen)
    times = [e["at_ms"] for e in seen]
    assert times == sorted(times)
    assert server.parts.live._listeners == {}


async def test_a_listener_who_does_not_read_slows_nobody(
    server: RunningServer, speech: Speech
) -> None:
    async with server.program(speech) as client:
        request = (
            f"GET /ws/transcription/{client.session_id} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port)) as silent:
            silent.sendall(request.encode())
            await server.until(lambda: server.parts.live._listeners)
            await client.listen_until_quiet(300, 10_000)
            (session,) = server.parts.manager
            big = "x" * 50_000
            with watched() as stood_still:
                for _ in range(1000):
                    session._bot.reporter.answer_text(big, final=True)
                client.press("1")
                await client.listen_until_quiet(300, 10_000)
            assert [gap for gap in client.gaps() if gap.length_ms > stood_still.longest_ms] == []
        assert await client.ping(10_000) < 2000 + BUSY_SECONDS * 1000
    await server.until(lambda: server.parts.live._listeners == {})
    assert "live_events_dropped_total 0.0" not in (await get(server, "/metrics"))[2]


# The answer


async def stream_of(server: RunningServer, path: str, **headers: str) -> ElementTree.Element:
    status, kind, text = await get(server, path, **headers)
    assert (status, kind) == (200, "application/xml")
    order = read_answer(status, kind, text.encode())
    assert not [p for p in order.problems if "unencrypted" not in p]
    return ElementTree.fromstring(text)[0]


async def test_the_answer_names_the_address_that_the_carrier_reaches(tmp_path: Path) -> None:
    long = {**BRISK_AGENT, "call": {"max_duration_seconds": 86_400}}
    env = {"DEFAULT_AGENT": "brisk", "PUBLIC_URL": "https://voice.example.in/a&b/"}
    agents = {"brisk": BRISK_AGENT, "long": long}
    async with running_server(tmp_path / "s", agents, env) as server:
        stream = await stream_of(server, "/answer?agent_id=long&CallUUID=1&From=%3C&To=%26")
        assert stream.text == "wss://voice.example.in/a&b/voice/long"
        assert stream.get("statusCallbackUrl") == "https://voice.example.in/a&b/stream-status"
        assert stream.get("streamTimeout") == "86400"
    async with running_server(tmp_path / "t", agents, {"DEFAULT_AGENT": "brisk"}) as server:
        stream = await stream_of(server, "/answer")
        assert stream.text == f"{server.ws}/voice/brisk"
        # A host that is none is not believed.
        stream = await stream_of(server, "/answer", Host='x">&<y')
        assert stream.text == f"{server.ws}/voice/brisk"
        stream = await stream_of(server, "/answer", Host="voice.example.in:8443")
        assert stream.text == "ws://voice.example.in:8443/voice/brisk"
        for name in ("nobody", "../brisk", "</Stream><Dial>", "x" * 5000, "%00"):
            status, kind, text = await get(server, f"/answer?agent_id={name}")
            assert (status, kind) == (200, "application/xml"), name
            assert [(e.tag, e.attrib) for e in ElementTree.fromstring(text)] == [
                ("Hangup", {"reason": "rejected"})
            ]
        status, _, _ = await get(server, "/answer", Host="[::1")
        assert status in (200, 400)
