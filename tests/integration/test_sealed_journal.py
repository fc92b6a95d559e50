"""A server that encrypts what it keeps of calls until they are stored, killed in mid-call."""

import asyncio
import base64
import os
from pathlib import Path

from simulators.speech import Speech
from tests.integration.process import server_process
from tests.integration.server import BRISK_AGENT
from tests.integration.test_command_line import phone


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
        await caller.wait_ended(10)
    on_disk = b"".join(path.read_bytes() for path in journal.iterdir())
    assert b"Welcome" not in on_disk and b"brisk" not in on_disk

    env = {"JOURNAL_KEY": a_key()}
    async with server_process(folder, {"brisk": BRISK_AGENT}, env) as server:
        async with asyncio.timeout(20):
            while "JOURNAL_KEY does not hold" not in server.log:  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.1)
        assert key not in server.log and server.records() == []
    assert b"".join(path.read_bytes() for path in journal.iterdir()) == on_disk

    env = {"JOURNAL_KEY": f"{a_key()},{key}"}
    async with server_process(folder, {"brisk": BRISK_AGENT}, env) as server:
        async with asyncio.timeout(20):
            while not server.records():  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.1)
        (record,) = server.records()
    assert record["end_cause"] == "crash"
    assert record["recording"]["state"] == "stored"
    assert record["recording"]["agent_ms"] > 500
    assert not journal.exists()
