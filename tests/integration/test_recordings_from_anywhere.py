"""A recording comes the same way from wherever it lies, ours or the carrier's."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from sessions import carrier_recordings
from sessions.carrier_files import CarrierOptions
from sessions.erase_command import run_erase
from simulators.caller.vobiz_line import VobizLine
from simulators.speech import Speech
from simulators.vobiz import VobizApiSimulator
from tests.integration.server import BRISK_AGENT, RunningServer, running_server
from tests.integration.test_calls_api import CALLS, Consumer, a_phone_call, consumer
from tests.minio import S3Server, s3_server

THEIRS = "+919812345678"
BRISK = CarrierOptions(first_pause_seconds=0.05, longest_pause_seconds=0.2)
RECORDED: dict[str, Any] = {**BRISK_AGENT, "recording": {"carrier": True}}


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_recordings, "CarrierOptions", lambda: BRISK)


@pytest.fixture
async def vobiz() -> AsyncIterator[VobizApiSimulator]:
    async with VobizApiSimulator(api_key="t") as running:
        yield running


@asynccontextmanager
async def serving(
    folder: Path, vobiz: VobizApiSimulator, store: S3Server | None = None, **more: str
) -> AsyncIterator[tuple[RunningServer, Consumer]]:
    env = {
        "DEFAULT_AGENT": "brisk",
        "VOBIZ_AUTH_ID": vobiz.auth_id,
        "VOBIZ_AUTH_TOKEN": "t",
        "VOBIZ_API_BASE": vobiz.base_url,
        **more,
    }
    if store is not None:
        env |= {
            "STORAGE_KIND": "minio",
            "MINIO_ENDPOINT": f"127.0.0.1:{store.port}",
            "MINIO_ACCESS_KEY": store.access_key,
            "MINIO_SECRET_KEY": store.secret_key,
        }
    async with (
        running_server(folder, {"brisk": RECORDED}, env) as server,
        consumer(server.http) as calls,
    ):
        yield server, calls


async def served(calls: Consumer, path: str) -> bytes:
    """The whole file, once it is there; until then, 409 and when to ask again."""
    async with asyncio.timeout(60):
        while (answer := await calls(path)).status == 409:
            assert int(answer.headers["Retry-After"]) > 0
            await asyncio.sleep(0.05)
    assert answer.status == 200, answer.body
    return answer.body


async def check(calls: Consumer, path: str, kept: bytes, told: Mapping[str, str]) -> None:
    """Headers, parts and conditions of one recording."""
    size = len(kept)
    whole = await calls(path)
    assert (whole.status, whole.body) == (200, kept)
    headers = {"Content-Length": str(size), "Accept-Ranges": "bytes", **told}
    assert headers.items() <= dict(whole.headers).items()
    head = await calls(path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert headers.items() <= dict(head.headers).items()
    assert head.headers["ETag"] == whole.headers["ETag"]
    for wanted, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=7-7", 7, 8),
        (f"bytes={size - 3}-", size - 3, size),
        ("bytes=-5", size - 5, size),
        (f"bytes=0-{size * 10}", 0, size),
    ):
        part = await calls(path, Range=wanted)
        assert (part.status, part.body) == (206, kept[start:end]), wanted
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["Content-Length"] == str(end - start)
    for wanted in (f"bytes={size}-", "bytes=-0", "bytes=0-1,4-5"):
        none = await calls(path, Range=wanted)
        assert (none.status, none.headers["Content-Range"]) == (416, f"bytes */{size}"), wanted
    etag = whole.headers["ETag"]
    assert (await calls(path, If_None_Match=etag)).status == 304
    assert (await calls(path, Range="bytes=0-3", If_Range=etag)).status == 206
    assert (await calls(path, Range="bytes=0-3", If_Range='"older"')).body == kept


def named(call: Mapping[str, Any], suffix: str, content_type: str) -> dict[str, str]:
    name = f'attachment; filename="{call["call_id"]}{suffix}"'
    return {"Content-Disposition": name, "Content-Type": content_type}


async def test_from_the_disk_while_the_store_is_away_and_from_the_store(
    tmp_path: Path, vobiz: VobizApiSimulator, speech: Speech
) -> None:
    with s3_server() as store:
        store.stop()
        async with serving(tmp_path / "s", vobiz, store) as (server, calls):
            path = f"/{await a_phone_call(server, speech)}"
            await server.parts.manager.settled()
            ours = await served(calls, f"{path}/recording")
            call = await calls.one(path, status="ended")
            wav = named(call, ".wav", "audio/wav")
            await check(calls, f"{path}/recording", ours, wav)
            assert call["carrier_recording"] == {"state": "pending", "url": None, "detail": ""}
            early = await calls(f"{path}/recording?source=carrier")
            assert (early.status, early.headers["Retry-After"]) == (409, "30")
            store.start()
            theirs = await served(calls, f"{path}/recording?source=carrier")
            assert theirs == vobiz.sound
            stored = await calls.one(path, status="stored")
            assert stored["carrier_recording"]["state"] == "stored"
            assert stored["carrier_recording"]["url"].startswith("minio://recordings/")
            await check(calls, f"{path}/recording", ours, wav)
            mp3 = named(call, ".carrier.mp3", "audio/mpeg")
            await check(calls, f"{path}/recording?source=carrier", theirs, mp3)
            for source, kept in (("server", ours), ("carrier", theirs)):
                wanted = f"{path}/recording?redirect=true&source={source}"
                link = await calls(wanted)
                assert (link.status, link.headers["Cache-Control"]) == (307, "no-store")
                assert (await calls(wanted, "HEAD")).headers["Content-Length"] == str(len(kept))
                async with aiohttp.request(
                    "GET", URL(link.headers["Location"], encoded=True)
                ) as linked:
                    assert (linked.status, await linked.read()) == (200, kept)
            assert (await calls(f"{path}/recording?source=nobody")).status == 422


async def test_links_lead_to_the_public_name_of_the_store(
    tmp_path: Path, vobiz: VobizApiSimulator, speech: Speech
) -> None:
    with s3_server() as store:
        public = f"http://localhost:{store.port}"
        async with serving(tmp_path / "s", vobiz, store, MINIO_PUBLIC_ENDPOINT=public) as (
            server,
            calls,
        ):
            path = f"/{await a_phone_call(server, speech)}/recording"
            kept = await served(calls, path)
            await calls.one(path.removesuffix("/recording"), status="stored")
            link = (await calls(f"{path}?redirect=true")).headers["Location"]
            assert link.startswith(f"{public}/recordings/")
            async with aiohttp.request("GET", URL(link, encoded=True)) as linked:
                assert (linked.status, await linked.read()) == (200, kept)
            async with aiohttp.request("GET", link.replace("wav?", "txt?", 1)) as other:
                assert other.status in (400, 403)  # Good for this one object only.


async def test_what_is_deleted_is_gone_and_what_never_came_is_not_there(
    tmp_path: Path, vobiz: VobizApiSimulator, speech: Speech
) -> None:
    async with serving(tmp_path / "s", vobiz) as (server, calls):
        line = VobizLine(from_number=THEIRS)
        async with server.phone(speech, line=line) as caller:
            await caller.wait_for_speech()
            live = await calls(f"/{caller.call_id}/recording?source=carrier")
            assert (live.status, live.headers["Retry-After"]) == (409, "5")
        session_id = (await calls.one(f"/{caller.call_id}", status="stored"))["call_id"]
        path = f"/{session_id}"
        kept = await served(calls, f"{path}/recording")
        await check(calls, f"{path}/recording", kept, {"Content-Type": "audio/wav"})
        theirs = await served(calls, f"{path}/recording?source=carrier")
        await check(calls, f"{path}/recording?source=carrier", theirs, {})
        # No links from a folder: it comes by itself.
        assert (await calls(f"{path}/recording?redirect=true")).body == kept
        assert (await calls(f"{path}/transcript", "HEAD")).status == 200

        vobiz.recording_url = "https://elsewhere.example.in/r.mp3"
        refused = f"/{await a_phone_call(server, speech)}"
        await calls.one(refused, status="stored")
        await server.until(lambda: any(r.looks > 1 for r in vobiz.recordings[1:]))
        assert (await calls(f"{refused}/recording?source=carrier")).status == 409

        _, complete = await run_erase(server.parts.settings, THEIRS, dry_run=False)
        assert complete
        for part in ("recording", "recording?source=carrier", "transcript"):
            gone = await calls(f"{path}/{part}")
            assert (gone.status, "deleted" in gone.json()["detail"]) == (410, True), part
        erased = (await calls(path)).json()
        assert erased["from_number"] is None and erased["has_recording"] is False
        assert THEIRS[3:] not in (await calls(path)).body.decode()
        assert erased["carrier_recording"]["state"] == "deleted"
        assert (await calls(f"?number={THEIRS[3:]}")).json()["calls"] == []
        assert len((await calls()).json()["calls"]) == 2


async def test_a_call_that_nobody_else_records(
    tmp_path: Path, server: RunningServer, speech: Speech
) -> None:
    async with consumer(server.http) as calls:
        path = f"/{await a_phone_call(server, speech)}"
        stored = await calls.one(path, status="stored")
        assert stored["carrier_recording"] is None
        answer = await calls(f"{path}/recording?source=carrier")
        assert (answer.status, answer.json()["detail"]) == (
            404,
            "the carrier was not asked to record this call",
        )
        await calls.one(path, status="stored")
        # A whole call that is deleted is as if it had never been, by any of its ids.
        index, store = server.parts.indexer, server.parts.storage
        await store.delete("transcripts", stored["record"].split("transcripts/")[1])
        index.deleted(stored["call_id"])
        await index.settled()
        for name in (path, f"/{stored['call_id']}"):
            for door in ("", "/status", "/recording", "/transcript"):
                assert (await calls(name + door)).status == 404, door
        assert (await calls()).json()["calls"] == []


async def test_who_goes_away_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, vobiz: VobizApiSimulator, speech: Speech
) -> None:
    """Of a file of 24 MB, which is never as a whole in memory, only what was taken is read."""
    with s3_server() as store:
        vobiz.sound = vobiz.sound * 6000
        async with serving(tmp_path / "s", vobiz, store) as (server, calls):
            path = f"/{await a_phone_call(server, speech)}/recording?source=carrier"
            await served(calls, path)
            request = f"GET {CALLS}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

            async def begin_and_leave() -> None:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                writer.write(request)
                await reader.readexactly(100_000)
                writer.transport.abort()

            await asyncio.gather(*(begin_and_leave() for _ in range(4)))
            before = open_files()
            for _ in range(5):
                await asyncio.gather(*(begin_and_leave() for _ in range(4)))
            await server.until(lambda: open_files() <= before + 4)
            part = await calls(path, Range="bytes=-4")
            assert (part.status, part.body) == (206, vobiz.sound[-4:])


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
