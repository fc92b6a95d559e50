"""A server that encrypts what waits on disk: killed in mid-call, without store and backend."""

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from config.settings import load_settings
from sessions.dev_secret import jwt_secret
from sessions.tokens import OPERATOR_AUDIENCE, issue_token
from simulators.backend import BackendSimulator
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_line import VobizLine
from simulators.speech import Speech
from tests.integration.contents import contents
from tests.integration.process import ServerProcess, server_process
from tests.integration.server import BRISK_AGENT
from tests.integration.test_command_line import phone
from tests.minio import S3Server, free_port, s3_server
from tests.until import until

AGENT = {**BRISK_AGENT, "metadata": {"org_id": "org-1", "agent_type": "Kisan Helpline"}}
SAID = "what are your opening hours"
ANSWER = "We open at nine."


def a_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


async def test_a_killed_servers_journal_waits_for_its_key(tmp_path: Path, speech: Speech) -> None:
    key, folder = a_key(), tmp_path / "s"
    async with server_process(folder, {"brisk": BRISK_AGENT}, {"JOURNAL_KEY": key}) as server:
        caller = phone(server, speech)
        await caller.place()
        await caller.listen_until_quiet(300, 10_000)
        (journal,) = (folder / "data" / "journal").iterdir()
        server.process.kill()
        await server.process.wait()
        await caller.wait_ended()
    on_disk = b"".join(path.read_bytes() for path in journal.iterdir())
    assert b"Welcome" not in on_disk and b"brisk" not in on_disk

    env = {"JOURNAL_KEY": a_key()}
    async with server_process(folder, {"brisk": BRISK_AGENT}, env) as server:
        await until(lambda: "JOURNAL_KEY does not hold" in server.log)
        assert key not in server.log and server.records() == []
    assert b"".join(path.read_bytes() for path in journal.iterdir()) == on_disk

    env = {"JOURNAL_KEY": f"{a_key()},{key}"}
    async with server_process(folder, {"brisk": BRISK_AGENT}, env) as server:
        await until(server.records)
        (record,) = server.records()
    assert record["end_cause"] == "crash"
    assert record["recording"]["state"] == "stored"
    assert record["recording"]["agent_ms"] > 500
    assert not journal.exists()


def readable(data_dir: Path, number: str) -> dict[str, list[str]]:
    """What of a call can be read in the data folder, and in which files.

    Numbers stand in the index of calls, as docs/operations.md says.
    """
    secrets = [number[-10:], SAID, ANSWER, "opening hours", "RIFF", "WAVEfmt", "fLaC"]
    found: dict[str, list[str]] = {secret: [] for secret in secrets}
    for name, content in contents(data_dir, index=False).items():
        for secret in secrets:
            if secret.encode() in content:
                found[secret].append(name)
    return {secret: names for secret, names in found.items() if names}


