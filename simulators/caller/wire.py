"""A WebSocket client without tasks or queues: bytes in, callbacks out.

Built on the protocol object of ``websockets``; a message costs a few microseconds, sending
never waits, and a test can misbehave at any level: garbage in a text frame, half a frame, a
reset, or a peer that is alive no more.
"""

import asyncio
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, Protocol, cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

#: Messages larger than this are refused with 1009.
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
#: Above this many bytes waiting in the socket, audio is dropped instead of queued.
MAX_WAITING_BYTES: Final = 256 * 1024
ABNORMAL_CLOSURE: Final = 1006


class WireRefused(ConnectionError):
    """The server did not accept the WebSocket.

    Attributes:
        status: HTTP status of its answer, or None where there was none.
    """

    def __init__(self, message: str, *, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class WireListener(Protocol):
    """Who is told what arrives."""

    def text_received(self, data: bytes) -> None:
        """A text message, complete, not yet checked for UTF-8."""

    def binary_received(self, data: bytes) -> None:
        """A binary message, complete."""

    def closed(self, code: int, reason: str) -> None:
        """The connection ended; called once."""


class Wire(asyncio.Protocol):
    """One WebSocket connection.

    Attributes:
        bytes_sent, bytes_received: Counted on the wire, framing included.
        dropped: Messages not sent because the peer does not read.
    """

    def __init__(
        self, listener: WireListener, protocol: ClientProtocol, headers: Mapping[str, str]
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._headers = headers
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        self._fragments: list[bytes] = []
        self._fragments_are_text = True
        self._vanished = False
        self.bytes_sent = 0
        self.bytes_received = 0
        self.dropped = 0

    @property
    def local_port(self) -> int:
        """Of this end; 0 before it is connected."""
        name = self._transport and self._transport.get_extra_info("sockname")
        return int(name[1]) if name else 0

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        state = self._protocol.state
        return state is State.OPEN and not self._vanished and not self._gone.is_set()

    def send_text(self, data: bytes) -> bool:
        """Send a text message; nothing checks that it is UTF-8. Returns whether it left."""
        if not self._writable():
            return False
        self._protocol.send_text(data)
        self._flush()
        return True

    def send_binary(self, data: bytes) -> bool:
        """Send a binary message. Returns whether it left."""
        if not self._writable():
            return False
        self._protocol.send_binary(data)
        self._flush()
        return True

    def send_bytes(self, data: bytes) -> None:
        """Write bytes as they are below the WebSocket framing."""
        if self._transport is not None:
            self._transport.write(data)

    async def close(self, code: int = 1000, reason: str = "", *, wait_seconds: float = 2.0) -> None:
        """Close by handshake; cut the line where the peer does not answer in time."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()
        try:
            async with asyncio.timeout(wait_seconds):
                await self._gone.wait()
        except TimeoutError:
            self.abort()
            await self._gone.wait()

    def abort(self) -> None:
        """Cut the TCP connection without a closing handshake."""
        if self._transport is not None:
            self._transport.abort()

    def vanish(self) -> None:
        """Stop reading and writing while the connection stays up: a half-open peer."""
        self._vanished = True
        if self._transport is not None:
            self._transport.pause_reading()

    async def opened(self) -> None:
        """Wait for the handshake.

        Raises:
            WireRefused: The server answered with something else than 101.
        """
        await self._opened

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: uvloop's transports do not descend from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        request = self._protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.bytes_received += len(data)
        self._protocol.receive_data(data)
        self._take_events()
        self._flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._take_events()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(WireRefused("connection lost", status=None))
            self._opened.exception()
            self._gone.set()
            return
        self._gone.set()
        if not self._opened.cancelled() and self._opened.exception() is None:
            close = self._protocol.close_rcvd or self._protocol.close_sent
            code = close.code if close else ABNORMAL_CLOSURE
            self._listener.closed(code, close.reason if close else "")

    def _writable(self) -> bool:
        if not self.open or self._transport is None:
            return False
        if self._transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self.dropped += 1
            return False
        return True

    def _flush(self) -> None:
        if self._transport is None or self._vanished:
            return
        for data in self._protocol.data_to_send():
            if data:
                self.bytes_sent += len(data)
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
        if self._protocol.close_expected():
            self._transport.close()

    def _take_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
            elif isinstance(event, Response):
                self._take_response(event)

    def _take_response(self, response: Response) -> None:
        if self._opened.done():
            return
        failure = self._protocol.handshake_exc
        if failure is None:
            self._opened.set_result(None)
            return
        status = response.status_code
        detail = f"HTTP {status} {response.reason_phrase}".strip()
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            detail = str(failure)
        self._opened.set_exception(WireRefused(f"WebSocket refused: {detail}", status=status))

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin:
            self._listener.text_received(bytes(frame.data))
        elif frame.opcode is Opcode.BINARY and frame.fin:
            self._listener.binary_received(bytes(frame.data))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._fragments = [bytes(frame.data)]
            self._fragments_are_text = frame.opcode is Opcode.TEXT
        elif frame.opcode is Opcode.CONT:
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                self._take_fragments()

    def _take_fragments(self) -> None:
        message, self._fragments = b"".join(self._fragments), []
        if self._fragments_are_text:
            self._listener.text_received(message)
        else:
            self._listener.binary_received(message)


async def open_wire(
    url: str,
    listener: WireListener,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = 10.0,
) -> Wire:
    """Connect to a ``ws://`` or ``wss://`` URL, without compression.

    Raises:
        WireRefused: The server did not answer, or refused the upgrade.
        ValueError: Not a WebSocket URL.
    """
    uri = parse_uri(url)
    loop = asyncio.get_running_loop()

    def build() -> Wire:
        return Wire(listener, ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES), headers or {})

    context = ssl.create_default_context() if uri.secure else None
    try:
        async with asyncio.timeout(timeout_seconds):
            _, wire = await loop.create_connection(build, uri.host, uri.port, ssl=context)
            try:
                await wire.opened()
            except BaseException:
                wire.abort()
                raise
    except (TimeoutError, OSError) as error:
        if isinstance(error, WireRefused):
            raise
        detail = str(error) or f"no answer within {timeout_seconds:g} s"
        raise WireRefused(f"cannot connect: {detail}", status=None) from error
    return wire
