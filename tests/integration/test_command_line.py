"""``main.py`` in processes of its own: a demonstration call, and the end of a server."""

import asyncio
import os
import re
import secrets
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from api.serve import FORCED_SECONDS
from simulators.caller.client import ClientCaller
from simulators.caller.vobiz import VobizCaller
from simulators.caller.wire import WireRefused
from simulators.speech import Speech
from tests.integration.process import ServerProcess, environment, server_process, start
from tests.integration.server import BRISK_AGENT
from tests.minio import free_port
from tests.until import until

#: What the log says once a server has taken the first signal.
NO_NEW_CALLS = "no new calls"
CHATTY: dict[str, Any] = {**BRISK_AGENT, "call": {"farewell": "We have to close now."}}


def program(server: ServerProcess, speech: Speech) -> ClientCaller:
    return ClientCaller(f"{server.ws}/voice", token=server.token(), speech=speech)


def phone(server: ServerProcess, speech: Speech) -> VobizCaller:
    return VobizCaller(
        answer_url=f"{server.http}/answer", hangup_url=f"{server.http}/hangup", speech=speech
    )


async def status(http: aiohttp.ClientSession, path: str) -> int:
    async with http.get(path) as answer:
        return answer.status


async def call(folder: Path, env: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Exit code and everything said."""
    log = folder / "call.log"
    process = await start("call", *arguments, env=env, log=log)
    async with asyncio.timeout(90):
        code = await process.wait()
    return code, log.read_text()


async def test_call_with_a_server_of_its_own(tmp_path: Path) -> None:
    env = environment(tmp_path, {"brisk": BRISK_AGENT})
    env["PORT"] = "0"
    before = {p.pid for p in psutil.process_iter()}
    code, said = await call(
        tmp_path,
        env,
        "--agent",
        "brisk",
        "--say",
        "what are your opening hours",
        "--say",
        "goodbye",
    )
    assert code == 0, said
    assert "no server was running: started one" in said
    assert "caller  what are your opening hours" in said
    assert "agent   We open at nine." in said
    assert "answered in" in said
    for part in ("recording", "transcript", "record"):
        assert f"{part:<10}  file://" in said
    left = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before]
    assert not [p for p in left if str(tmp_path) in " ".join(p.info["cmdline"] or [])]


async def test_call_against_a_server_that_runs(tmp_path: Path) -> None:
    async with server_process(tmp_path / "s", {"brisk": BRISK_AGENT}) as server:
        env = dict(server.env)
        log = tmp_path / "call.log"
        url = ("--url", server.http)
        code, said = await call(tmp_path, env, *url, "--agent", "nobody")
        assert code == 1 and said.splitlines()[-1].startswith("the call was not taken: ")
        code, said = await call(tmp_path, env, *url, "--agent", "brisk", "--language", "xx")
        assert code == 1 and said.startswith("this cannot be said:")
        assert "Traceback" not in said

        process = await start(
            "call", *url, "--agent", "brisk", "--say", "tell me a long story", env=env, log=log
        )
        await until(lambda: "first audio" in log.read_text(), 60)
        server.process.kill()
        async with asyncio.timeout(60):
            code = await process.wait()
        said = log.read_text()
        assert code == 1 and "Traceback" not in said
        assert "the server is not there any more:" in said


def _catches(pid: int, sent: signal.Signals) -> bool:
    """Whether a process has said what it does on a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)[0], 16)
    return bool(caught >> (sent - 1) & 1)


@pytest.mark.parametrize("later", [0.0, 0.3, 0.8, 1.5])
async def test_a_signal_before_it_serves_is_no_crash(tmp_path: Path, later: float) -> None:
    env = environment(tmp_path, {"brisk": BRISK_AGENT})
    log = tmp_path / "log"
    process = await start("serve", "--port", str(free_port()), env=env, log=log)
    try:
        await until(lambda: _catches(process.pid, signal.SIGTERM), 60)
        await asyncio.sleep(later)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (code, "Traceback" in log.read_text()) == (0, False), log.read_text()
    assert "SIGTERM" in log.read_text()


