"""``main.py erase`` as an operator runs it: over real calls, beside a server and without one."""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from config.settings import load_settings
from sessions.carrier_notes import CarrierNote, write_note
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_line import VobizLine
from simulators.speech import Speech
from storage.base import Storage
from storage.factory import build_storage
from tests.integration.contents import contents
from tests.integration.process import MAIN, ServerProcess, server_process
from tests.integration.server import BRISK_AGENT
from tests.integration.test_sealed_journal import a_key
from tests.minio import free_port, s3_server

AGENT: dict[str, Any] = {
    **BRISK_AGENT,
    "metadata": {"org_id": "org-1", "agent_type": "Kisan Helpline"},
}
THEIRS, OTHER = "919812345678", "919812340000"


async def erase(env: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, what was printed, what was said beside it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(MAIN), "erase", *arguments),
        env={**kept, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, beside = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), beside.decode()


def caller(server: ServerProcess, speech: Speech, number: str) -> VobizCaller:
    """Somebody with that number."""
    return VobizCaller(
        answer_url=f"{server.http}/answer",
        hangup_url=f"{server.http}/hangup",
        line=VobizLine(from_number=number),
        speech=speech,
    )


async def a_call(server: ServerProcess, speech: Speech, number: str) -> None:
    async with caller(server, speech, number) as phone:
        await phone.listen_until_quiet(500, 20_000)


def holding(files: Mapping[str, bytes], number: str) -> list[str]:
    """The files in which a number can be read."""
    return [name for name, content in files.items() if number[-10:].encode() in content]


def journals(data: Path) -> list[str]:
    """Calls that wait on disk."""
    return [path.name for path in (data / "journal").glob("[0-9a-f]*")]


async def objects(storage: Storage) -> dict[str, bytes]:
    """Everything in the store."""
    return {
        f"{kind}/{info.key}": await storage.read(kind, info.key)
        for kind in ("recordings", "transcripts")
        async for info in storage.list_objects(kind)
    }


@pytest.mark.parametrize("kind", ["filesystem", "minio"])
async def test_a_number_is_erased_wherever_it_lies(
    tmp_path: Path, speech: Speech, kind: str
) -> None:
    if kind == "filesystem":
        await check(tmp_path / "s", speech, {})
        return
    with s3_server() as store:
        await check(
            tmp_path / "s",
            speech,
            {
                "STORAGE_KIND": "minio",
                "MINIO_ENDPOINT": f"127.0.0.1:{store.port}",
                "MINIO_ACCESS_KEY": store.access_key,
                "MINIO_SECRET_KEY": store.secret_key,
                "JOURNAL_KEY": a_key(),
            },
        )


async def check(folder: Path, speech: Speech, store: Mapping[str, str]) -> None:
    data, outbox = folder / "data", folder / "data" / "outbox" / "backend"
    env = {
        **store,
        "VOICERA_BACKEND_URL": f"http://127.0.0.1:{free_port()}",
        "INTERNAL_API_KEY": "service",
    }
    async with server_process(folder, {"brisk": AGENT}, env) as server:
        await a_call(server, speech, THEIRS)
        await a_call(server, speech, OTHER)
        async with asyncio.timeout(30):
            while journals(data) or len(list(outbox.glob("*.json"))) < 6:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        storage = build_storage(load_settings(env=server.env))
        try:
            await check_beside(server, caller(server, speech, "0" + THEIRS[2:]), storage)
            await check_without(server, storage)
        finally:
            await storage.close()


async def check_beside(server: ServerProcess, live: VobizCaller, storage: Storage) -> None:
    """Beside a server with a live call of the number: that call alone is left."""
    data = server.folder / "data"
    before = await objects(storage)
    stored = [name for name in before if name.startswith("transcripts/records/")]
    (theirs,) = [n for n in stored if json.loads(before[n])["from_number"][-10:] == THEIRS[-10:]]
    session = json.loads(before[theirs])["session_id"]
    note = CarrierNote(session_id=session, record_key=theirs.partition("/")[2], began_at=1.0)
    await asyncio.to_thread(write_note, data / "carrier", note)
    first = sorted((data / "outbox" / "backend").glob(f"*{session}*.json"))[0]
    aside = first.parent / "rejected" / first.name
    aside.parent.mkdir(exist_ok=True)
    os.replace(first, aside)
    aside.with_suffix(".txt").write_text("answered 422\n")

    async with live:
        await live.listen_until_quiet(500, 20_000)
        (going,) = journals(data)
        code, printed, beside = await erase(server.env, "--number", f"+{THEIRS}")
        assert (code, journals(data)) == (1, [going]), beside
        assert "run it again" in beside
        answer = json.loads(printed)
        proof = answer["proof"]
        assert [each["what"] for each in proof["pending"]] == [f"journal/{going}"]
        assert [each["session_id"] for each in proof["calls"]] == [session]
        gone = {f"{each['kind']}/{each['key']}": each for each in proof["calls"][0]["deleted"]}
        assert len(gone) == 4
        for name, each in gone.items():
            assert hashlib.sha256(before[name]).hexdigest() == each["sha256"]
        names = {each["name"] for each in proof["reports"]}
        assert f"carrier/{session}.json" in names and len(names) == 5
        assert {f"outbox/backend/rejected/{aside.stem}{end}" for end in (".json", ".txt")} < names
        after = await objects(storage)
        stored_as = f"transcripts/{answer['stored_as']}"
        assert json.loads(after[stored_as]) == proof
        assert after.keys() == before.keys() - gone.keys() | {stored_as}
        assert holding(after, THEIRS) == [] and THEIRS[-10:] not in printed
        # The live call's own reports are left too, to be told whole or not at all.
        assert list((data / "outbox" / "backend").glob(f"*{going}*"))
        server.process.kill()
        await server.process.wait()


async def check_without(server: ServerProcess, storage: Storage) -> None:
    """The server was killed: the call waits on disk."""
    data = server.folder / "data"
    (waiting,) = journals(data)
    number = f"+{THEIRS}"
    before = await asyncio.to_thread(contents, data), await objects(storage)
    code, printed, _ = await erase(server.env, "--number", number, "--dry-run")
    assert code == 0
    assert f"journal/{waiting}" in printed.split()
    assert any(waiting in line for line in printed.split() if line.startswith("outbox/backend/"))
    assert (await asyncio.to_thread(contents, data), await objects(storage)) == before

    if "JOURNAL_KEY" in server.env:  # Without the key nobody can tell whose call it is.
        unknown = {**server.env, "JOURNAL_KEY": a_key()}
        code, printed, _ = await erase(unknown, "--number", number)
        reasons = {each["what"]: each["reason"] for each in json.loads(printed)["proof"]["pending"]}
        assert code == 1 and "JournalKeyError" in reasons[f"journal/{waiting}"]
        assert journals(data) == [waiting]

    code, printed, beside = await erase(server.env, "--number", number)
    assert (code, journals(data)) == (0, []), beside
    proof = json.loads(printed)["proof"]
    assert proof["complete"] and proof["pending"] == []
    assert [each["session_id"] for each in proof["journals"]] == [waiting]
    assert any(waiting in each["name"] for each in proof["reports"])
    left = await asyncio.to_thread(contents, data)
    assert holding(left, THEIRS) == []
    assert not any(waiting in name for name in left)
    # The other number's call is whole, and its reports wait.
    assert len(list((data / "outbox" / "backend").glob("*.json"))) == 3
    assert holding(await objects(storage), OTHER) != []

    code, printed, beside = await erase(server.env, "--number", "12")
    assert code == 1 and "is not a telephone number" in printed + beside
