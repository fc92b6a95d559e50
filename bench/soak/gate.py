"""A door before a service that can be shut: what is behind it is then away for the server."""

import asyncio
import contextlib
from typing import Final

_BLOCK_BYTES: Final = 65_536


class Gate:
    """Hands connections on to a port, unless it is shut.

    Shut, it cuts all connections and refuses new ones. What is behind it notices nothing else,
    so that a service need not keep anything on disk to come back with all it had.

    Args:
        name: For reports.
        target: Port on loopback.
    """

    def __init__(self, name: str, target: int) -> None:
        self.name = name
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Let connections through; on the same port each time."""
        self._server = await asyncio.start_server(self._through, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def shut(self) -> None:
        """Cut and refuse."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                there, out = await asyncio.open_connection("127.0.0.1", self._target)
                self._writers.add(out)
                try:
                    await asyncio.gather(_pour(reader, out), _pour(there, writer))
                finally:
                    self._writers.discard(out)
                    out.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await source.read(_BLOCK_BYTES):
            target.write(block)
            await target.drain()
        target.write_eof()