async def test_sigterm_lets_calls_end(tmp_path: Path, speech: Speech) -> None:
    env = {"DRAIN_TIMEOUT": "60"}
    async with server_process(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server:
        caller = phone(server, speech)
        async with caller:
            await caller.listen_until_quiet(300, 10_000)
            server.process.send_signal(signal.SIGTERM)
            await until(lambda: NO_NEW_CALLS in server.log)
            with pytest.raises(WireRefused) as refusal:
                await program(server, speech).place()
            assert refusal.value.status == 503
            await caller.say("what are your opening hours")
            await caller.listen_until_quiet(300, 10_000)
            await caller.say("goodbye")
            await caller.wait_ended()
        assert caller.violations == []
        assert await server.exit_code() == 0
        (record,) = server.records()
        assert record["end_cause"] == "agent_hangup"


async def test_calls_that_go_on_get_a_farewell(tmp_path: Path, speech: Speech) -> None:
    env = {"DRAIN_TIMEOUT": "0.5"}
    async with server_process(tmp_path / "s", {"chatty": CHATTY}, env) as server:
        caller, client = phone(server, speech), program(server, speech)
        await asyncio.gather(caller.place(), client.place())
        await asyncio.gather(
            caller.listen_until_quiet(300, 10_000), client.listen_until_quiet(300, 10_000)
        )
        server.process.send_signal(signal.SIGTERM)
        await asyncio.gather(caller.wait_ended(), client.wait_ended())
        assert await server.exit_code() == 0
        assert caller.log.lost_to_stop_ms == 0
        assert client.transcript[-1].text == "We have to close now."
        assert (client.close_code, client.close_reason) == (1001, "drained")
        assert {record["end_cause"] for record in server.records()} == {"drained"}
        assert len(server.records()) == 2


async def test_a_second_signal_does_not_wait(tmp_path: Path, speech: Speech) -> None:
    async with server_process(tmp_path / "s", {"brisk": BRISK_AGENT}) as server:
        client = program(server, speech)
        await client.place()
        await client.listen_until_quiet(300, 10_000)
        server.process.send_signal(signal.SIGTERM)
        # Of two signals that come at once a process is told once.
        await until(lambda: NO_NEW_CALLS in server.log)
        await client.wait(500)
        assert client.live
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):  # Half of what calls are given to end.
            await server.process.wait()
        await client.wait_ended()
        await client.hang_up(abort=True)
        assert "Traceback" not in server.log
        assert "Traceback" not in server.log
    # What was left is finished by the next start.
    async with server_process(tmp_path / "s", {"brisk": BRISK_AGENT}) as server:
        await until(server.records)
        (record,) = server.records()
        assert record["end_cause"] in ("crash", "drained")
        assert record["recording"]["agent_ms"] > 500
    assert os.listdir(tmp_path / "s" / "data" / "journal") == []


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_closes_every_door_and_loses_nothing(
    tmp_path: Path, speech: Speech, sent: signal.Signals
) -> None:
    env = {"DRAIN_TIMEOUT": "30"}
    async with (
        server_process(tmp_path / "s", {"chatty": CHATTY}, env) as server,
        aiohttp.ClientSession(server.http) as http,
    ):
        live, client, told = phone(server, speech), program(server, speech), "told-to-come"
        await asyncio.gather(live.place(), client.place())
        await asyncio.gather(live.wait_for_speech(), client.wait_for_speech())
        async with http.post("/answer", data={"CallUUID": told, "Event": "StartApp"}) as answer:
            assert "<Stream" in await answer.text()
        server.process.send_signal(sent)
        await until(lambda: NO_NEW_CALLS in server.log)
        async with asyncio.timeout(30):
            while await status(http, "/health/ready") != 503:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        async with http.get("/health/ready") as answer:
            assert (await answer.json())["reason"] == "draining"
        async with http.post("/answer", data={"CallUUID": "new", "Event": "StartApp"}) as answer:
            text = await answer.text()
            assert "<Stream" not in text and ("<Play" in text or "<Speak" in text)
        # Whoever was told to come before is still served.
        late = VobizCaller(stream_url=f"{server.ws}/voice/chatty", speech=speech, call_id=told)
        await late.place()
        await late.wait_for_speech()
        with pytest.raises(WireRefused) as refusal:
            await program(server, speech).place()
        assert refusal.value.status == 503
        assert live.live and client.live
        await asyncio.gather(live.hang_up(), client.hang_up(), late.hang_up())
        assert await server.exit_code() == 0
    assert live.violations == client.violations == late.violations == []
    records = server.records()
    assert len(records) == 3
    assert {r["end_cause"] for r in records} <= {"caller_hangup", "client_end"}
    assert {r["recording"]["state"] for r in records} == {"stored"}
    assert os.listdir(tmp_path / "s" / "data" / "journal") == []


