"""Threads of a store: bounded, given up at the deadline, and closed without waiting."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from config.errors import StorageError
from storage.threads import StoreThreads, end_by
from tests.unit.storage.wires import clock_held
from tests.virtual_time import running_loop, virtual_time


@pytest.fixture
async def threads() -> AsyncIterator[StoreThreads]:
    made = StoreThreads("store", 1)
    yield made
    made.close()


def hang(silent: socket.socket) -> bytes:
    end_by(lambda: silent.shutdown(socket.SHUT_RDWR))
    return silent.recv(1)


@pytest.fixture
async def silent() -> AsyncIterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


@virtual_time
async def test_what_is_given_up_at_its_deadline_frees_its_thread() -> None:
    threads, begun = StoreThreads("store", 1), threading.Event()
    ours, theirs = socket.socketpair()

    def begin() -> bytes:
        begun.set()
        return hang(ours)

    with ours, theirs:
        async with clock_held():
            running = asyncio.create_task(threads.run(40, begin))
            assert await asyncio.to_thread(begun.wait, 30)
            running_loop().stall(41)
            with pytest.raises(StorageError, match="store gave no answer in 40 s") as caught:
                await running
            assert caught.value.code == "storage_unavailable"
            assert await threads.run(10, lambda: "free") == "free"
    threads.close()


@virtual_time
async def test_nothing_new_is_begun_after_the_deadline() -> None:
    threads = StoreThreads("store", 1)
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()
    seen: list[str] = []

    def late() -> None:
        begun.set()
        go.wait(30)
        try:
            end_by(lambda: None)
        except StorageError as error:
            seen.append(error.code)
        ended.set()

    async with clock_held():
        running = asyncio.create_task(threads.run(40, late))
        assert await asyncio.to_thread(begun.wait, 30)
        running_loop().stall(41)
        with pytest.raises(StorageError):
            await running
        go.set()
        assert await asyncio.to_thread(ended.wait, 30)
    assert seen == ["storage_unavailable"]
    threads.close()


async def test_what_has_ended_well_is_not_ended_again(threads: StoreThreads) -> None:
    ends: list[str] = []
    await threads.run(10, lambda: end_by(lambda: ends.append("ended")))
    threads.close()
    assert ends == []


async def test_closing_ends_what_waits_and_what_runs(
    threads: StoreThreads, silent: socket.socket
) -> None:
    begun = threading.Event()

    def begin() -> bytes:
        begun.set()
        return hang(silent)

    running = asyncio.create_task(threads.run(60, begin))
    waiting = asyncio.create_task(threads.run(60, lambda: b"never"))
    assert await asyncio.to_thread(begun.wait, 30)
    threads.close()
    async with asyncio.timeout(30):
        assert await running == b""  # The socket's end: the call itself says what that means.
        with pytest.raises(StorageError, match="was closed before its turn came"):
            await waiting
    with pytest.raises(StorageError, match="store is closed"):
        await threads.run(1, lambda: b"")


@virtual_time
async def test_a_source_is_closed_when_nobody_reads_it_any_more() -> None:
    threads = StoreThreads("store", 1)
    order: list[str] = []
    begun, go, closed = threading.Event(), threading.Event(), threading.Event()

    def read() -> bytes:
        begun.set()
        go.wait(30)
        order.append("read")
        return b"x"

    def close() -> None:
        order.append("closed")
        closed.set()

    async def first() -> bytes:
        return await anext(threads.blocks(40, read, close))

    async with clock_held():
        reading = asyncio.create_task(first())
        assert await asyncio.to_thread(begun.wait, 30)
        running_loop().stall(41)
        with pytest.raises(StorageError):
            await reading
        assert order == []
        go.set()
        assert await asyncio.to_thread(closed.wait, 30)
    assert order == ["read", "closed"]
    threads.close()


async def test_a_source_is_closed_at_its_end_and_when_left_halfway(threads: StoreThreads) -> None:
    pieces = [b"1", b"2", b""]
    closed: list[int] = []
    async with aclosing(
        threads.blocks(10, lambda: pieces.pop(0), lambda: closed.append(len(pieces)))
    ) as blocks:
        assert [block async for block in blocks] == [b"1", b"2"]
    assert closed == [0]
    pieces = [b"1", b"2", b""]
    async with aclosing(
        threads.blocks(10, lambda: pieces.pop(0), lambda: closed.append(len(pieces)))
    ) as blocks:
        assert await anext(blocks) == b"1"
    assert closed == [0, 2]


@virtual_time
async def test_the_deadline_begins_when_the_turn_has_come() -> None:
    threads = StoreThreads("store", 1, turn_seconds=240)
    go, begun = threading.Event(), threading.Event()
    ours, theirs = socket.socketpair()

    def begin() -> bytes:
        begun.set()
        return hang(ours)

    with ours, theirs:
        async with clock_held():
            first = asyncio.create_task(threads.run(1000, go.wait, 30))
            second = asyncio.create_task(threads.run(40, begin))
            third = asyncio.create_task(threads.run(40, lambda: "answer"))
            await asyncio.sleep(0)
            running_loop().stall(190)
            await asyncio.sleep(0)
            assert not second.done()
            go.set()
            assert await first
            assert await asyncio.to_thread(begun.wait, 30)
            running_loop().stall(41)
            # Nobody has the thread for longer than the deadline, however many wait for it.
            with pytest.raises(StorageError, match="store gave no answer in 40 s"):
                await second
            assert await third == "answer"
    threads.close()


@virtual_time
async def test_what_has_no_turn_in_time_is_never_begun() -> None:
    threads = StoreThreads("store", 1, turn_seconds=240)
    taken, go, begun = threading.Event(), threading.Event(), threading.Event()

    def take() -> bool:
        taken.set()
        return go.wait(30)

    async with clock_held():
        first = asyncio.create_task(threads.run(1000, take))
        second = asyncio.create_task(threads.run(40, begun.set))
        assert await asyncio.to_thread(taken.wait, 30)
        running_loop().stall(241)
        with pytest.raises(StorageError, match="store had no thread free in 240 s") as caught:
            await second
        assert caught.value.code == "storage_unavailable"
        go.set()
        assert await threads.run(40, lambda: "answer") == "answer"
        await first
    assert not begun.is_set()
    threads.close()


@virtual_time
async def test_where_somebody_waits_the_turn_is_part_of_the_deadline() -> None:
    threads, go = StoreThreads("store", 1), threading.Event()
    async with clock_held():
        first = asyncio.create_task(threads.run(1000, go.wait, 30))
        second = asyncio.create_task(threads.run(40, lambda: "late"))
        await asyncio.sleep(0)
        running_loop().stall(41)
        with pytest.raises(StorageError, match="store gave no answer in 40 s"):
            await second
        go.set()
        await first
    threads.close()
