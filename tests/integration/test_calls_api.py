"""``/api/v1/calls`` over the real server, about real calls."""

import asyncio
import hashlib
import json
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from fastapi import HTTPException
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api.found_calls import told_as_http
from config.errors import StorageError
from sessions.tokens import OPERATOR_AUDIENCE, issue_token
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_line import VobizLine
from simulators.speech import Speech
from storage.index.calls import CallIndex
from storage.index.entry import CallFilter, IndexedCall
from tests.integration.process import environment, server_process, start
from tests.integration.server import BRISK_AGENT, RunningServer, running_server
from tests.minio import s3_server
from tests.postgres import postgres_server

Json = dict[str, Any]
CALLS = "/api/v1/calls"


class Answer:
    """A whole answer."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


class Consumer:
    """A program that pulls calls."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(
        self, path: str = "", method: str = "GET", body: Json | None = None, **headers: str
    ) -> Answer:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(
            method, CALLS + path, headers=headers, json=body, allow_redirects=False
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def one(self, path: str, **wanted: Any) -> Json:
        """Ask until the fields are as wanted: the index is written beside the call."""
        async with asyncio.timeout(60):
            while True:
                answer = await self(path)
                if answer.status == 200 and wanted.items() <= answer.json().items():
                    found: Json = answer.json()
                    return found
                await asyncio.sleep(0.02)

    async def pages(self, query: str) -> AsyncIterator[Json]:
        """Every page of a list."""
        cursor = ""
        while True:
            page = (await self(f"?{query}{cursor}")).json()
            yield page
            if page["next_cursor"] is None:
                return
            cursor = f"&cursor={page['next_cursor']}"


@asynccontextmanager
async def consumer(base: str, token: str | None = None) -> AsyncIterator[Consumer]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(base, headers=headers) as session:
        yield Consumer(session)


def calls_token(server: RunningServer, agent: str = "*") -> str:
    return issue_token(
        server.parts.jwt_secret, subject="test", agent=agent, audience=OPERATOR_AUDIENCE
    )


async def may_watch(server: RunningServer, call_id: str, agent: str) -> bool:
    headers = {"Authorization": f"Bearer {calls_token(server, agent)}"}
    try:
        async with connect(f"{server.ws}/ws/transcription/{call_id}", additional_headers=headers):
            return True
    except InvalidStatus as refusal:
        assert refusal.response.status_code == 403
        return False


@pytest.fixture
async def calls(server: RunningServer) -> AsyncIterator[Consumer]:
    async with consumer(server.http) as it:
        yield it


async def a_phone_call(server: RunningServer, speech: Speech, **options: Any) -> str:
    """The carrier's id of a call that is over."""
    async with server.phone(speech, **options) as caller:
        await caller.wait_for_speech()
        await caller.listen_until_quiet()
    return caller.call_id


async def test_a_call_from_ringing_to_the_store(
    server: RunningServer, calls: Consumer, speech: Speech
) -> None:
    async with server.phone(speech) as caller:
        await caller.wait_for_speech()
        live = await calls.one(f"/{caller.call_id}", status="live")
        assert (live["state"], live["agent_id"], live["end_cause"]) == ("running", "brisk", None)
        assert live["details"]["agent_hash"] and live["details"]["end_cause"] is None
        (row,) = (await calls("?status=live")).json()["calls"]
        assert row["call_id"] == live["call_id"]
        status = await calls.one(f"/{live['call_id']}/status", status="live")
        assert status["state"] == "running" and status["seconds"] >= 0
        early = await calls(f"/{caller.call_id}/recording")
        assert (early.status, early.headers["Retry-After"]) == (409, "5")
        await caller.listen_until_quiet()
        text = (await calls(f"/{caller.call_id}/transcript?format=text")).body.decode()
        assert "assistant: Welcome to the test line." in text
    record = await server.one_record()
    stored = await calls.one(f"/{live['call_id']}", status="stored")
    assert stored["details"] == record
    assert stored["recording"].endswith(f"{live['call_id']}.wav")
    assert stored["record"].endswith(f"{live['call_id']}.json")
    assert stored["end_cause"] == "caller_hangup" and stored["duration_seconds"] > 0
    await server.parts.indexer.settled()
    page = (await calls()).json()
    assert [c["status"] for c in page["calls"]] == ["stored"] and page["next_cursor"] is None
    assert page["calls"][0].items() <= stored.items()
    assert (await calls("/nobody")).status == 404


async def test_the_recording_in_parts(
    server: RunningServer, calls: Consumer, speech: Speech
) -> None:
    call_id = await a_phone_call(server, speech)
    record = await server.one_record()
    kept = server.stored(record["recording"]["file"])
    path = f"/{call_id}/recording"
    whole = await calls(path)
    assert (whole.status, whole.body) == (200, kept)
    assert whole.headers["Content-Type"] == "audio/wav"
    assert whole.headers["Content-Length"] == str(len(kept))
    assert whole.headers["Accept-Ranges"] == "bytes"
    etag = whole.headers["ETag"]
    assert etag == f'"{hashlib.sha256(kept).hexdigest()}"'
    name = f'attachment; filename="{record["session_id"]}.wav"'
    assert whole.headers["Content-Disposition"] == name

    head = await calls(path, "HEAD", Range="bytes=0-1")
    assert (head.status, head.body) == (200, b"")
    for header in ("ETag", "Content-Length", "Content-Type", "Accept-Ranges"):
        assert head.headers[header] == whole.headers[header]

    for wanted, part in (
        ("bytes=0-43", kept[:44]),
        ("bytes=100-", kept[100:]),
        ("bytes=-16", kept[-16:]),
        (f"bytes={len(kept) - 1}-99999999999", kept[-1:]),
        ("bytes=-99999999999", kept),
    ):
        answer = await calls(path, Range=wanted)
        assert (answer.status, answer.body) == (206, part), wanted
        start = len(kept) - len(part) if wanted != "bytes=0-43" else 0
        span = f"bytes {start}-{start + len(part) - 1}/{len(kept)}"
        assert answer.headers["Content-Range"] == span
        assert answer.headers["Content-Length"] == str(len(part))
    for wanted in (f"bytes={len(kept)}-", "bytes=-0", "bytes=0-1,4-5"):
        answer = await calls(path, Range=wanted)
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(kept)}")
        assert set(answer.json()) == {"detail"}
    for wanted in ("bytes=9-1", "lines=1-2", "bytes=x"):
        assert (await calls(path, Range=wanted)).status == 200

    assert (await calls(path, If_None_Match=etag)).status == 304
    assert (await calls(path, If_None_Match=f'W/{etag}, "x"')).status == 304
    assert (await calls(path, If_None_Match='"x"')).status == 200
    assert (await calls(path, Range="bytes=0-3", If_Range=etag)).status == 206
    assert (await calls(path, Range="bytes=0-3", If_Range='"other"')).status == 200


