"""What every simulated vendor shares: a server on loopback, a script, and a memory.

Everything received is kept for assertions. What no correct client would send is answered with
the vendor's documented error and noted in `Simulator.violations`.
"""

import abc
import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, NoReturn, Self

import msgspec
from aiohttp import web

from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection, Received

LOOPBACK: Final = "127.0.0.1"
_SHUTDOWN_SECONDS: Final = 0.2
_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_MAX_VIOLATIONS: Final = 1000

Handler = Callable[[web.Request, Connection], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """Ends a request with a response; raised by the simulators, seen by the client."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def json_response(
    body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A response with a JSON body."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


class Simulator(abc.ABC):
    """A vendor on 127.0.0.1; an async context manager.

    Args:
        port: Port to listen on; 0 takes a free one.
        api_key: The only key accepted; without it any key that isn't empty is.
        behaviour: How connections are treated that nothing else is said about.
        script: How the first connections are treated, one after the other.
        keep_audio: Keep the audio received in ``connections[i].audio``; off, it is only
            counted, as a server that runs for long wants it.

    Attributes:
        requests: Every request and handshake, refused ones included.
        connections: Those of them that carry work (health checks and lists don't).
        violations: What no correct client would have sent.
    """

    vendor: ClassVar[str]
    #: Path that belongs to the base URL a client is configured with.
    base_path: ClassVar[str] = ""

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
        keep_audio: bool = True,
    ) -> None:
        self.requests: list[Received] = []
        self.connections: list[Connection] = []
        self.violations: list[str] = []
        self.behaviour = behaviour
        self.api_key = api_key
        self.keep_audio = keep_audio
        self._port = port
        self._behaviours: dict[int, Behaviour] = dict(enumerate(script))
        self._path_behaviours: dict[str, Behaviour] = {}
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Event()

    # -- life --------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_get("/-/state", self._state)
        app.router.add_post("/-/behaviour", self._set_behaviour)
        app.router.add_routes(self.routes())
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Tear every connection and stop listening."""
        for connection in self.connections:
            if not connection.ended.is_set():
                connection.drop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def base_url(self) -> str:
        """What a client is given as its base URL."""
        return f"http://{LOOPBACK}:{self._port}{self.base_path}"

    @property
    def ws_url(self) -> str:
        """The same for WebSockets."""
        return f"ws://{LOOPBACK}:{self._port}{self.base_path}"

    # -- the script --------------------------------------------------------------------

    def behave(
        self,
        behaviour: Behaviour,
        *,
        on: int | Iterable[int] | None = None,
        path: str | None = None,
    ) -> None:
        """Treat connections differently.

        Args:
            behaviour: How.
            on: Numbers of connections; those already open change at once. Without it, every
                connection from the next on that has no behaviour of its own.
            path: Only requests for this path.
        """
        if on is None and path is None:
            self.behaviour = behaviour
            return
        if on is None:
            self._path_behaviours[str(path)] = behaviour
            return
        for index in [on] if isinstance(on, int) else on:
            self._behaviours[index] = behaviour
            if index < len(self.connections):
                self.connections[index].behave(behaviour)

    def behave_next(self, *behaviours: Behaviour) -> None:
        """Treat the next connections like this, one after the other."""
        first = len(self.connections)
        for offset, behaviour in enumerate(behaviours):
            self._behaviours[first + offset] = behaviour

    async def until(self, condition: Callable[[], bool], *, timeout_seconds: float = 30.0) -> None:
        """Wait until ``condition`` holds; it is looked at whenever something happened here.

        Raises:
            TimeoutError: It didn't hold in time.
        """
        async with asyncio.timeout(timeout_seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    # -- for the vendors ---------------------------------------------------------------

    @abc.abstractmethod
    def routes(self) -> Iterable[web.RouteDef]:
        """The vendor's doors."""

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """A refusal for no reason of the client's, in the vendor's shape."""
        return json_response({"detail": "simulated"}, status=status, headers=headers)

    def violate(self, text: str) -> None:
        """Note what no correct client would have sent."""
        if len(self.violations) < _MAX_VIOLATIONS:
            self.violations.append(text)
        self.changed()

    def changed(self) -> None:
        """Wake whoever waits in `until`."""
        self._changed.set()

    def door(self, method: str, path: str, handler: Handler) -> web.RouteDef:
        """A door whose requests are connections, with a behaviour each."""

        async def serve(request: web.Request) -> web.StreamResponse:
            connection = await self._open(request)
            try:
                await self._admit(connection)
                return await handler(request, connection)
            except Refusal as refusal:
                return refusal.response
            except (asyncio.CancelledError, ConnectionError):
                connection.abandoned = True
                raise
            finally:
                connection.end()

        return web.route(method, path, serve)

    def page(self, method: str, path: str, handler: Handler) -> web.RouteDef:
        """A door that only answers: noted in `requests`, never in `connections`."""

        async def serve(request: web.Request) -> web.StreamResponse:
            received = await self._receive(request)
            try:
                return await handler(request, self._connection(-1, received, request))
            except Refusal as refusal:
                return refusal.response

        return web.route(method, path, serve)

    async def _receive(self, request: web.Request) -> Received:
        body = await request.read() if request.body_exists else b""
        received = Received(
            request.method, request.path, tuple(request.query.items()), request.headers, body
        )
        self.requests.append(received)
        return received

    async def _open(self, request: web.Request) -> Connection:
        received = await self._receive(request)
        connection = self._connection(len(self.connections), received, request)
        self.connections.append(connection)
        self.changed()
        return connection

    def _connection(self, index: int, received: Received, request: web.Request) -> Connection:
        default = self._path_behaviours.get(received.path, self.behaviour)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client left before it was answered")
        return Connection(
            index=index,
            received=received,
            behaviour=self._behaviours.get(index, default),
            transport=transport,
            on_change=self.changed,
            keep_audio=self.keep_audio,
        )

    async def _admit(self, connection: Connection) -> None:
        behaviour = connection.behaviour
        if behaviour.accept_delay_ms:
            await asyncio.sleep(behaviour.accept_delay_ms / 1000)
        if behaviour.refuse_status is None:
            return
        headers = {}
        if behaviour.retry_after_seconds is not None:
            headers["Retry-After"] = f"{behaviour.retry_after_seconds:g}"
        raise Refusal(self.error_response(behaviour.refuse_status, headers))

    # -- control from another process --------------------------------------------------

    async def _state(self, _request: web.Request) -> web.Response:
        """What happened so far."""
        return json_response(
            {
                "vendor": self.vendor,
                "requests": len(self.requests),
                "connections": len(self.connections),
                "open": sum(not connection.ended.is_set() for connection in self.connections),
                "audio_bytes": sum(connection.audio_bytes for connection in self.connections),
                "sent_bytes": sum(connection.sent_bytes for connection in self.connections),
                "violations": self.violations,
                "cpu_seconds": time.process_time(),
            }
        )

    async def _set_behaviour(self, request: web.Request) -> web.Response:
        """``{"behaviour": {…}, "on": [0], "path": "/…"}``."""
        try:
            order = msgspec.json.decode(await request.read())
            behaviour = Behaviour(**order["behaviour"])
            self.behave(behaviour, on=order.get("on"), path=order.get("path"))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            return json_response({"error": str(error)}, status=422)
        return json_response({"ok": True})


def names(text: str) -> frozenset[str]:
    """The words of ``text``: a set of names, written so that it can be read."""
    return frozenset(text.split())


def new_id() -> str:
    """An identifier such as vendors give to requests."""
    return str(uuid.uuid4())


def refuse(response: web.Response) -> NoReturn:
    """End the request with this response.

    Raises:
        Refusal: Always.
    """
    raise Refusal(response)
