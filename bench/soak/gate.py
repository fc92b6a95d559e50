"""A door before a service that fails as services do: what is behind it never notices."""

import asyncio
import contextlib
import random
from enum import StrEnum
from typing import Final

from bench.soak.ports import steady_port

_BLOCK_BYTES: Final = 65_536
#: Of what is on its way to the server when a connection is cut.
_CUT_WITHIN_BYTES: Final = 4_096
#: A tenth of what a vendor's voice needs.
_SLOW_BYTES_PER_SECOND: Final = 4_000
_SLOW_PIECE_BYTES: Final = 400


class Mode(StrEnum):
    """What the gate does with connections, those that it has and those that come.

    ``SHUT`` cuts and refuses; ``HANG`` accepts and says nothing; ``CUT`` lets the beginning of an
    answer through and cuts then; ``SLOW`` lets through 4 kB/s each way.
    """

    OPEN = "open"
    SHUT = "away"
    HANG = "hangs"
    CUT = "cuts answers off"
    SLOW = "is slow"


FAULTS: Final = (Mode.SHUT, Mode.HANG, Mode.CUT, Mode.SLOW)


class Gate:
    """Hands connections on to a port, as well as its mode lets it.

    A service behind it need not keep anything on disk to come back with all it had.

    Args:
        name: For reports.
        target: Port on loopback.
        rng: Says where answers are cut, and chooses the gate's own port.
    """

    def __init__(self, name: str, target: int, rng: random.Random) -> None:
        self.name = name
        self.port = steady_port(rng)
        self.mode = Mode.SHUT
        self._target = target
        self._rng = rng
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def become(self, mode: Mode) -> None:
        """Work like this from now on; always on the same port."""
        self.mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode is Mode.SHUT:
            await self._shut()
        elif self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Shut for good; returns when every connection is gone."""
        await self.become(Mode.SHUT)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)  # The transports say goodbye in the loop's next round.

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._through(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                there, out = await asyncio.open_connection("127.0.0.1", self._target)
                self._writers.add(out)
                try:
                    await asyncio.gather(
                        self._pour(reader, out, answers=False),
                        self._pour(there, writer, answers=True),
                    )
                finally:
                    self._writers.discard(out)
                    out.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pour(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while block := await source.read(_BLOCK_BYTES):
                while self.mode is Mode.HANG:
                    await self._changed.wait()
                if self.mode is Mode.CUT and answers:
                    target.write(block[: self._rng.randrange(_CUT_WITHIN_BYTES)])
                    await target.drain()
                    target.transport.abort()
                    return
                await self._write(target, block)
            target.write_eof()

    async def _write(self, target: asyncio.StreamWriter, block: bytes) -> None:
        """All of it, in drops while the gate is slow."""
        while self.mode is Mode.SLOW and block:
            piece, block = block[:_SLOW_PIECE_BYTES], block[_SLOW_PIECE_BYTES:]
            target.write(piece)
            await target.drain()
            await asyncio.sleep(len(piece) / _SLOW_BYTES_PER_SECOND)
        target.write(block)
        await target.drain()
