"""Real calls of which VoiceERA's backend is told: up, away, back, slow, refusing; after a kill."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sessions.outbox import courier
from sessions.outbox.courier import CourierOptions
from simulators.backend import BackendSimulator
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech
from tests.integration.process import server_process
from tests.integration.server import BRISK_AGENT, RunningServer, running_server
from tests.minio import free_port
from tests.until import until

AGENT: dict[str, Any] = {
    **BRISK_AGENT,
    "metadata": {"org_id": "org-1", "agent_type": "Kisan Helpline"},
}
STEPS = ["created", "ended", "recording"]
BRISK = CourierOptions(first_pause_seconds=0.05, longest_pause_seconds=0.2)


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr(courier, "CourierOptions", lambda: BRISK)


def env_of(address: str) -> dict[str, str]:
    """A server that tells the backend there."""
    return {
        "DEFAULT_AGENT": "brisk",
        "VOICERA_BACKEND_URL": address,
        "INTERNAL_API_KEY": "service",
    }


@asynccontextmanager
async def told_server(folder: Path, address: str, **env: str) -> AsyncIterator[RunningServer]:
    """A server with the brisk agent."""
    values = {**env_of(address), **env}
    async with running_server(folder, {"brisk": AGENT}, values) as server:
        yield server


async def call(server: RunningServer, speech: Speech, **options: Any) -> VobizCaller:
    """Somebody who hears the greeting and hangs up."""
    caller = server.phone(speech, **options)
    async with caller:
        await caller.listen_until_quiet(500, 10_000)
    await server.parts.manager.settled()
    return caller


def waiting(server: RunningServer) -> list[Path]:
    """Reports on disk."""
    return sorted((server.data_dir / "outbox" / "backend").glob("*.json"))


async def delivered(server: RunningServer) -> None:
    """Wait until nothing waits."""
    await server.until(lambda: server.parts.reports.waiting() == 0 and waiting(server) == [])


async def test_a_call_is_told_in_three_steps(tmp_path: Path, speech: Speech) -> None:
    async with BackendSimulator(api_key="service") as backend:
        async with told_server(tmp_path / "server", backend.base_url) as server:
            caller = await call(server, speech)
            await delivered(server)
            (record,) = server.records()
        assert backend.violations == []
        assert backend.calls.steps(caller.call_id) == STEPS
        assert len(set(backend.calls.keys)) == 3
        meeting = backend.calls.meetings[caller.call_id]
        assert meeting == {
            "meeting_id": caller.call_id,
            "agent_type": "Kisan Helpline",
            "org_id": "org-1",
            "start_time_utc": record["started_at"],
            "end_time_utc": record["ended_at"],
            "inbound": True,
            "from_number": record["from_number"],
            "to_number": record["to_number"],
            "created_at": record["started_at"],
            "call_busy": False,
        }
        told = backend.calls.recordings[caller.call_id]
        assert told["recording_url"] == record["recording"]["file"]["url"]
        assert told["transcript_url"] == record["transcript_text"]["url"]
        assert "Welcome to the test line." in told["transcript_content"]
        assert told["call_duration"] == record["duration_seconds"]
        assert not any((tmp_path / "server" / "data" / "outbox" / "told").iterdir())


async def test_what_may_not_be_uploaded_is_not(tmp_path: Path, speech: Speech) -> None:
    config = tmp_path / "quiet"
    async with BackendSimulator(api_key="service") as backend:
        async with told_server(config, backend.base_url) as server:
            (receiver,) = server.parts.reports._receivers
            receiver._settings = receiver._settings.model_copy(  # type: ignore[attr-defined]
                update={"upload_recordings": False, "upload_transcripts": False}
            )
            caller = await call(server, speech)
            await delivered(server)
        told = backend.calls.recordings[caller.call_id]
        assert "recording_url" not in told and "transcript_content" not in told
        assert told["transcript_url"]


async def test_a_backend_that_is_away_for_a_whole_call_hears_of_it_later(
    tmp_path: Path, speech: Speech
) -> None:
    port = free_port()
    async with told_server(tmp_path / "server", f"http://127.0.0.1:{port}") as server:
        first = await call(server, speech)
        second = await call(server, speech)
        assert len(waiting(server)) == 6
        assert all(path.stat().st_mode & 0o077 == 0 for path in waiting(server))
        assert (await health(server))["status"] == "degraded"
        async with BackendSimulator(api_key="service", port=port) as backend:
            await delivered(server)
            assert backend.violations == []
            for caller in (first, second):
                assert backend.calls.steps(caller.call_id) == STEPS
            assert (await health(server))["waiting_reports"] == {"backend": 0}
            text = await metrics(server)
            assert 'outbox_files{receiver="backend"} 0.0' in text
            assert 'outbox_deliveries_total{outcome="delivered",receiver="backend"}' in text


async def test_a_backend_that_dies_in_the_middle_of_a_call(tmp_path: Path, speech: Speech) -> None:
    async with BackendSimulator(api_key="service") as backend:
        async with told_server(tmp_path / "server", backend.base_url) as server:
            caller = server.phone(speech)
            async with caller:
                await backend.until(lambda: backend.calls.told != [])
                await delivered(server)  # Its yes has been read.
                await backend.stop()
                await caller.listen_until_quiet(500, 10_000)
            await server.parts.manager.settled()
            assert backend.calls.steps(caller.call_id) == ["created"]
            await backend.start()
            await delivered(server)
        assert backend.calls.steps(caller.call_id) == STEPS


async def test_an_answer_that_is_lost_repeats_a_report_under_its_key(
    tmp_path: Path, speech: Speech
) -> None:
    async with BackendSimulator(api_key="service") as backend:
        # The backend has taken it, and the line breaks before its yes.
        backend.behave_next(Behaviour(drop_after_ms=0))
        async with told_server(tmp_path / "server", backend.base_url) as server:
            caller = await call(server, speech)
            await delivered(server)
        assert backend.calls.steps(caller.call_id) == ["created", *STEPS]
        assert len(set(backend.calls.keys)) == 3


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_refusals_that_may_pass_are_waited_out(
    status: int, tmp_path: Path, speech: Speech
) -> None:
    refusing = Behaviour(refuse_status=status)
    async with BackendSimulator(api_key="service", behaviour=refusing) as backend:
        async with told_server(tmp_path / "server", backend.base_url) as server:
            caller = await call(server, speech)
            await backend.until(lambda: len(backend.connections) >= 3)
            assert len(waiting(server)) == 3
            backend.behave(WELL_BEHAVED)
            await delivered(server)
        assert backend.calls.steps(caller.call_id) == STEPS


async def test_a_refusal_for_good_is_put_aside(tmp_path: Path, speech: Speech) -> None:
    async with BackendSimulator(api_key="service") as backend:
        backend.behave(Behaviour(refuse_status=422), path="/api/v1/call-recordings")
        async with told_server(tmp_path / "server", backend.base_url) as server:
            caller = await call(server, speech)
            await delivered(server)
            folder = server.data_dir / "outbox" / "backend" / "rejected"
            (aside,) = folder.glob("*.json")
            assert "422" in aside.with_suffix(".txt").read_text()
            assert json.loads(aside.read_text())["path"] == "/call-recordings"
        assert backend.calls.steps(caller.call_id) == ["created", "ended"]


async def test_a_slow_backend_delays_no_call(
    tmp_path: Path, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "CourierOptions", lambda: replace(BRISK, attempt_seconds=2.0))
    slow = Behaviour(accept_delay_ms=60_000)
    async with BackendSimulator(api_key="service", behaviour=slow) as backend:
        async with told_server(tmp_path / "server", backend.base_url) as server:
            caller = server.phone(speech)
            async with caller:
                await caller.listen_until_quiet(500, 10_000)
                # The greeting was heard before the backend had taken the call's beginning.
                assert backend.calls.told == [] and backend.connections
            await server.parts.manager.settled()
            backend.behave(WELL_BEHAVED)
            await delivered(server)
        assert backend.calls.steps(caller.call_id) == STEPS


async def test_a_busy_call_is_a_meeting_too(tmp_path: Path, speech: Speech) -> None:
    async with BackendSimulator(api_key="service") as backend:
        async with told_server(
            tmp_path / "server", backend.base_url, MAX_CONNECTIONS="1"
        ) as server:
            async with server.phone(speech) as caller:
                await caller.listen_until_quiet(500, 10_000)
                fields = {"CallUUID": "busy-1", "From": "+919800000002", "To": "+918000000001"}
                async with (
                    aiohttp.ClientSession() as http,
                    http.post(f"{server.http}/answer?agent_id=brisk", data=fields) as answer,
                ):
                    assert "<Stream" not in await answer.text()
            await server.parts.manager.settled()
            await delivered(server)
        meeting = backend.calls.meetings["busy-1"]
        assert meeting["call_busy"] is True
        assert meeting["start_time_utc"] == meeting["end_time_utc"] != ""
        assert backend.violations == []


async def test_a_call_that_never_streamed_is_told(tmp_path: Path) -> None:
    async with BackendSimulator(api_key="service") as backend:
        async with told_server(tmp_path / "server", backend.base_url) as server:
            async with aiohttp.ClientSession() as http:
                for door in ("answer?agent_id=brisk", "hangup"):
                    fields = {"CallUUID": "silent-1", "From": "+919800000002"}
                    async with http.post(f"{server.http}/{door}", data=fields) as answer:
                        assert answer.status in (200, 204)
            await server.parts.manager.settled()
            await delivered(server)
        assert backend.calls.steps("silent-1") == STEPS
        assert backend.violations == []


async def test_a_kill_before_the_delivery_loses_and_repeats_nothing(
    tmp_path: Path, speech: Speech
) -> None:
    port = free_port()
    env = env_of(f"http://127.0.0.1:{port}")
    folder = tmp_path / "server"
    outbox = folder / "data" / "outbox" / "backend"
    async with server_process(folder, {"brisk": AGENT}, env) as server:
        caller = VobizCaller(
            answer_url=f"{server.http}/answer?agent_id=brisk",
            hangup_url=f"{server.http}/hangup",
            speech=speech,
        )
        async with caller:
            await caller.listen_until_quiet(500, 20_000)
        await until(lambda: len(list(outbox.glob("*.json"))) == 3)
        # A kill in the instant between the report and its mark would repeat one, under its key.
        await until(lambda: not list((folder / "data" / "journal").glob("[0-9a-f]*")))
        server.process.send_signal(signal.SIGKILL)
        await server.exit_code()
    async with (
        BackendSimulator(api_key="service", port=port) as backend,
        server_process(folder, {"brisk": AGENT}, env),
    ):
        await backend.until(lambda: len(backend.calls.told) >= 3, timeout_seconds=20)
        await until(lambda: not list(outbox.glob("*.json")))
        assert backend.calls.steps(caller.call_id) == STEPS
        assert backend.violations == []


async def test_a_kill_in_the_middle_of_a_call(tmp_path: Path, speech: Speech) -> None:
    async with BackendSimulator(api_key="service") as backend:
        env = env_of(backend.base_url)
        folder = tmp_path / "server"
        async with server_process(folder, {"brisk": AGENT}, env) as server:
            caller = VobizCaller(
                answer_url=f"{server.http}/answer?agent_id=brisk",
                hangup_url=f"{server.http}/hangup",
                speech=speech,
            )
            async with caller:
                await caller.listen_until_quiet(500, 20_000)
                await backend.until(lambda: backend.calls.told != [], timeout_seconds=20)
                # Its file is gone once the backend's yes has been read.
                outbox = folder / "data" / "outbox" / "backend"
                await until(lambda: not list(outbox.glob("*.json")))
                server.process.send_signal(signal.SIGKILL)
                await server.exit_code()
        async with server_process(folder, {"brisk": AGENT}, env):
            await backend.until(lambda: len(backend.calls.told) >= 3, timeout_seconds=20)
        assert backend.calls.steps(caller.call_id) == STEPS
        assert backend.violations == []


async def health(server: RunningServer) -> dict[str, Any]:
    """What ``/health`` says."""
    async with aiohttp.ClientSession() as http, http.get(f"{server.http}/health") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def metrics(server: RunningServer) -> str:
    """What ``/metrics`` says."""
    async with aiohttp.ClientSession() as http, http.get(f"{server.http}/metrics") as answer:
        return await answer.text()
