"""Servers that are killed between the answer webhook and the stream: one record for every call."""

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest

from sessions import expected
from simulators.backend import BackendSimulator
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech
from tests.integration.contents import contents
from tests.integration.process import ServerProcess, server_process
from tests.integration.server import BRISK_AGENT, RunningServer
from tests.integration.test_backend_reports import STEPS
from tests.integration.test_erase import erase, holding
from tests.integration.test_sealed_journal import a_key
from tests.until import until

AGENT = {**BRISK_AGENT, "metadata": {"org_id": "org-1", "agent_type": "Kisan Helpline"}}
THEIRS, OTHER = "919812345678", "919812340000"


async def rings(http: aiohttp.ClientSession, call_id: str, number: str = OTHER) -> None:
    fields = {"CallUUID": call_id, "From": number, "To": "910000000002", "Direction": "inbound"}
    async with http.post("/answer", data=fields) as answer:
        assert "<Stream" in await answer.text()


async def hangs_up(server: ServerProcess, call_id: str) -> None:
    async with (
        aiohttp.ClientSession(server.http) as http,
        http.post("/hangup", data={"CallUUID": call_id, "HangupCauseName": "Normal"}) as answer,
    ):
        assert answer.status == 204


async def killed(server: ServerProcess) -> None:
    server.process.kill()
    await server.process.wait()


def notes(folder: Path) -> list[Path]:
    return list((folder / "data" / "answered").glob("[!.]*/[!.]*.json"))


def noted(folder: Path) -> set[str]:
    """The carrier's ids of calls that have a note."""
    found = contents(folder / "data" / "answered")
    whole = [found[name] for name in found if re.search(r"/[^./]+\.json$", name)]
    return {json.loads(note)["carrier_call_id"] for note in whole}


def reports(folder: Path) -> list[Path]:
    """What the backend has not been told yet."""
    return list((folder / "data" / "outbox" / "backend").glob("[!.]*"))


def causes(server: ServerProcess) -> dict[str, str]:
    """The carrier's ids of all calls with a record, and how each ended; each has one."""
    records = server.records()
    found = {record["carrier_call_id"]: record["end_cause"] for record in records}
    assert len(found) == len(records)
    return found


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_a_kill_between_answer_and_stream_loses_no_call(
    tmp_path: Path, speech: Speech, is_sealed: bool
) -> None:
    folder = tmp_path / "s"
    async with BackendSimulator(api_key="service") as backend:
        env = {"VOICERA_BACKEND_URL": backend.base_url, "INTERNAL_API_KEY": "service"}
        if is_sealed:
            env["JOURNAL_KEY"] = a_key()
        async with server_process(folder, {"brisk": AGENT}, env) as server:
            async with aiohttp.ClientSession(server.http) as http:
                await rings(http, "forgotten", THEIRS)
                for call_id in ("lost", "comes", "again"):
                    await rings(http, call_id)
                await rings(http, "lost")  # The carrier asks once more.
            # What has been answered is on disk, but for a disk that takes too long.
            assert len(notes(folder)) == 4 or "is not noted on disk" in server.log
            await until(lambda: len(notes(folder)) == 4)
            # What rings at this moment cannot be erased, and is said to be left.
            code, printed, _ = await erase(server.env, "--number", f"+{THEIRS}")
            (left,) = json.loads(printed)["proof"]["pending"]
            assert code == 1 and left["what"].startswith("answered/")
            await killed(server)
        on_disk = contents(folder / "data")
        assert (holding(on_disk, OTHER) == []) == is_sealed

        code, printed, beside = await erase(server.env, "--number", f"+{THEIRS}")
        (erased,) = json.loads(printed)["proof"]["reports"]
        assert code == 0 and erased["name"].startswith("answered/"), beside
        assert len(notes(folder)) == 3

        async with server_process(folder, {"brisk": AGENT}, env) as server:
            comes = VobizCaller(
                stream_url=f"{server.ws}/voice/brisk", call_id="comes", speech=speech
            )
            async with comes:
                await comes.wait_for_speech()
                await until(lambda: len(notes(folder)) == 2)
            await hangs_up(server, "lost")
            # A busy machine may give up meanwhile what else rang.
            await until(lambda: len(server.records()) >= 2 and len(notes(folder)) <= 1)
            # A kill in the instant between a report and its mark would repeat it, under its key.
            await until(lambda: not list((folder / "data" / "journal").glob("[0-9a-f]*")))
            await until(lambda: reports(folder) == [])
            await killed(server)

        async with server_process(folder, {"brisk": AGENT}, env) as server:
            await hangs_up(server, "again")
            await until(lambda: len(server.records()) == 3 and notes(folder) == [])
            server.process.terminate()
            assert await server.exit_code() == 0
        assert causes(server) == {"comes": "caller_hangup", "lost": "crash", "again": "crash"}
        by_id = {record["carrier_call_id"]: record for record in server.records()}
        assert by_id["lost"]["from_number"] == f"+{OTHER}"
        assert by_id["comes"]["recording"]["state"] == "stored"
        assert list((folder / "data" / "answered").iterdir()) == []
        await backend.until(lambda: len(backend.calls.told) >= 9, timeout_seconds=20)
        for call_id in ("comes", "lost", "again"):
            assert backend.calls.steps(call_id) == STEPS
        assert len(set(backend.calls.keys)) == len(backend.calls.keys)
        assert backend.violations == []


async def test_kills_while_calls_come_to_nothing_make_one_record_each(tmp_path: Path) -> None:
    folder, answered = tmp_path / "s", set[str]()
    for turn in range(3):
        async with server_process(folder, {"brisk": AGENT}) as server:
            async with aiohttp.ClientSession(server.http) as http:
                ids = [f"{turn}-{number}" for number in range(12)]
                await asyncio.gather(*(rings(http, call_id) for call_id in ids))
                answered.update(wanted := set(ids))
            # A disk that takes too long has an answer wait no longer for its note.
            await until(lambda: noted(folder) >= wanted)  # noqa: B023 - at once
            # Their records are in the making, one further than the other, when it is killed.
            await asyncio.gather(*(hangs_up(server, call_id) for call_id in ids[:8]))
            await asyncio.sleep(0.03 * turn)
            await killed(server)
    async with server_process(folder, {"brisk": AGENT}) as server:
        server.process.terminate()  # What still rings is given up.
        assert await server.exit_code() == 0
    assert set(causes(server)) == answered
    assert set(causes(server).values()) <= {"no_start", "crash"}
    assert notes(folder) == []


async def test_a_live_call_that_the_carrier_asks_about_again_is_no_other_call(
    server: RunningServer, tmp_path: Path, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has been live for so long that its answer is forgotten."""
    caller = server.phone(speech)
    async with caller:
        await caller.wait_for_speech()
        async with aiohttp.ClientSession(server.http) as http:
            with monkeypatch.context() as patched:
                patched.setattr(expected, "EXPIRES_SECONDS", 0.0)
                await rings(http, "another")
            await until(lambda: notes(tmp_path) == [])
            await rings(http, caller.call_id)
        assert notes(tmp_path) == []
        await caller.reconnect(close_old=False)
        await caller.wait_for_speech()
    server.parts.expected.close()
    await server.parts.manager.settled()
    ended = {record["carrier_call_id"]: record["end_cause"] for record in server.records()}
    assert ended == {caller.call_id: "caller_hangup", "another": "no_start"}
    assert len(server.records()) == 2
