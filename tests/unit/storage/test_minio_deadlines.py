"""A service that hangs, crawls or breaks off: an answer in time, and no thread lost to it."""

import asyncio
import contextlib
import hashlib
import threading
from pathlib import Path

import pytest

from config.errors import StorageError
from storage.minio import MinioStorage
from tests.minio import S3Server, s3_server
from tests.unit.storage.wires import clock_held, line_to, opened, serving
from tests.until import until
from tests.virtual_time import running_loop, virtual_time

NOWHERE = S3Server(folder=Path())
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: 1000\r\n\r\n"


class Stubborn:
    """A service that reads requests and then does as its test says."""

    def __init__(self, *pieces: bytes, then: str = "silence") -> None:
        self._pieces = pieces
        self._then = then
        self.requests = 0
        #: Released when the store has let go of a connection.
        self.left = asyncio.Semaphore(0)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        for piece in self._pieces:
            writer.write(piece)
            await writer.drain()
        if self._then == "close":
            return
        gone = asyncio.create_task(reader.read())
        gone.add_done_callback(lambda _: self.left.release())
        try:
            while not gone.done():
                if self._then == "trickle":
                    writer.write(b"H")
                await asyncio.wait({gone}, timeout=0.05)
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await gone


async def failure(made: MinioStorage, what: str) -> StorageError:
    calls = {
        "put": lambda: made.put_bytes("recordings", "a", b"1", "text/plain"),
        "stat": lambda: made.stat("recordings", "a"),
        "read": lambda: made.read("recordings", "a"),
        "sha256": lambda: made.sha256("recordings", "a"),
        "delete": lambda: made.delete("recordings", "a"),
        "page": lambda: made.page("recordings"),
        "health": made.health,
    }
    async with asyncio.timeout(20):
        with pytest.raises(StorageError) as caught:
            await calls[what]()
    assert caught.value.code == "storage_unavailable"
    return caught.value


async def idle(made: MinioStorage) -> None:
    """Every thread of the store takes work again."""
    for threads in (made._filing, made._reading, made._health):
        assert await threads.run(10, lambda: "free") == "free"


EVERYTHING = ["put", "stat", "read", "sha256", "delete", "page", "health"]


@pytest.mark.parametrize("what", EVERYTHING)
async def test_silence_is_not_waited_for_twice(what: str) -> None:
    service = Stubborn()
    limits = {"read_seconds": 0.2, "call_seconds": 15.0, "health_seconds": 15.0, "threads": 1}
    async with (
        serving(service.handle) as endpoint,
        opened(NOWHERE, endpoint=endpoint, **limits) as made,
    ):
        error = await failure(made, what)
        assert "no usable answer from MinIO" in error.message
        await until(lambda: service.requests)
        assert service.requests == 1
        await idle(made)


@pytest.mark.parametrize("what", EVERYTHING)
async def test_a_byte_now_and_then_is_no_answer(what: str) -> None:
    # Each byte comes well within the limit for silence, and the head of the answer has no end.
    service = Stubborn(b"HTTP/1.1 200 OK\r\nX: ", then="trickle")
    limits = {"read_seconds": 5.0, "call_seconds": 1.2, "health_seconds": 1.2, "threads": 1}
    async with (
        serving(service.handle) as endpoint,
        opened(NOWHERE, endpoint=endpoint, **limits) as made,
    ):
        error = await failure(made, what)
        assert "gave no answer in 1.2" in error.message
        async with asyncio.timeout(30):
            await service.left.acquire()
            await idle(made)
        assert service.requests == 1


async def test_a_crawling_object_is_left_at_the_deadline() -> None:
    service = Stubborn(HEAD, then="trickle")
    limits = {"read_seconds": 5.0, "call_seconds": 1.2, "threads": 1}
    async with (
        serving(service.handle) as endpoint,
        opened(NOWHERE, endpoint=endpoint, **limits) as made,
    ):
        error = await failure(made, "read")
        assert "gave no answer" in error.message
        async with asyncio.timeout(30):
            await service.left.acquire()
            await idle(made)


async def test_a_reader_who_goes_away_leaves_no_thread_behind() -> None:
    service = Stubborn(HEAD, then="trickle")
    async with (
        serving(service.handle) as endpoint,
        opened(NOWHERE, endpoint=endpoint, read_seconds=30.0, threads=1) as made,
    ):
        reading = asyncio.create_task(made.read("recordings", "a"))
        async with asyncio.timeout(30):
            await until(lambda: service.requests)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await service.left.acquire()
            await idle(made)


@pytest.mark.parametrize("what", ["read", "sha256"])
async def test_an_object_that_breaks_off_is_no_object(what: str) -> None:
    service = Stubborn(HEAD + b"only this", then="close")
    async with (
        serving(service.handle) as endpoint,
        opened(NOWHERE, endpoint=endpoint) as made,
    ):
        await failure(made, what)
        await idle(made)


