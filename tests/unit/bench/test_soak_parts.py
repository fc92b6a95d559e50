"""The parts of a soak that need no server: cards, gates, figures, and what others were told."""

import asyncio
import contextlib
import random
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from bench.soak.deck import Deck
from bench.soak.figures import histogram, spread
from bench.soak.freezing import freeze
from bench.soak.gate import FAULTS, Gate, Mode
from bench.soak.ports import steady_port
from bench.soak.told import ToldBooks, check_backend, check_list
from simulators.backend.calls import Calls
from tests.unit.storage.wires import serving

# Cards


def test_every_card_comes_before_any_comes_again() -> None:
    deck = Deck("abcde", random.Random(1))
    for _ in range(3):
        assert sorted(deck.draw() for _ in range(5)) == list("abcde")


def test_the_same_seed_deals_the_same_cards() -> None:
    decks = [Deck(range(20), random.Random(7)) for _ in range(2)]
    assert [decks[0].draw() for _ in range(40)] == [decks[1].draw() for _ in range(40)]
    with pytest.raises(ValueError, match="a card"):
        Deck([], random.Random(1))


# Kills


@pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="reads sockets in /proc")
async def test_what_a_stopped_process_had_not_read_is_known() -> None:
    code = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); c = s.accept()[0]; c.recv(3);"
        "print('read', flush=True); time.sleep(60)"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        port = int(await child.stdout.readline())
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"abcdefgh")
        assert await child.stdout.readline() == b"read\n"
        before = time.monotonic()
        frozen = await asyncio.to_thread(freeze, child.pid, port, 0.01)
        assert before + 0.01 <= frozen.at <= time.monotonic()
        assert frozen.unread == {writer.get_extra_info("sockname")[1]: 5}
        assert psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
        writer.close()
    finally:
        child.kill()
        await child.wait()


# Gates

ANSWER = b"x" * 20_000


@asynccontextmanager
async def gated(answer: bytes = ANSWER) -> AsyncIterator[Gate]:
    """A gate before a service that answers each line with ``answer``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.readline():
                writer.write(answer)
                await writer.drain()

    async with serving(serve) as endpoint:
        gate = Gate("service", int(endpoint.rpartition(":")[2]), random.Random(1))
        await gate.become(Mode.OPEN)
        try:
            yield gate
        finally:
            await gate.close()


async def ask(gate: Gate) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"?\n")
    return reader, writer


async def test_an_open_gate_lets_all_through_after_every_fault() -> None:
    async with gated() as gate, asyncio.timeout(20):
        port = gate.port
        for mode in (*FAULTS, Mode.OPEN):
            await gate.become(mode)
            await gate.become(Mode.OPEN)
            reader, writer = await ask(gate)
            assert await reader.readexactly(len(ANSWER)) == ANSWER
            writer.close()
        assert gate.port == port


async def test_a_shut_gate_cuts_and_refuses() -> None:
    async with gated() as gate, asyncio.timeout(20):
        reader, writer = await ask(gate)
        await reader.readexactly(len(ANSWER))
        await gate.become(Mode.SHUT)
        with pytest.raises((ConnectionError, EOFError)):
            await reader.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await ask(gate)
        writer.close()


async def test_a_gate_that_hangs_says_nothing_until_it_is_open() -> None:
    async with gated() as gate, asyncio.timeout(20):
        await gate.become(Mode.HANG)
        reader, writer = await ask(gate)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
        await gate.become(Mode.OPEN)
        assert await reader.readexactly(len(ANSWER)) == ANSWER
        writer.close()


async def test_a_gate_that_cuts_lets_a_part_through() -> None:
    async with gated() as gate, asyncio.timeout(20):
        await gate.become(Mode.CUT)
        reader, writer = await ask(gate)
        came = b""
        with pytest.raises((ConnectionError, EOFError)):
            while True:
                came += await reader.readexactly(1)
        assert 0 < len(came) < len(ANSWER)
        writer.close()


async def test_a_slow_gate_is_quick_again_once_it_is_open() -> None:
    async with gated() as gate, asyncio.timeout(20):
        await gate.become(Mode.SLOW)
        reader, writer = await ask(gate)
        await reader.readexactly(400)
        # All of it would take 5 s.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.readexactly(len(ANSWER) - 400)
        await gate.become(Mode.OPEN)
        assert len(await reader.readexactly(400)) == 400
        writer.close()


def test_a_port_that_no_connection_is_given() -> None:
    port = steady_port(random.Random(1))
    with socket.create_server(("127.0.0.1", port)):
        assert steady_port(random.Random(1)) != port
    assert 10_000 <= port < 16_000


# Figures


def test_distributions() -> None:
    assert spread([]) == "0 | - | - | - | -"
    assert spread([float(n) for n in range(1, 101)]) == "100 | 50 | 95 | 99 | 100"


def test_a_histogram_has_a_line_for_each_bin_with_anything_in_it() -> None:
    assert histogram([]) == ["none"]
    lines = histogram([0.0, 9.9, 10.0, 35.0])
    assert [line.split()[:2] for line in lines] == [
        ["0-10", "2"],
        ["10-20", "1"],
        ["30-40", "1"],
    ]
    bars = [line.count("#") for line in lines]
    assert bars == [40, 20, 20]


# What others were told


def told(*reports: tuple[str, str, str]) -> Calls:
    calls = Calls()
    for step, call_id, key in reports:
        calls.told.append((step, call_id))
        calls.keys.append(key)
    return calls


WHOLE = (
    ("created", "a", "1-created"),
    ("ended", "a", "1-ended"),
    ("recording", "a", "1-recording"),
)


def test_a_backend_that_was_told_all_once() -> None:
    books = ToldBooks()
    busy = ("created", "b", "9-busy")
    check_backend(books, told(*WHOLE, WHOLE[2], busy), {"1": "a"}, {"b"})
    assert books.wrong == []
    assert (books.reports, books.repeated, books.busy) == (4, 1, 1)


def test_a_backend_that_was_told_too_little_or_too_much() -> None:
    books = ToldBooks()
    stranger, busy = ("created", "c", "2-created"), ("created", "d", "9-busy")
    check_backend(books, told(*WHOLE[:2], stranger, busy), {"1": "a"}, set())
    assert books.wrong == [
        "a: the backend was not told 1-recording",
        "c: the backend was told 2-created, and there is no record",
        "d: the backend was told that it was busy",
    ]


def test_a_list_that_lacks_calls_or_has_others() -> None:
    books = ToldBooks()
    check_list(books, {"1": "stored", "2": "ended", "4": "lost"}, {"1": "a", "2": "b", "3": "c"})
    assert books.wrong == [
        "b: ended in the list of calls, as 2",
        "c: not in the list of calls, as 3",
        "4: listed as lost, and there is no record",
    ]