async def test_the_transcript_in_each_form(
    server: RunningServer, calls: Consumer, speech: Speech
) -> None:
    path = f"/{await a_phone_call(server, speech)}/transcript"
    record = await server.one_record()
    plain = await calls(path)
    assert plain.headers["Content-Type"] == "application/json"
    assert plain.body == server.stored(record["transcript"])
    text = await calls(path, Accept="text/plain")
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text.body == server.stored(record["transcript_text"])
    assert (await calls(f"{path}?format=text")).body == text.body
    subtitles = await calls(path, Accept="text/vtt, text/plain;q=0.5")
    assert subtitles.headers["Content-Type"] == "text/vtt; charset=utf-8"
    assert subtitles.body.startswith(b"WEBVTT") and b"Welcome to the test line." in subtitles.body
    assert (await calls(path, If_None_Match=plain.headers["ETag"])).status == 304
    assert (await calls(path, If_None_Match=text.headers["ETag"])).status == 200
    assert (await calls(path, Accept="image/png")).status == 406
    assert (await calls(f"{path}?format=pdf")).status == 422


async def test_a_call_whose_record_is_damaged(
    server: RunningServer, calls: Consumer, speech: Speech
) -> None:
    path = f"/{await a_phone_call(server, speech)}"
    stored = await calls.one(path, status="stored")
    row = await server.parts.index.find(stored["call_id"])
    assert row is not None and row.record_key is not None
    await server.parts.storage.put_bytes("transcripts", row.record_key, b"{", "application/json")
    known = await calls(path)
    assert known.status == 200, known.body
    nothing = dict.fromkeys(("details", "recording", "transcript", "record"))
    assert known.json() == {**stored, **nothing}
    for part in ("/recording", "/transcript"):
        answer = await calls(path + part)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
        assert "is no call record" in answer.json()["detail"]


