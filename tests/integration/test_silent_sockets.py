"""Hundreds of peers that connect and say nothing, or half of it: calls go on, and they go."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import pytest

from api.http_protocol import MAX_WAITING, REQUEST_SECONDS
from simulators.speech import Speech
from tests.integration.process import ServerProcess, server_process
from tests.integration.server import BRISK_AGENT
from tests.integration.test_command_line import phone
from tests.until import until

#: What each fifth of them says.
BEGINNINGS = (
    b"",
    b"POST /answer HT",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ",
    b"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nCallUUID=half-said&To=",
    b"GET /voice HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
)


@contextmanager
def silent_peers(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Sockets that have said their beginning and stay."""
    with ExitStack() as stack:
        peers = []
        for number in range(count):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            peer.sendall(BEGINNINGS[number % len(BEGINNINGS)])
            peers.append(peer)
        yield peers


def wait_for_end(peer: socket.socket) -> bytes:
    """All that the server says until it closes."""
    heard = b""
    try:
        while data := peer.recv(4096):
            heard += data
    except ConnectionResetError:
        pass
    return heard


def descriptors(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


async def metric(server: ServerProcess, name: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{server.http}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
async def test_five_hundred_silent_sockets(tmp_path: Path, speech: Speech) -> None:
    async with server_process(tmp_path / "s", {"brisk": BRISK_AGENT}) as server:
        journals = server.folder / "data" / "journal"
        # What the server opens for the first call that it hears and stores stays open.
        async with phone(server, speech) as first:
            await first.listen_until_quiet(300, 20_000)
            await first.say("what are your opening hours")
            await first.listen_until_quiet(300, 20_000)
        await until(lambda: server.records() and not list(journals.iterdir()))
        caller = phone(server, speech)
        await caller.place()
        await caller.listen_until_quiet(300, 20_000)
        before = descriptors(server)
        with ExitStack() as stack:
            opened = stack.enter_context
            peers = await asyncio.to_thread(lambda: opened(silent_peers(server.port, 500)))
            # A call that lives goes on, and another begins.
            await caller.say("what are your opening hours")
            async with phone(server, speech) as another:
                await another.wait_for_speech()
            await caller.listen_until_quiet(400, 20_000)
            assert caller.live and len(caller.replies()) == 2 and caller.violations == []
            async with asyncio.timeout(REQUEST_SECONDS + 20):
                heard = await asyncio.gather(
                    *(asyncio.to_thread(wait_for_end, peer) for peer in peers)
                )
            assert all(b" 101 " in answer for answer in heard[4::5])
            assert not any(b"HTTP/1.1 2" in answer for answer in heard)
        await until(lambda: descriptors(server) <= before)
        assert await metric(server, "connections_cut_total{") == 400
        assert await metric(server, 'connections_cut_total{reason="many"}') >= 400 - MAX_WAITING
        assert "Traceback" not in server.log
        await caller.hang_up()