@asynccontextmanager
async def store_that_hangs() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that takes requests and never answers; told when the first has come."""
    asked = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.read(1):
                asked.set()
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


def settings_of(store: S3Server, port: int, backend: int, key: str) -> dict[str, str]:
    """A server whose store and backend are there."""
    return {
        "JOURNAL_KEY": key,
        "STORAGE_KIND": "minio",
        "MINIO_ENDPOINT": f"127.0.0.1:{port}",
        "MINIO_ACCESS_KEY": store.access_key,
        "MINIO_SECRET_KEY": store.secret_key,
        "VOICERA_BACKEND_URL": f"http://127.0.0.1:{backend}",
        "INTERNAL_API_KEY": "service",
    }


async def recording_status(server: ServerProcess, call_id: str) -> tuple[int, str | None]:
    """What a backend is told that asks for the recording of a call."""
    secret = jwt_secret(load_settings(env=server.env))
    token = issue_token(secret, subject="test", agent="*", audience=OPERATOR_AUDIENCE)
    url = f"{server.http}/api/v1/calls/{call_id}/recording"
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.request("GET", url, headers=headers) as answer:
        return answer.status, answer.headers.get("Retry-After")


async def health(server: ServerProcess) -> dict[str, Any]:
    """What ``/health`` says."""
    async with aiohttp.request("GET", f"{server.http}/health") as answer:
        found: dict[str, Any] = await answer.json()
    return found


async def locked(server: ServerProcess) -> int:
    """How much waits for keys that the server does not have."""
    return sum((await health(server))["unknown_keys"].values())


def reports(data_dir: Path) -> list[Path]:
    """Those that wait for the backend."""
    return list((data_dir / "outbox" / "backend").glob("*.json"))


async def test_nothing_of_a_call_can_be_read_while_store_and_backend_are_away(
    tmp_path: Path, speech: Speech
) -> None:
    key, folder, backend_port = a_key(), tmp_path / "s", free_port()
    data, number = folder / "data", "919812345678"
    with s3_server() as store:
        async with store_that_hangs() as (port, asked):
            env = settings_of(store, port, backend_port, key)
            async with server_process(folder, {"brisk": AGENT}, env) as server:
                caller = VobizCaller(
                    answer_url=f"{server.http}/answer",
                    hangup_url=f"{server.http}/hangup",
                    line=VobizLine(from_number=number),
                    speech=speech,
                )
                async with caller:
                    await caller.listen_until_quiet(500, 20_000)
                    await caller.say(SAID)
                    await caller.wait_for_speech()
                    await caller.listen_until_quiet(500, 20_000)
                # It has been built and is being sent, in vain.
                async with asyncio.timeout(30):
                    await asked.wait()
                assert await asyncio.to_thread(readable, data, number) == {}
                waiting = reports(data)
                assert waiting and list((data / "journal").glob("[0-9a-f]*"))
                # It waits to be stored; for a moment it may still be the call that is ending.
                while (  # noqa: ASYNC110 - a process
                    said := await recording_status(server, caller.call_id)
                ) == (409, "5"):
                    await asyncio.sleep(0.05)
                assert said == (409, "2")
                server.process.kill()
                await server.process.wait()
        assert await asyncio.to_thread(readable, data, number) == {}

        # Another key: everything is kept and named, and nobody is told wrong things.
        env = settings_of(store, store.port, backend_port, a_key())
        async with (
            server_process(folder, {"brisk": AGENT}, env) as server,
            BackendSimulator(api_key="service", port=backend_port) as backend,
        ):
            async with asyncio.timeout(30):
                while await locked(server) <= len(waiting):  # noqa: ASYNC110 - a process
                    await asyncio.sleep(0.1)
            assert (await health(server))["status"] == "degraded"
            assert backend.calls.told == [] and "waits for its key" in server.log

        env = settings_of(store, store.port, backend_port, f"{a_key()},{key}")
        async with (
            BackendSimulator(api_key="service", port=backend_port) as backend,
            server_process(folder, {"brisk": AGENT}, env) as server,
        ):
            await backend.until(lambda: len(backend.calls.told) >= 3, timeout_seconds=30)
            assert backend.calls.steps(caller.call_id) == ["created", "ended", "recording"]
            await until(lambda: not reports(data))
            assert (await health(server))["unknown_keys"] == {}
        assert not list((data / "journal").glob("[0-9a-f]*"))
        client = store.client()
        (key_of_record,) = [
            each.object_name
            for each in client.list_objects("transcripts", "records/", recursive=True)
        ]
        record = json.loads(client.get_object("transcripts", key_of_record).read())
        sound = client.get_object("recordings", record["recording"]["file"]["key"]).read()
        assert sound.startswith(b"RIFF")
        assert hashlib.sha256(sound).hexdigest() == record["recording"]["file"]["sha256"]
        text = client.get_object("transcripts", record["transcript_text"]["key"]).read()
        assert ANSWER.encode() in text and record["from_number"].endswith(number[-10:])
        assert await asyncio.to_thread(readable, data, number) == {}
