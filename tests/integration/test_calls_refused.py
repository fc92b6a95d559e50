"""What ``/api/v1/calls`` does not answer, or answers to nobody else; and how its index fares."""

import asyncio
import base64
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import aiohttp
import pytest

from storage.index.entry import IndexedCall
from tests.integration.server import BRISK_AGENT, RunningServer, running_server
from tests.integration.test_calls_api import Consumer, Json, calls_token, consumer

CALL = IndexedCall(
    session_id=str(UUID(int=1)),
    agent_id="brisk",
    direction="inbound",
    carrier_call_id="theirs",
    from_number="+919812345678",
    to_number="+912240001234",
    started_at_ms=1_793_514_600_000,  # 2026-11-01 06:30 UTC, 12:00 in India
    ended_at_ms=1_793_514_660_000,
    status="stored",
    end_cause="caller_hangup",
)
PRODUCTION = {"ENVIRONMENT": "production", "DEFAULT_AGENT": "brisk"}
DOORS = ("", "/status", "/recording", "/recording?source=carrier", "/transcript")
ACTIONS = (("/hangup", None), ("/say", {"text": "Hello."}), ("/language", {"language": "hi"}))


async def listed(calls: Consumer, query: str) -> int:
    answer = await calls(f"?{query}")
    assert answer.status == 200, (query, answer.body)
    return len(answer.json()["calls"])


async def test_a_number_in_whatever_way_it_is_written(server: RunningServer) -> None:
    await server.put_in_index([CALL])
    async with consumer(server.http) as calls:
        for number in (
            "+919812345678",
            "919812345678",
            "09812345678",
            "9812345678",
            "+91 98123 45678",
            "098123-45678",
            "00919812345678",
        ):
            assert await listed(calls, f"number={quote(number)}") == 1, number
        assert await listed(calls, "number=+919812345678") == 1  # A + that became a space.
        assert await listed(calls, "number=2240001234") == 1
        assert await listed(calls, "number=%2B19812345678") == 0
        assert await listed(calls, "number=somebody") == 0


async def test_the_first_instant_counts_and_the_last_does_not(server: RunningServer) -> None:
    await server.put_in_index([CALL])
    async with consumer(server.http) as calls:
        for instant in (
            "2026-11-01T06:30:00Z",
            "2026-11-01T12:00:00%2B05:30",
            "2026-10-31T20:30:00-10:00",
        ):
            assert await listed(calls, f"started_from={instant}") == 1, instant
            assert await listed(calls, f"started_before={instant}") == 0, instant
        assert await listed(calls, "started_before=2026-11-01T06:30:00.001Z") == 1
        assert await listed(calls, "started_from=2026-11-01T06:30:00.001Z") == 0
        assert await listed(calls, "started_before=9999-12-31T23:59:59-14:00") == 1
        assert await listed(calls, "started_from=0001-01-01T00:00:00%2B14:00") == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("started_from=2026-11-01T00:00:00", "started_from"),
        ("started_from=2026-11-01", "started_from"),
        ("started_from=1793514600", "started_from"),
        ("started_before=tomorrow", "started_before"),
        ("started_before=2026-13-01T00:00:00Z", "started_before"),
        ("started_before=", "started_before"),
        ("number=", "number"),
        ("number=%20", "number"),
        ("number=%00", "number"),
        (f"number={'9' * 65}", "number"),
        ("agent_id=", "agent_id"),
        ("agent_id=%00", "agent_id"),
        ("status=gone", "status"),
        ("end_cause=boredom", "end_cause"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("colour=red", "colour"),
        (f"cursor={'a' * 513}", "cursor"),
    ],
)
async def test_a_value_that_cannot_be_is_named(
    server: RunningServer, query: str, field: str
) -> None:
    async with consumer(server.http) as calls:
        answer = await calls(f"?{query}")
    assert answer.status == 422, answer.body
    assert [error["loc"] for error in answer.json()["detail"]] == [["query", field]]


