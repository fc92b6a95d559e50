"""One connection to a simulated vendor: what came in, and what is done to it."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from aiohttp import web

from simulators.behaviour import Behaviour

_GARBAGE: Final[tuple[str | bytes, ...]] = (
    '{"type":',
    b"\x00\xff\xfe\x80garbage",
    "[]",
    '"\u200b"',
    b"",
    '{"type":null}',
)
_CLOSE_TIMEOUT_SECONDS: Final = 1.0
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
ABNORMAL_CLOSURE: Final = 1006


@dataclass(frozen=True, slots=True)
class Received:
    """One HTTP request, or the handshake of a WebSocket, as it arrived.

    Attributes:
        query: Every parameter in order, repeated ones included.
        headers: Header fields; look-up ignores case.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """The body, decoded.

        Raises:
            ValueError: It isn't JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(str(error)) from error


class Connection:
    """A WebSocket or an HTTP request that a simulator accepted or refused.

    Attributes:
        index: Its number, counted from 0 in the order of arrival.
        received: The request or handshake.
        behaviour: How it is treated.
        audio: The audio received (empty where the simulator doesn't keep audio).
        audio_bytes: How much audio was received.
        messages: Text messages received, in order.
        sent_bytes: How much audio or response body was sent.
        close_code: WebSocket close code, once closed; 1006 for a torn connection.
        abandoned: The other end went away before an HTTP response was complete.
        silent: It says nothing any more.
        is_deaf: It takes nothing in any more either: half open, or torn.
    """

    def __init__(
        self,
        *,
        index: int,
        received: Received,
        behaviour: Behaviour,
        transport: asyncio.Transport,
        on_change: Callable[[], None],
        keep_audio: bool,
    ) -> None:
        self.index = index
        self.received = received
        self.behaviour = behaviour
        self.audio = bytearray()
        self.audio_bytes = 0
        self.messages: list[str] = []
        self.sent_bytes = 0
        self.close_code: int | None = None
        self.abandoned = False
        self.silent = False
        self.is_deaf = False
        self.ended = asyncio.Event()
        self._transport = transport
        self._on_change = on_change
        self._keep_audio = keep_audio
        self._websocket: web.WebSocketResponse | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._spoke = False
        self._base_bytes = 0
        self._limit_bytes: float = math.inf
        self._accepted = False

    # -- what the tests do -------------------------------------------------------------

    def behave(self, behaviour: Behaviour) -> None:
        """Treat this connection differently from now on; times count from now."""
        self.behaviour = behaviour
        self.silent = False
        if self._accepted:
            self._arm()

    def drop(self, code: int | None = None, reason: str = "") -> None:
        """Go away now, torn or with a close code."""
        self._disarm()
        if code is None or self._websocket is None:
            self.silent = self.is_deaf = True
            self.close_code = ABNORMAL_CLOSURE
            self._transport.abort()
            return
        closing = asyncio.ensure_future(self.close(code, reason))
        self._tasks.add(closing)
        closing.add_done_callback(self._tasks.discard)

    # -- what the simulators do --------------------------------------------------------

    async def upgrade(
        self, request: web.Request, *, protocols: Sequence[str] = ()
    ) -> web.WebSocketResponse:
        """Accept the WebSocket."""
        websocket = web.WebSocketResponse(
            timeout=_CLOSE_TIMEOUT_SECONDS,
            compress=False,
            max_msg_size=_MAX_MESSAGE_BYTES,
            protocols=protocols,
        )
        await websocket.prepare(request)
        self._websocket = websocket
        self.accepted()
        return websocket

    def accepted(self) -> None:
        """Start the clock of the behaviour."""
        self._accepted = True
        self._arm()

    def hear(self, data: bytes) -> None:
        """Note received audio, and do what is due after so many bytes."""
        self.audio_bytes += len(data)
        if self._keep_audio:
            self.audio += data
        if self.audio_bytes >= self._limit_bytes:
            self._reach(self.audio_bytes)
        self._on_change()

    def read(self, text: str) -> None:
        """Note a received text message."""
        self.messages.append(text)
        self._on_change()

    def sent(self, count: int) -> None:
        """Count what was sent, and do what is due after so many bytes."""
        self.sent_bytes += count
        if self.sent_bytes >= self._limit_bytes:
            self._reach(self.sent_bytes)
        self._on_change()

    def due_error(self) -> bool:
        """Whether the vendor's own error message is due; true once."""
        limit = self.behaviour.error_after_bytes
        if limit is None or max(self.sent_bytes, self.audio_bytes) - self._base_bytes < limit:
            return False
        self.behaviour = replace(self.behaviour, error_after_bytes=None)
        return True

    async def before_first(self) -> None:
        """Wait and send garbage, as the behaviour wants, before the first result."""
        if self._spoke:
            return
        self._spoke = True
        if self.behaviour.first_result_delay_ms:
            await asyncio.sleep(self.behaviour.first_result_delay_ms / 1000)
        for number in range(self.behaviour.garbage_frames):
            frame = _GARBAGE[number % len(_GARBAGE)]
            await self._send(frame)

    async def say(self, message: str | bytes) -> bool:
        """Send a frame, unless this connection has fallen silent.

        Returns:
            Whether it was sent.
        """
        if not self._spoke:
            await self.before_first()
        for _ in range(self.behaviour.flood_frames):
            if not await self._send(message):
                return False
        return await self._send(message)

    async def close(self, code: int, reason: str = "") -> None:
        """Close the WebSocket properly."""
        if self._websocket is not None and not self._websocket.closed:
            self.close_code = code
            await self._websocket.close(code=code, message=reason.encode()[:123])

    async def lie_low(self) -> None:
        """Wait until the connection is torn, here or by the other end (which cancels this)."""
        await asyncio.Event().wait()

    def end(self) -> None:
        """The handler is through."""
        self._disarm()
        if self.close_code is None and self._websocket is not None:
            self.close_code = self._websocket.close_code
        self.ended.set()
        self._on_change()

    async def _send(self, message: str | bytes) -> bool:
        websocket = self._websocket
        if self.silent or websocket is None or websocket.closed:
            return False
        try:
            if isinstance(message, str):
                await websocket.send_str(message)
            else:
                await websocket.send_bytes(message)
        except ConnectionError:
            return False
        return True

    # -- timers ------------------------------------------------------------------------

    def _arm(self) -> None:
        self._disarm()
        loop = asyncio.get_running_loop()
        behaviour = self.behaviour
        for after_ms, action in (
            (behaviour.drop_after_ms, self._drop_as_told),
            (behaviour.stall_after_ms, self._stall),
            (behaviour.half_open_after_ms, self._half_open),
        ):
            if after_ms is None:
                continue
            if after_ms <= 0:
                action()
            else:
                self._timers.append(loop.call_later(after_ms / 1000, action))
        self._base_bytes = max(self.audio_bytes, self.sent_bytes)
        self._set_limit()

    def _set_limit(self) -> None:
        limits = (self.behaviour.drop_after_bytes, self.behaviour.stall_after_bytes)
        self._limit_bytes = self._base_bytes + min(
            (limit for limit in limits if limit is not None), default=math.inf
        )

    def _reach(self, count: int) -> None:
        past = count - self._base_bytes
        behaviour = self.behaviour
        if behaviour.stall_after_bytes is not None and past >= behaviour.stall_after_bytes:
            self._stall()
            self.behaviour = replace(behaviour, stall_after_bytes=None)
        if behaviour.drop_after_bytes is not None and past >= behaviour.drop_after_bytes:
            self._drop_as_told()
        self._set_limit()

    def _disarm(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _drop_as_told(self) -> None:
        self.behaviour = replace(self.behaviour, drop_after_bytes=None)
        self.drop(self.behaviour.drop_code, self.behaviour.drop_reason)

    def _stall(self) -> None:
        self.silent = True
        self._on_change()

    def _half_open(self) -> None:
        self.silent = self.is_deaf = True
        if self._transport.is_reading():
            self._transport.pause_reading()
        self._on_change()