async def test_twenty_hanging_uploads_leave_readers_and_health_alone() -> None:
    with s3_server() as server:
        before = set(threading.enumerate())  # What other tests left may still be ending.
        async with line_to(server) as line, opened(server, endpoint=line.endpoint) as made:
            await made.put_bytes("recordings", "old", b"kept", "text/plain")
            await made.health()
            line.holds = b"PUT /"
            hanging = [
                asyncio.create_task(made.put_bytes("recordings", f"new-{n}", b"1", "text/plain"))
                for n in range(20)
            ]
            async with asyncio.timeout(30):
                for _ in range(made._options.threads):
                    await line.held.acquire()
                assert await made.read("recordings", "old") == b"kept"
                assert [i.key for i in await made.page("recordings")] == ["old"]
                assert (await made.stat("recordings", "old")).size_bytes == 4
                await made.health()
            assert not any(task.done() for task in hanging)
            ours = [t for t in threading.enumerate() if t not in before]
            filing = [t for t in ours if t.name.startswith("minio-filing")]
            assert len(filing) == made._options.threads
            # A process that ends waits for none of them.
            await made.close()
            async with asyncio.timeout(30):
                ends = await asyncio.gather(*hanging, return_exceptions=True)
            assert {type(end) for end in ends} == {StorageError}
            assert {end.code for end in ends if isinstance(end, StorageError)} == {
                "storage_unavailable"
            }
            for thread in ours:
                if thread.name.startswith("minio"):
                    await asyncio.to_thread(thread.join, 30)
                    assert not thread.is_alive()


@virtual_time
async def test_uploads_and_proofs_lose_no_time_to_those_before_them() -> None:
    digest = hashlib.sha256(b"kept").hexdigest()
    with s3_server() as server:
        async with (
            clock_held(),
            line_to(server) as line,
            opened(server, endpoint=line.endpoint, threads=1) as made,
        ):
            await made.put_bytes("recordings", "old", b"kept", "text/plain")
            line.holds = b"PUT /"
            hanging = asyncio.create_task(made.put_bytes("recordings", "new", b"1", "text/plain"))
            await line.held.acquire()
            line.holds = None
            uploads = [
                asyncio.create_task(made.put_bytes("recordings", f"{n}", b"1", "text/plain"))
                for n in range(3)
            ]
            proof = asyncio.create_task(made.sha256("recordings", "old"))
            await asyncio.sleep(0)
            assert await made.read("recordings", "old") == b"kept"
            await made.health()
            # The deadline of all of them, had it begun already.
            running_loop().stall(made._options.call_seconds + 1)
            with pytest.raises(StorageError, match="gave no answer in 40"):
                await hanging
            assert [info.size_bytes for info in await asyncio.gather(*uploads)] == [1, 1, 1]
            assert await proof == digest


async def test_a_slow_line_may_take_its_time_for_a_part(tmp_path: Path) -> None:
    # A part may take longer than any limit, and a piece of it longer than the limit for
    # connecting, which urllib3 leaves on the socket.
    source = tmp_path / "call.wav"
    source.write_bytes(bytes(16 * 1024 * 1024))
    with s3_server() as server:
        limits = {"connect_seconds": 0.3, "read_seconds": 3.0, "part_bytes": 20 * 1024 * 1024}
        how = {"pause_seconds": 0.025, "stall_seconds": 1.0, "stall_after_bytes": 4 * 1024 * 1024}
        async with (
            line_to(server, **how) as line,
            opened(server, endpoint=line.endpoint, **limits) as made,
        ):
            info = await made.put_file("recordings", "a", source, "audio/wav")
            assert info.size_bytes == 16 * 1024 * 1024


async def test_a_service_that_stops_reading_is_silent_too(tmp_path: Path) -> None:
    source = tmp_path / "call.wav"
    source.write_bytes(bytes(16 * 1024 * 1024))
    with s3_server() as server:
        # The service itself, which may stand still for a moment, answers the first in time.
        limits = {"read_seconds": 2.0, "part_bytes": 20 * 1024 * 1024, "threads": 1}
        async with (
            line_to(server) as line,
            opened(server, endpoint=line.endpoint, **limits) as made,
        ):
            await made.put_bytes("recordings", "first", b"1", "text/plain")
            line.pause_seconds, line.uploads = 3600, 0
            with pytest.raises(StorageError) as caught:
                async with asyncio.timeout(20):
                    await made.put_file("recordings", "a", source, "audio/wav")
            assert caught.value.code == "storage_unavailable"
            assert line.uploads == 1
            await idle(made)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_answer_of_50x_is_asked_for_once_more_and_no_more(status: int) -> None:
    reply = f"HTTP/1.1 {status} Slow\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    service = Stubborn(reply.encode(), then="close")
    async with serving(service.handle) as endpoint, opened(NOWHERE, endpoint=endpoint) as made:
        await failure(made, "stat")
        assert service.requests == 2
