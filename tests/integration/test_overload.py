"""More calls than the server can serve, and a disk that is full: who is told what, and how soon."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from simulators.backend import BackendSimulator
from simulators.behaviour import Behaviour
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import AnswerRejected
from simulators.caller.wire import WireRefused
from simulators.speech import Speech
from tests.integration.process import server_process
from tests.integration.server import BRISK_AGENT, RunningServer, running_server

#: What the catalogue of faults allows for telling somebody that there is no line.
TOLD_WITHIN_SECONDS = 0.25


async def ready(server: RunningServer) -> tuple[int, str | None]:
    async with aiohttp.ClientSession(server.http) as http, http.get("/health/ready") as answer:
        return answer.status, (await answer.json())["reason"]


async def refused_everywhere(server: RunningServer, speech: Speech, reason: str) -> None:
    assert await ready(server) == (503, reason)
    with pytest.raises(AnswerRejected):
        await server.phone(speech).place()
    with pytest.raises(WireRefused) as refusal:
        await server.program(speech).place()
    assert refusal.value.status == 503
    async with aiohttp.ClientSession(server.http) as http, http.get("/metrics") as answer:
        assert f'admission_refused_total{{reason="{reason}"}}' in await answer.text()


async def test_twice_the_rated_load(tmp_path: Path, speech: Speech) -> None:
    env = {"MAX_CONNECTIONS": "3"}
    async with (
        server_process(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server,
        aiohttp.ClientSession(server.http) as http,
    ):

        def phone() -> VobizCaller:
            return VobizCaller(
                answer_url=f"{server.http}/answer",
                hangup_url=f"{server.http}/hangup",
                speech=speech,
            )

        async def refusal() -> float:
            """How long it takes to be told, answer and socket alike."""
            began = time.monotonic()
            async with http.post("/answer", data={"CallUUID": "late"}) as answer:
                assert "<Stream" not in await answer.text()
            told = time.monotonic() - began
            late = VobizCaller(stream_url=f"{server.ws}/voice/brisk", speech=speech)
            began = time.monotonic()
            with pytest.raises(WireRefused):
                await late.place()
            return max(told, time.monotonic() - began)

        served = [phone() for _ in range(3)]
        await asyncio.gather(*(caller.place() for caller in served))
        await asyncio.gather(*(c.listen_until_quiet(300, 15_000) for c in served))
        async with asyncio.TaskGroup() as group:
            for caller in served:
                group.create_task(caller.say("what are your opening hours"))
            telling = [group.create_task(refusal()) for _ in range(3)]
        times = [task.result() for task in telling]
        assert max(times) < TOLD_WITHIN_SECONDS
        await asyncio.gather(*(c.listen_until_quiet(400, 15_000) for c in served))
        for caller in served:
            assert caller.live and caller.violations == []
            assert len(caller.replies()) == 2
        await served[0].hang_up()
        async with asyncio.timeout(20):
            while (await http.get("/health/ready")).status != 200:  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.05)
        async with phone() as another:  # A line has become free.
            await another.wait_for_speech()
        await asyncio.gather(*(c.hang_up() for c in served[1:]))


async def test_a_late_loop_closes_the_doors_for_some_seconds(
    tmp_path: Path, speech: Speech
) -> None:
    env = {"DEFAULT_AGENT": "brisk", "MAX_LOOP_LAG_MS": "60"}
    async with (
        running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server,
        server.phone(speech) as caller,
    ):
        await caller.wait_for_speech()
        while await ready(server) == (200, None):
            time.sleep(0.2)  # noqa: ASYNC251 - the loop is to be late
        await refused_everywhere(server, speech, "loop_late")
        await caller.listen_until_quiet(300, 10_000)
        assert caller.live and caller.violations == []
        await server.until(lambda: server.parts.manager.refusal("inbound") is None, 30)
        assert await ready(server) == (200, None)
        async with server.program(speech) as client:
            await client.wait_for_speech()


async def test_a_reserve_is_kept_for_phone_calls(tmp_path: Path, speech: Speech) -> None:
    env = {"DEFAULT_AGENT": "brisk", "MAX_CONNECTIONS": "2", "INBOUND_RESERVE": "1"}
    async with running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server:
        first, second = server.program(speech), server.program(speech)
        await first.place()
        with pytest.raises(ConnectionError, match="server_full"):
            await second.place()
        assert await ready(server) == (200, None)
        async with server.phone(speech) as caller:
            await caller.wait_for_speech()
            assert await ready(server) == (503, "full")
        await first.hang_up()


async def test_a_full_disk_keeps_new_calls_out_and_lets_live_ones_be(
    server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = server.parts.disk
    async with server.phone(speech) as caller:
        await caller.wait_for_speech()
        monkeypatch.setattr(disk, "_usage", lambda _: 95.0)
        await disk.look()
        await refused_everywhere(server, speech, "disk_full")
        await caller.listen_until_quiet(300, 10_000)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(400, 10_000)
        assert len(caller.replies()) == 2
        monkeypatch.setattr(disk, "_usage", lambda _: 90.0)
        await disk.look()
        assert await ready(server) == (200, None)
    record = await server.one_record()
    assert (record["end_cause"], record["recording"]["state"]) == ("caller_hangup", "stored")


async def test_a_webhook_that_comes_again_keeps_its_line(tmp_path: Path, speech: Speech) -> None:
    """Vobiz asks up to three times more where our answer was lost on its way."""
    env = {"DEFAULT_AGENT": "brisk", "MAX_CONNECTIONS": "1"}
    async with (
        running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server,
        aiohttp.ClientSession(server.http) as http,
    ):

        async def answered(call_id: str) -> bool:
            data = {"CallUUID": call_id, "Event": "StartApp"}
            async with http.post("/answer", data=data) as answer:
                return "<Stream" in await answer.text()

        assert await answered("first")
        assert await answered("first")
        assert not await answered("second")
        server.parts.manager.draining = True
        assert await answered("first")
        server.parts.manager.draining = False
        caller = VobizCaller(stream_url=f"{server.ws}/voice/brisk", speech=speech, call_id="first")
        async with caller:
            await caller.wait_for_speech()
            assert await answered("first")
            assert not await answered("second")
    assert caller.violations == []


async def test_a_backend_that_hangs_makes_nobody_wait_to_be_turned_away(tmp_path: Path) -> None:
    slow = Behaviour(accept_delay_ms=60_000)
    async with BackendSimulator(api_key="service", behaviour=slow) as backend:
        env = {
            "DEFAULT_AGENT": "brisk",
            "VOICERA_BACKEND_URL": backend.base_url,
            "INTERNAL_API_KEY": "service",
            "BACKEND_AGENTS_WAIT": "10",
        }
        async with (
            running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server,
            aiohttp.ClientSession(server.http) as http,
        ):
            server.parts.manager.draining = True
            async with http.post("/answer?agent_id=elsewhere", data={"CallUUID": "c"}) as answer:
                text = await answer.text()
            agents = server.parts.backend_agents
            assert agents is not None and agents._asked == 1  # The fetch still goes on.
            assert "brisk/busy.wav" in text or "<Speak" in text
            assert "<Stream" not in text
