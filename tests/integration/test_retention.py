"""A server that starts deletes what has been kept for as long as agents' files say."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from config.settings import load_settings
from sessions.dev_secret import jwt_secret
from sessions.tokens import OPERATOR_AUDIENCE, issue_token
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech
from storage.base import Storage
from storage.factory import build_storage
from tests.integration.process import ServerProcess, server_process
from tests.integration.server import BRISK_AGENT
from tests.until import until

AGENTS: dict[str, dict[str, Any]] = {
    "brisk": {**BRISK_AGENT, "recording": {"retention_days": 30, "transcript_retention_days": 90}},
    "brief": {**BRISK_AGENT, "recording": {"record_retention_days": 7}},
}


async def a_call(server: ServerProcess, speech: Speech, agent: str) -> str:
    """The carrier's id of a call that is over."""
    caller = VobizCaller(
        answer_url=f"{server.http}/answer?agent_id={agent}",
        hangup_url=f"{server.http}/hangup",
        speech=speech,
    )
    async with caller:
        await caller.listen_until_quiet(500, 20_000)
    return caller.call_id


async def grow_old(storage: Storage, days: int) -> list[str]:
    """Have every note be due so many days earlier; the parts that are due by now."""
    due = []
    listed = [info async for info in storage.list_objects("transcripts", "retention/")]
    for info in listed:
        folder, _, name = info.key.rpartition("/")
        day = date(*map(int, folder.removeprefix("retention/").split("/"))) - timedelta(days=days)
        content = await storage.read("transcripts", info.key)
        await storage.put_bytes(
            "transcripts", f"retention/{day:%Y/%m/%d}/{name}", content, "application/json"
        )
        await storage.delete("transcripts", info.key)
        if day <= datetime.now(UTC).date():
            due.append(name.partition(".")[2])
    return sorted(due)


async def ask(server: ServerProcess, path: str) -> tuple[int, Any]:
    """Status and JSON of ``/api/v1/calls`` and what is below it."""
    secret = jwt_secret(load_settings(env=server.env))
    token = issue_token(secret, subject="test", agent="*", audience=OPERATOR_AUDIENCE)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.request("GET", f"{server.http}/api/v1/calls{path}", headers=headers) as it:
        return it.status, await it.json() if it.content_type == "application/json" else None


async def answered(server: ServerProcess, path: str, status: int) -> None:
    """Wait for a status: the index follows the store."""
    async with asyncio.timeout(30):
        while (await ask(server, path))[0] != status:  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.1)


async def test_what_is_due_is_deleted_at_the_next_start(tmp_path: Path, speech: Speech) -> None:
    async with server_process(tmp_path, AGENTS) as server:
        kept, gone = await a_call(server, speech, "brisk"), await a_call(server, speech, "brief")
        await until(lambda: len(server.records()) == 2)
        (before,) = [each for each in server.records() if each["carrier_call_id"] == kept]
        await answered(server, f"/{kept}/recording", 200)
    store = tmp_path / "data" / "storage"
    sound = store / "recordings" / before["recording"]["file"]["key"]
    assert sound.exists()
    storage = build_storage(load_settings(env=server.env))
    try:
        assert await grow_old(storage, days=30) == ["record", "recording"]
    finally:
        await storage.close()

    async with server_process(tmp_path, AGENTS) as server:
        await until(lambda: len(server.records()) == 1 and not sound.exists())
        await answered(server, f"/{kept}/recording", 410)
        (record,) = server.records()
        assert record["recording"]["state"] == "deleted"
        assert record["recording"]["file"] is None
        assert record == {**before, "recording": record["recording"]}
        status, call = await ask(server, f"/{kept}")
        assert (status, call["recording"]) == (200, None)
        assert (await ask(server, f"/{kept}/transcript"))[0] == 200
        await answered(server, f"/{gone}", 404)
        _, listed = await ask(server, "")
        assert [each["carrier_call_id"] for each in listed["calls"]] == [kept]
        await until(lambda: "2 parts of calls were deleted" in server.log)
    # What is not due yet is still noted, and nothing of the other call is left.
    assert [path.suffix for path in (store / "transcripts" / "retention").rglob("*.*")] == [
        ".transcript"
    ]
    assert [path for path in (store / "recordings").rglob("*") if path.is_file()] == []