@pytest.mark.parametrize("code", ["storage_denied", "storage_failed", "index_newer"])
def test_each_answer_that_something_is_away_says_when_to_ask_again(code: str) -> None:
    with pytest.raises(HTTPException) as caught, told_as_http():
        raise StorageError(code, "an operator must act")
    assert (caught.value.status_code, caught.value.headers) == (503, {"Retry-After": "30"})


async def test_several_calls_with_one_id_of_the_carrier(
    server: RunningServer, calls: Consumer, speech: Speech
) -> None:
    first = server.phone(speech)
    async with first:
        await first.wait_for_speech()
    await server.parts.manager.settled()
    async with server.phone(speech, call_id=first.call_id) as second:
        await second.wait_for_speech()
    await server.parts.manager.settled()
    await server.parts.indexer.settled()
    found = await calls.one(f"/{first.call_id}", status="stored")
    (older,) = found["same_carrier_call_id"]
    assert older != found["call_id"]
    assert (await calls.one(f"/{older}"))["same_carrier_call_id"] == []


async def test_filters_and_refusals(server: RunningServer, calls: Consumer, speech: Speech) -> None:
    await a_phone_call(server, speech, line=VobizLine(from_number="+919812345678"))
    record = await server.one_record()
    await server.parts.indexer.settled()
    began = datetime.fromisoformat(record["started_at"])

    async def count(query: str) -> int:
        answer = await calls(f"?{query}")
        assert answer.status == 200, answer.body
        return len(answer.json()["calls"])

    for number in ("09812345678", "9812345678", "%2B919812345678", "+919812345678"):
        assert await count(f"number={number}") == 1, number
    assert await count("number=9812345679") == 0
    assert await count("agent_id=brisk&status=stored&end_cause=caller_hangup") == 1
    assert await count("agent_id=other") == 0
    assert await count("end_cause=silence") == 0
    since = began.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    later = (began + timedelta(seconds=1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await count(f"started_from={since}&started_before={later}") == 1
    assert await count(f"started_before={since}") == 0
    assert await count(f"started_from={later}") == 0
    for query in (
        "limit=0",
        "limit=201",
        "status=gone",
        "end_cause=boredom",
        "started_from=2026-11-01T00:00:00",
        "colour=red",
    ):
        assert (await calls(f"?{query}")).status == 422, query
    assert (await calls("?cursor=nonsense")).status == 400


def _rows(count: int, agent_id: str = "brisk") -> list[IndexedCall]:
    return [
        IndexedCall(
            session_id=str(UUID(int=n)),
            agent_id=agent_id,
            direction="inbound",
            started_at_ms=1_793_514_600_000 + n // 9,
            status="stored",
        )
        for n in range(count)
    ]


async def test_a_thousand_calls_in_pages_while_others_come(
    server: RunningServer, calls: Consumer
) -> None:
    old = _rows(1100)
    await server.put_in_index(old)
    seen: list[str] = []
    number = 0
    async for page in calls.pages("limit=60&agent_id=brisk"):
        assert len(page["calls"]) <= 60
        seen += [call["call_id"] for call in page["calls"]]
        number += 1
        new = IndexedCall(
            session_id=str(UUID(int=100_000 + number)),
            agent_id="brisk",
            direction="inbound",
            started_at_ms=1_900_000_000_000 + number,
            status="live",
        )
        await server.parts.index.put([new])
    assert number == 19
    assert seen == [c.session_id for c in sorted(old, key=lambda c: c.place, reverse=True)]
    first = (await calls("?limit=60&agent_id=brisk")).json()
    other = await calls(f"?limit=60&cursor={first['next_cursor']}")
    assert other.status == 400 and "another filter" in other.json()["detail"]


async def test_a_token_of_one_agent_sees_its_calls_only(tmp_path: Path, speech: Speech) -> None:
    env = {"ENVIRONMENT": "production", "JWT_SECRET": secrets.token_hex(32)}
    agents = {"brisk": BRISK_AGENT, "other": BRISK_AGENT}
    async with running_server(tmp_path / "s", agents, {"DEFAULT_AGENT": "brisk", **env}) as server:
        async with server.phone(speech, agent="other") as caller:
            await caller.wait_for_speech()
            async with consumer(server.http, calls_token(server, "brisk")) as stranger:
                assert (await stranger(f"/{caller.call_id}")).status == 404
                assert not await may_watch(server, caller.call_id, "brisk")
                assert await may_watch(server, caller.call_id, "other")
                assert not await may_watch(server, "to-come", "other")
                assert await may_watch(server, "to-come", "*")
                assert (await stranger(f"/{caller.call_id}/hangup", "POST")).status == 404
        await server.parts.manager.settled()
        await server.parts.indexer.settled()
        doors = ("", "/status", "/recording", "/transcript")
        async with consumer(server.http) as nobody:
            for door in doors:
                answer = await nobody(f"/{caller.call_id}{door}")
                assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        async with consumer(server.http, calls_token(server, "brisk")) as stranger:
            for door in doors:
                answer = await stranger(f"/{caller.call_id}{door}")
                assert (answer.status, answer.json()["detail"]) == (
                    404,
                    "there is no call of that id",
                )
            assert (await stranger()).json()["calls"] == []
            assert (await stranger("?agent_id=other")).json()["calls"] == []
        async with consumer(server.http, calls_token(server, "other")) as owner:
            for door in doors:
                assert (await owner(f"/{caller.call_id}{door}")).status == 200
            assert len((await owner()).json()["calls"]) == 1
        async with consumer(server.http, calls_token(server)) as operator:
            assert len((await operator()).json()["calls"]) == 1


async def test_a_live_call_can_be_spoken_into_and_ended(
    server: RunningServer, calls: Consumer, speech: Speech
) -> None:
    async with server.phone(speech) as caller:
        await caller.wait_for_speech()
        await caller.listen_until_quiet()
        said = await calls(f"/{caller.call_id}/say", "POST", {"text": "The doctor is on her way."})
        assert said.status == 202
        await caller.wait_for_speech()
        for body in ({"text": " "}, {"text": "x" * 1001}, {}, {"text": "a", "b": 1}):
            assert (await calls(f"/{caller.call_id}/say", "POST", body)).status == 422
        ended = await calls(f"/{caller.call_id}/hangup", "POST")
        assert ended.status == 202 and ended.json()["done"] == "hangup"
        await server.until(lambda: not server.parts.manager.active)
    record = await server.one_record()
    assert record["end_cause"] == "agent_hangup"
    assert "hangup_requested" in [notice["name"] for notice in record["notices"]]
    text = (await calls(f"/{caller.call_id}/transcript?format=text")).body.decode()
    assert "assistant: The doctor is on her way." in text
    await calls.one(f"/{caller.call_id}/status", status="stored")
    assert (await calls(f"/{caller.call_id}/hangup", "POST")).status == 409


async def test_what_waits_for_minio_can_be_heard(tmp_path: Path, speech: Speech) -> None:
    with s3_server() as store:
        env = {
            "DEFAULT_AGENT": "brisk",
            "STORAGE_KIND": "minio",
            "MINIO_ENDPOINT": f"127.0.0.1:{store.port}",
            "MINIO_ACCESS_KEY": store.access_key,
            "MINIO_SECRET_KEY": store.secret_key,
        }
        store.stop()
        async with (
            running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server,
            consumer(server.http) as calls,
        ):
            path = f"/{await a_phone_call(server, speech)}"
            await server.parts.manager.settled()
            ended = await calls.one(path, status="ended", end_cause="caller_hangup")
            assert ended["recording"] is None and ended["details"]["duration_seconds"] > 0
            async with asyncio.timeout(60):
                while (waiting := await calls(f"{path}/recording")).status == 409:
                    assert waiting.headers["Retry-After"] == "2"
                    await asyncio.sleep(0.05)
            assert waiting.status == 200 and waiting.body.startswith(b"RIFF")
            part = await calls(f"{path}/recording?redirect=true", Range="bytes=-8")
            assert (part.status, part.body) == (206, waiting.body[-8:])
            words = (await calls(f"{path}/transcript")).json()
            store.start()
            stored = await calls.one(path, status="stored")
            link = await calls(f"{path}/recording?redirect=true")
            assert (link.status, link.headers["Cache-Control"]) == (307, "no-store")
            async with aiohttp.request("GET", link.headers["Location"]) as linked:
                assert (linked.status, await linked.read()) == (200, waiting.body)
            kept = await calls(f"{path}/recording")
            assert kept.body == waiting.body and kept.headers["ETag"] == waiting.headers["ETag"]
            assert (await calls(f"{path}/transcript")).json() == words
            assert stored["recording"].startswith("minio://recordings/")
            assert stored["record"].startswith("minio://transcripts/records/")
            store.stop()
            away = await calls(f"{path}/recording")
            assert (away.status, away.headers["Retry-After"]) == (503, "10")
            assert (await calls(f"{path}/status")).status == 200
            assert (await calls()).json()["calls"][0]["status"] == "stored"


async def test_calls_go_on_without_the_index(tmp_path: Path, speech: Speech) -> None:
    data = tmp_path / "s" / "data"
    (data / "calls.db").mkdir(parents=True)  # Nothing that SQLite could open.
    async with (
        running_server(
            tmp_path / "s", {"brisk": BRISK_AGENT}, {"DEFAULT_AGENT": "brisk"}
        ) as server,
        consumer(server.http) as calls,
    ):
        path = f"/{await a_phone_call(server, speech)}"
        record = await server.one_record()
        listed = await calls()
        assert (listed.status, listed.headers["Retry-After"]) == (503, "5")
        assert (await calls(path)).json()["details"] == record
        assert (await calls(f"{path}/recording")).status == 200
        assert (await calls("/unknown")).status == 503
        shutil.rmtree(data / "calls.db")
        await server.until(lambda: (data / "calls.db").is_file(), 40)
        await server.parts.indexer.settled()
        await calls.one(path, status="stored")


async def test_two_servers_share_an_index_in_postgres(tmp_path: Path, speech: Speech) -> None:
    with postgres_server() as database:
        if database is None:
            pytest.skip("PostgreSQL is not installed: make postgres")
        env = {
            "DEFAULT_AGENT": "brisk",
            "INDEX_URL": database.database(),
            "JWT_SECRET": secrets.token_hex(32),
        }
        agents = {"brisk": BRISK_AGENT}
        async with (
            running_server(tmp_path / "a", agents, env) as here,
            running_server(tmp_path / "b", agents, env) as there,
            consumer(here.http) as calls,
            consumer(there.http) as others,
        ):
            async with here.phone(speech) as caller:
                await caller.wait_for_speech()
                path = f"/{caller.call_id}"
                await others.one(path, status="live", state="live", details=None)
                away = await others(f"{path}/recording")
                assert (away.status, away.json()["detail"]) == (409, "another server has this call")
                assert (await others(f"{path}/hangup", "POST")).status == 409
            await here.parts.manager.settled()
            await others.one(f"{path}/status", status="stored")
            database.stop()
            async with there.phone(speech) as second:
                await second.wait_for_speech()
                assert (await others(f"/{second.call_id}")).json()["status"] == "live"
                assert (await others()).status == 503
            await there.parts.manager.settled()
            database.start()
            await calls.one(f"/{second.call_id}/status", status="stored")
            assert len((await calls()).json()["calls"]) == 2


async def test_what_others_must_be_told_of_is_left_to_the_server(
    tmp_path: Path, speech: Speech
) -> None:
    async with server_process(tmp_path, {"brisk": BRISK_AGENT}) as server:
        caller = VobizCaller(answer_url=f"{server.http}/answer?agent_id=brisk", speech=speech)
        async with caller:
            await caller.wait_for_speech()
            # What a call has heard in its first 100 ms may go with the process.
            await caller.until(lambda: caller.duration_ms > 1000, 10_000, "a second of the call")
            server.process.kill()
            await server.exit_code()
    env = environment(tmp_path, {"brisk": BRISK_AGENT})
    backend = {"VOICERA_BACKEND_URL": "http://127.0.0.1:9", "INTERNAL_API_KEY": "k"}
    assert await recover(tmp_path, {**env, **backend}) == 0
    assert "1 calls are left" in (tmp_path / "log").read_text()
    assert len(list((tmp_path / "data" / "journal").iterdir())) == 1
    (row,) = (await rows(tmp_path)).values()
    assert (row.status, row.end_cause) == ("ended", "crash")


async def test_after_a_kill_the_index_is_made_again(tmp_path: Path, speech: Speech) -> None:
    folder = tmp_path / "s"
    folder.mkdir()

    async def call_and_rows(*, kill: bool) -> dict[str, IndexedCall]:
        async with server_process(folder, {"brisk": BRISK_AGENT}) as server:
            caller = VobizCaller(
                answer_url=f"{server.http}/answer?agent_id=brisk",
                hangup_url=f"{server.http}/hangup",
                speech=speech,
            )
            async with caller, consumer(server.http) as calls:
                await caller.wait_for_speech()
                async with asyncio.timeout(30):
                    # The index is written beside the call.
                    while not (await calls("?status=live")).json()["calls"]:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                if kill:
                    server.process.kill()
                    await server.exit_code()
            if not kill:
                async with consumer(server.http) as calls:
                    await calls.one(f"/{caller.call_id}", status="stored")
        return await rows(folder)

    first = await call_and_rows(kill=False)
    assert [row.status for row in first.values()] == ["stored"]
    killed = await call_and_rows(kill=True)
    assert sorted(row.status for row in killed.values()) == ["live", "stored"]

    env = environment(folder, {"brisk": BRISK_AGENT})
    assert await recover(folder, env) == 0
    (folder / "data" / "calls.db").rename(folder / "before.db")
    before = await rows(folder, "before.db")
    assert {row.end_cause for row in before.values()} == {"caller_hangup", "crash"}
    assert {row.status for row in before.values()} == {"stored"}
    for path in (folder / "data").glob("calls.db*"):
        path.unlink()
    assert await recover(folder, env) == 0
    assert await rows(folder) == before
    assert "2 stored" in (folder / "log").read_text()


async def recover(folder: Path, env: dict[str, str]) -> int:
    process = await start("recover", "--index", env=env, log=folder / "log")
    async with asyncio.timeout(60):
        return await process.wait()


async def rows(folder: Path, name: str = "data/calls.db") -> dict[str, IndexedCall]:
    index = CallIndex(folder / name)
    try:
        await index.open()
        return {call.session_id: call for call in await index.page(CallFilter(), 100)}
    finally:
        await index.close()
