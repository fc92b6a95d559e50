"""The least that a server can do with a webhook: say the same to whoever asks.

    python -m bench.burst_echo --port 8000

What a burst of callers waits for here is the callers' own share, and that of the sockets.
"""

import argparse
import asyncio
from typing import Final

from bench.burst import whole_answer
from bench.processes import LOOPBACK

_BODY: Final = b"<Response><Speak>echo</Speak><Hangup /></Response>"
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Echo(asyncio.Protocol):
    """One connection, for one request."""

    def __init__(self) -> None:
        self._got = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        # A request ends as an answer does; its first line has a word where that has a status.
        if whole_answer(b"- 0 \r\n" + self._got) is not None:
            self._transport.write(_ANSWER)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Echo, LOOPBACK, port)
    await server.serve_forever()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m bench.burst_echo")
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