async def test_a_call_that_was_answered_and_has_no_stream_yet_has_its_record(
    tmp_path: Path,
) -> None:
    env = {"DRAIN_TIMEOUT": "0.5"}
    async with (
        server_process(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server,
        aiohttp.ClientSession(server.http) as http,
    ):
        async with http.post("/answer", data={"CallUUID": "rings"}) as answer:
            assert "<Stream" in await answer.text()
        server.process.send_signal(signal.SIGTERM)
        assert await server.exit_code() == 0
    (record,) = server.records()
    assert (record["carrier_call_id"], record["end_cause"]) == ("rings", "no_start")


async def test_nobody_who_does_not_read_or_write_keeps_the_server(
    tmp_path: Path, speech: Speech
) -> None:
    long = {**BRISK_AGENT, "greeting": "Welcome to the test line. " * 20}
    env = {"DRAIN_TIMEOUT": "0.5"}
    async with server_process(tmp_path / "s", {"brisk": long}, env) as server:
        async with phone(server, speech) as caller:
            await caller.listen_until_quiet(500, 60_000)
        # While it is being stored it is at one moment in neither place.
        await until(lambda: server.records() and not os.listdir(server.folder / "data" / "journal"))
        (record,) = server.records()
        assert record["recording"]["file"]["size_bytes"] > 500_000
        with socket.socket() as download, socket.socket() as webhook:
            download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            path = f"/api/v1/calls/{record['session_id']}/recording"
            for unended, request in (
                (download, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"),
                (webhook, "POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nTo"),
            ):
                unended.connect(("127.0.0.1", server.port))
                unended.sendall(request.encode())
            assert await asyncio.to_thread(download.recv, 12) == b"HTTP/1.1 200"
            server.process.send_signal(signal.SIGTERM)
            assert await server.exit_code() == 0


async def test_a_second_signal_does_not_wait_for_a_store_that_hangs(
    tmp_path: Path, speech: Speech
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as store:  # It takes connections and says nothing.
        env = {
            "STORAGE_KIND": "minio",
            "MINIO_ENDPOINT": f"127.0.0.1:{store.getsockname()[1]}",
            "MINIO_ACCESS_KEY": secrets.token_hex(8),
            "MINIO_SECRET_KEY": secrets.token_hex(16),
        }
        async with server_process(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server:
            for _ in range(2):
                async with phone(server, speech) as caller:
                    await caller.wait_for_speech()
            server.process.send_signal(signal.SIGTERM)
            await until(lambda: NO_NEW_CALLS in server.log)
            server.process.send_signal(signal.SIGTERM)
            # The store's own deadlines are 15 s and more.
            async with asyncio.timeout(FORCED_SECONDS + 9):
                await server.process.wait()
    # Both calls are still there, for the next start.
    async with server_process(tmp_path / "s", {"brisk": BRISK_AGENT}) as server:
        await until(lambda: len(server.records()) == 2)
        assert {r["end_cause"] for r in server.records()} == {"caller_hangup"}