async def test_a_cursor_that_was_not_given_here_or_to_somebody_else(tmp_path: Path) -> None:
    env = {**PRODUCTION, "JWT_SECRET": secrets.token_hex(32)}
    agents = {"brisk": BRISK_AGENT, "other": BRISK_AGENT}
    rows = [
        replace(CALL, session_id=str(UUID(int=n)), agent_id=agent, started_at_ms=n)
        for n, agent in enumerate(["brisk", "other"] * 4)
    ]
    async with running_server(tmp_path / "s", agents, env) as server:
        await server.put_in_index(rows)
        async with (
            consumer(server.http, calls_token(server)) as everybody,
            consumer(server.http, calls_token(server, "brisk")) as brisk,
            consumer(server.http, calls_token(server, "other")) as other,
        ):
            cursors = {}
            for name, asks in (("everybody", everybody), ("brisk", brisk), ("other", other)):
                cursors[name] = (await asks("?limit=2")).json()["next_cursor"]
                page = await asks(f"?limit=200&cursor={cursors[name]}")
                assert len(page.json()["calls"]) == {"everybody": 6}.get(name, 2)
            for asks, foreign in (
                (brisk, "other"),
                (brisk, "everybody"),
                (other, "brisk"),
                (everybody, "brisk"),
            ):
                assert (await asks(f"?cursor={cursors[foreign]}")).status == 400, foreign
            data = bytearray(base64.urlsafe_b64decode(cursors["brisk"] + "=="))
            for at in range(len(data)):
                data[at] ^= 1
                forged = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
                assert (await brisk(f"?cursor={forged}")).status == 400, at
                data[at] ^= 1
            for nonsense in ("", "%00", "%C3%A9", "====", "!", cursors["brisk"][:-4]):
                assert (await brisk(f"?cursor={nonsense}")).status == 400, nonsense
            assert {c["agent_id"] for c in (await brisk()).json()["calls"]} == {"brisk"}


async def test_every_door_is_for_those_who_may_see_the_call(tmp_path: Path) -> None:
    env = {**PRODUCTION, "JWT_SECRET": secrets.token_hex(32)}
    agents = {"brisk": BRISK_AGENT, "other": BRISK_AGENT}
    async with running_server(tmp_path / "s", agents, env) as server:
        await server.put_in_index([CALL])

        async def statuses(asks: Consumer, call_id: str) -> list[tuple[int, Json]]:
            found = [await asks(f"/{call_id}{door}") for door in DOORS]
            found += [await asks(f"/{call_id}{door}", "POST", body) for door, body in ACTIONS]
            return [(answer.status, answer.json()) for answer in found]

        async with (
            consumer(server.http) as nobody,
            consumer(server.http, server.token()) as talker,
            consumer(server.http, calls_token(server, "other")) as stranger,
            consumer(server.http, calls_token(server, "brisk")) as owner,
        ):
            for call_id in (CALL.session_id, "theirs"):
                for asks in (nobody, talker):
                    assert {s for s, _ in await statuses(asks, call_id)} == {401}
                    for door in ("recording", "transcript"):
                        assert (await asks(f"/{call_id}/{door}", "HEAD")).status == 401
                # The same as of a call that never was.
                assert await statuses(stranger, call_id) == await statuses(stranger, "never")
                assert {s for s, _ in await statuses(stranger, call_id)} == {404}
                assert (await stranger(f"/{call_id}/recording", "HEAD")).status == 404
                assert (await owner(f"/{call_id}")).status == 200
                assert (await owner(f"/{call_id}/status")).status == 200
            for query in ("", "?agent_id=brisk", "?number=9812345678", "?status=stored"):
                assert (await stranger(query)).json()["calls"] == []
                assert len((await owner(query)).json()["calls"]) == 1


async def index_state(server: RunningServer) -> tuple[str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.http}/api/v1/health") as answer,
    ):
        told = await answer.json()
    return told["services"]["index"], told["status"]


async def test_health_tells_of_the_index(tmp_path: Path) -> None:
    data = tmp_path / "s" / "data"
    (data / "calls.db").mkdir(parents=True)  # Nothing that SQLite could open.
    async with running_server(
        tmp_path / "s", {"brisk": BRISK_AGENT}, {"DEFAULT_AGENT": "brisk"}
    ) as server:
        assert await index_state(server) == ("away", "degraded")
        async with consumer(server.http) as calls:
            listing = await calls()
            assert (listing.status, listing.headers["Retry-After"]) == (503, "5")
            assert "let the server's user write its folder" in listing.json()["detail"]
        shutil.rmtree(data / "calls.db")
        async with asyncio.timeout(40):
            while await index_state(server) != ("ok", "healthy"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
