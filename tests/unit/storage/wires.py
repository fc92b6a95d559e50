"""Lines between the store and its service that break, crawl or fall silent."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from storage.minio import MinioStorage
from tests.minio import S3Server

_PIECE_BYTES = 64 * 1024

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def opened(server: S3Server, **changes: object) -> AsyncIterator[MinioStorage]:
    """A store in buckets of its own, with other options where ``changes`` says so."""
    buckets = {kind: f"{kind}-{uuid4().hex[:8]}" for kind in ("recordings", "transcripts")}
    made = MinioStorage(server.options(**{"buckets": buckets, **changes}))
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def clock_held() -> AsyncIterator[None]:
    """Virtual time moves only where the test says so: a store's threads are waited for."""
    over = threading.Event()
    holding = asyncio.create_task(asyncio.to_thread(over.wait, 60))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        over.set()
        await holding


@dataclass
class Line:
    """A line to a service on loopback.

    Attributes:
        cut_after_bytes: What the store may send over all connections; then they are cut, and
            new ones too, until :meth:`mend`.
        pause_seconds: Between pieces that the store sends.
        stall_seconds: Once, in the middle of what is sent: after ``stall_after_bytes``.
        uploads: How many have begun.
        holds: Requests that begin so never arrive, nor does anything behind them.
        held: Released once for each request that is held.
    """

    target: int
    cut_after_bytes: int | None = None
    pause_seconds: float = 0.0
    stall_seconds: float = 0.0
    stall_after_bytes: int = 0
    uploads: int = 0
    holds: bytes | None = None
    held: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    passed_bytes: int = 0
    endpoint: str = ""

    def mend(self) -> None:
        """Let everything through from now on."""
        self.cut_after_bytes = None

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        back, out = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            up = asyncio.create_task(self._up(reader, out))
            down = asyncio.create_task(self._down(back, writer))
            done, left = await asyncio.wait({up, down}, return_when="FIRST_COMPLETED")
            for task in left:
                task.cancel()
            await asyncio.gather(*done, *left, return_exceptions=True)
        finally:
            out.transport.abort()
            writer.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE_BYTES):
            self.passed_bytes += len(piece)
            self.uploads += piece.startswith(b"PUT /")
            if self.cut_after_bytes is not None and self.passed_bytes > self.cut_after_bytes:
                return
            if self.holds is not None and piece.startswith(self.holds):
                self.held.release()
                while await reader.read(_PIECE_BYTES):
                    pass
                return
            await asyncio.sleep(self._pause())
            out.write(piece)
            await out.drain()

    def _pause(self) -> float:
        if self.passed_bytes <= self.stall_after_bytes:
            return self.pause_seconds
        stall, self.stall_seconds = self.stall_seconds, 0.0
        return max(stall, self.pause_seconds)

    async def _down(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await back.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def line_to(server: S3Server, **how: object) -> AsyncIterator[Line]:
    """A line to the service; its ``endpoint`` is for the store's options."""
    line = Line(target=server.port, **how)  # type: ignore[arg-type]
    async with serving(line.carry) as line.endpoint:
        yield line


@asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[str]:
    """A server on loopback with small buffers, so that what is slow is felt at once."""
    tasks: set[asyncio.Task[None]] = set()

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            # Python 3.11 logs a handler that was cancelled as an error of its own.
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                await handle(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE_BYTES)
    listener.bind(("127.0.0.1", 0))
    listening = await asyncio.start_server(tracked, sock=listener)
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listening.close()
        await asyncio.sleep(0)  # Those who came last begin, so that they are ended too.
        left = tuple(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await listening.wait_closed()
