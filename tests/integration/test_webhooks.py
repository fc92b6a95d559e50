"""Real calls of which an address is told over signed requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sessions.outbox import courier
from sessions.outbox.courier import CourierOptions
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.speech import Speech
from simulators.webhook import WebhookSimulator
from tests.integration.server import BRISK_AGENT, RunningServer, running_server

BRISK = CourierOptions(first_pause_seconds=0.05, longest_pause_seconds=0.2)
ALL = ["call.started", "call.ended", "recording.ready", "transcript.ready"]


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr(courier, "CourierOptions", lambda: BRISK)


@asynccontextmanager
async def telling_server(folder: Path, *hooks: dict[str, Any]) -> AsyncIterator[RunningServer]:
    """A server that tells these addresses, as ``config.yaml`` would name them."""
    agents, env = {"brisk": BRISK_AGENT}, {"DEFAULT_AGENT": "brisk"}
    async with running_server(folder, agents, env, changes={"webhooks": hooks}) as server:
        yield server


async def call(server: RunningServer, speech: Speech) -> str:
    """Somebody who hears the greeting and hangs up."""
    async with server.phone(speech) as caller:
        await caller.listen_until_quiet(500, 10_000)
    await server.parts.manager.settled()
    return caller.call_id


async def test_an_address_is_told_of_a_call(tmp_path: Path, speech: Speech) -> None:
    async with WebhookSimulator() as all_of_it, WebhookSimulator(secret="another-secret-16") as few:
        hooks = (
            {"url": all_of_it.base_url, "secret": all_of_it.secret},
            {"url": few.base_url, "secret": few.secret, "events": ["transcript.ready"]},
        )
        async with telling_server(tmp_path / "server", *hooks) as server:
            call_id = await call(server, speech)
            await server.until(lambda: server.parts.reports.waiting() == 0)
            (record,) = server.records()
        assert all_of_it.violations == few.violations == []
        assert all_of_it.told(call_id) == ALL
        assert few.told(call_id) == ["transcript.ready"]
        started, ended, sound, words = (event["data"] for event in all_of_it.events)
        assert started["call_id"] == record["session_id"]
        assert ended["end_cause"] == "caller_hangup"
        assert sound["recording"]["sha256"] == record["recording"]["file"]["sha256"]
        assert "Welcome to the test line." in words["transcript"]["content"]
        assert len({event["id"] for event in all_of_it.events}) == 4


async def test_an_address_that_is_away_hears_of_it_later_and_disturbs_no_other(
    tmp_path: Path, speech: Speech
) -> None:
    async with (
        WebhookSimulator(behaviour=Behaviour(refuse_status=503)) as away,
        WebhookSimulator() as there,
    ):
        hooks = [{"url": each.base_url, "secret": each.secret} for each in (away, there)]
        async with telling_server(tmp_path / "server", *hooks) as server:
            call_id = await call(server, speech)
            await there.until(lambda: len(there.events) == 4)
            await server.until(lambda: server.parts.reports.waiting() == 4)
            assert away.events == []
            away.behave(WELL_BEHAVED)
            await server.until(lambda: server.parts.reports.waiting() == 0)
        assert away.told(call_id) == ALL and away.violations == []


async def test_what_a_restart_finds_is_told(tmp_path: Path, speech: Speech) -> None:
    async with WebhookSimulator(behaviour=Behaviour(refuse_status=500)) as receiver:
        hook = {"url": receiver.base_url, "secret": receiver.secret}
        async with telling_server(tmp_path / "server", hook) as server:
            call_id = await call(server, speech)
        receiver.behave(WELL_BEHAVED)
        (tmp_path / "server" / "agents").rename(tmp_path / "agents-before")
        async with telling_server(tmp_path / "server", hook) as server:
            await server.until(lambda: server.parts.reports.waiting() == 0)
        assert receiver.told(call_id) == ALL and receiver.violations == []
