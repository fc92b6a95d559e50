"""More calls than the server can serve, and a disk that is full: who is told what, and how soon."""

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import pytest
from anyio.to_thread import current_default_thread_limiter

from bench.burst import answer_request, upgrade_request, whole_answer
from bot.call_bot import CallBot
from sessions.journal_format import JournalHeader
from sessions.ringing import CONNECT_AFTER_SECONDS
from simulators.backend import BackendSimulator
from simulators.behaviour import Behaviour
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import AnswerRejected
from simulators.caller.wire import WireRefused
from simulators.speech import Speech
from tests.integration.process import server_process
from tests.integration.server import BRISK_AGENT, RunningServer, running_server
from tests.integration.test_command_line import status

LINES = 20


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

        async def refusal() -> None:
            """Be told, by the answer and at the socket alike."""
            async with http.post("/answer", data={"CallUUID": "late"}) as answer:
                assert "<Stream" not in await answer.text()
            late = VobizCaller(stream_url=f"{server.ws}/voice/brisk", speech=speech)
            with pytest.raises(WireRefused):
                await late.place()

        served = [phone() for _ in range(3)]
        await asyncio.gather(*(caller.place() for caller in served))
        await asyncio.gather(*(c.listen_until_quiet(300, 15_000) for c in served))
        async with asyncio.TaskGroup() as group:
            for caller in served:
                group.create_task(caller.say("what are your opening hours"))
            for _ in range(3):
                group.create_task(refusal())
        await asyncio.gather(*(c.listen_until_quiet(400, 15_000) for c in served))
        for caller in served:
            assert caller.live and caller.violations == []
            assert len(caller.replies()) == 2
        await served[0].hang_up()
        async with asyncio.timeout(30):
            while await status(http, "/health/ready") != 200:  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.05)
        async with phone() as another:  # A line has become free.
            await another.wait_for_speech()
        await asyncio.gather(*(c.hang_up() for c in served[1:]))


async def test_everybody_at_the_doors_is_told_before_the_first_call_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"DEFAULT_AGENT": "brisk", "MAX_CONNECTIONS": str(LINES)}
    async with running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server:
        server.parts.building.longest_wait_seconds = 60.0  # However slow this machine is.
        connect, told = CallBot.connect, list[tuple[list[bytes], list[int]]]()
        kept = server.parts.answered.kept

        async def kept_slowly(header: JournalHeader) -> None:
            """A disk that takes longer for a note than a call would wait to be built."""
            await asyncio.sleep(10 * CONNECT_AFTER_SECONDS)
            await kept(header)

        def look_around(bot: CallBot) -> None:
            if not told:
                bodies = [body for _, body in map(read, webhooks)]
                told.append((bodies, [status for status, _ in map(read, sockets)]))
            connect(bot)

        monkeypatch.setattr(CallBot, "connect", look_around)
        monkeypatch.setattr(server.parts.answered, "kept", kept_slowly)
        # All of them are in the system's hands before the server's loop turns once.
        requests = [answer_request(f"burst-{number}") for number in range(2 * LINES)]
        requests += [upgrade_request("/voice/brisk")] * 3
        with sent_at_once(server.port, requests) as lines:
            webhooks, sockets = lines[: 2 * LINES], lines[2 * LINES :]
            await server.until(lambda: told)
        ((bodies, statuses),) = told
        assert sum(b"<Stream" in body for body in bodies) == LINES
        busy = [body for body in bodies if b"<Play" in body or b"<Speak" in body]
        assert len(busy) == LINES
        assert statuses == [101] * 3  # There are lines, and they may be those who were promised.


async def test_a_call_whose_stream_is_open_waits_for_those_at_the_doors(
    tmp_path: Path, speech: Speech
) -> None:
    async with running_server(tmp_path / "s", {"brisk": BRISK_AGENT}) as server:
        server.parts.building.longest_wait_seconds = 60.0
        caller = VobizCaller(stream_url=f"{server.ws}/voice/brisk", speech=speech)
        with server.parts.building.heard_first():
            await caller.place()
            # The greeting waits for nobody: neither for services nor for the doors.
            await caller.wait_for_speech()
            (session,) = server.parts.manager
            assert session._bot._built is None
        await server.until(lambda: session._bot._built is not None)
        await caller.listen_until_quiet(300, 15_000)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(400, 15_000)
        assert len(caller.replies()) == 2
        await caller.hang_up()
    assert caller.violations == []


async def test_threads_that_all_hang_keep_nobody_at_the_doors(
    server: RunningServer, speech: Speech
) -> None:
    threads = current_default_thread_limiter()
    holders = [object() for _ in range(int(threads.available_tokens))]
    for holder in holders:
        threads.acquire_on_behalf_of_nowait(holder)
    try:
        async with asyncio.timeout(30), server.phone(speech) as caller:
            await caller.wait_for_speech()
            server.parts.manager.draining = True
            with pytest.raises(AnswerRejected):
                await server.phone(speech).place()
    finally:
        for holder in holders:
            threads.release_on_behalf_of(holder)
    assert caller.violations == []


@contextmanager
def sent_at_once(port: int, requests: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """Connections with a request each; the server's loop need not have turned meanwhile."""
    with ExitStack() as life:
        lines = []
        for request in requests:
            line = life.enter_context(socket.create_connection(("127.0.0.1", port)))
            line.sendall(request)
            line.setblocking(False)
            lines.append(line)
        yield lines


def read(line: socket.socket) -> tuple[int, bytes]:
    """Status and body of what has come so far; nothing of an answer that is not there."""
    try:
        return whole_answer(line.recv(65536)) or (0, b"")
    except BlockingIOError:
        return 0, b""


async def test_a_late_loop_closes_the_doors_for_some_seconds(
    tmp_path: Path, speech: Speech
) -> None:
    async with (
        running_server(
            tmp_path / "s", {"brisk": BRISK_AGENT}, {"DEFAULT_AGENT": "brisk"}
        ) as server,
        server.phone(speech) as caller,
    ):
        await caller.wait_for_speech()
        # Only now: a busy machine is late by itself.
        congestion = server.parts.load._loop
        usual_seconds, congestion._limit_seconds = congestion._limit_seconds, 0.06
        while await ready(server) == (200, None):
            time.sleep(0.2)  # noqa: ASYNC251 - the loop is to be late
        await refused_everywhere(server, speech, "loop_late")
        await caller.listen_until_quiet(300, 10_000)
        assert caller.live and caller.violations == []
        await server.until(lambda: server.parts.manager.refusal("inbound") is None, 60)
        congestion._limit_seconds = usual_seconds
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
