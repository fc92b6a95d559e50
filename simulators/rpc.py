"""What every simulated gRPC vendor shares; its calls are connections like any other's.

gRPC is imported when a simulator starts: it belongs to an extra that few installations need.
"""

import abc
import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from aiohttp import web

from simulators.base import LOOPBACK, Simulator
from simulators.connection import Connection, Received

RpcHandler = Callable[[Any, Connection], Awaitable[None]]

#: Begins with a field of a type that protobuf has not.
_GARBAGE: Final = b"\xff\xff\xffgarbage"
_STATUS_NAMES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RpcRefusal(Exception):
    """Ends a call with a status; raised by the simulators, seen by the client.

    Args:
        status: Name of a gRPC status.
        detail: What the server says about it.
    """

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class _CallTransport(asyncio.Transport):
    """Stands where a socket would be: tearing it ends the call."""

    def __init__(self) -> None:
        super().__init__()
        self.torn = asyncio.Event()

    def abort(self) -> None:
        """End the call as a lost connection does."""
        self.torn.set()

    def is_reading(self) -> bool:
        """False: what a call has sent is not held back."""
        return False


class RpcSimulator(Simulator, abc.ABC):
    """A vendor that is spoken to over gRPC on 127.0.0.1, without TLS.

    ``port`` and ``base_url`` are those of the gRPC server; ``/-/state`` and ``/-/behaviour`` are
    at ``control_url``. A refusal's HTTP status becomes the gRPC status of the same meaning, a
    torn connection ``UNAVAILABLE``.

    Attributes:
        control_url: Where the control doors are.
    """

    #: Path of a call, such as ``/package.Service/Method``, that a client sends one message with.
    unary_paths: ClassVar[tuple[str, ...]] = ()
    control_url: str = ""
    _server: Any = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._spoke: set[Connection] = set()

    def routes(self) -> Iterable[web.RouteDef]:
        """No doors but those for control."""
        return []

    @abc.abstractmethod
    def rpcs(self) -> Mapping[str, RpcHandler]:
        """What answers each path. A handler is given gRPC's context, whose ``read`` and
        ``write`` take and give messages as bytes, and the connection."""

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        import grpc

        wanted, self._port = self._port, 0
        await super().start()
        self.control_url = f"http://{LOOPBACK}:{self._port}"
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_handlers(self, grpc),))
        try:
            self._port = self._server.add_insecure_port(f"{LOOPBACK}:{wanted}")
        except RuntimeError as error:
            await super().stop()
            raise OSError(f"port {wanted}: {error}") from error
        await self._server.start()

    async def stop(self) -> None:
        """Tear every call and stop listening."""
        for connection in self.connections:
            if not connection.ended.is_set():
                connection.drop()
        if self._server is not None:
            await self._server.stop(0.2)
            self._server = None
        await super().stop()

    async def serve(self, path: str, context: Any, body: bytes = b"") -> None:
        """Treat one call as its behaviour wants."""
        import grpc

        transport = _CallTransport()
        metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        received = Received("RPC", path, (), metadata, body)
        self.requests.append(received)
        connection = Connection(
            index=len(self.connections),
            received=received,
            behaviour=self._behaviours.get(
                len(self.connections), self._path_behaviours.get(path, self.behaviour)
            ),
            transport=transport,
            on_change=self.changed,
            keep_audio=self.keep_audio,
        )
        self.connections.append(connection)
        self.changed()
        working = asyncio.create_task(self._work(path, context, connection))
        tearing = asyncio.create_task(transport.torn.wait())
        try:
            await asyncio.wait((working, tearing), return_when=asyncio.FIRST_COMPLETED)
            if transport.torn.is_set():
                await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            try:
                await working
            except RpcRefusal as refusal:
                await context.abort(grpc.StatusCode[refusal.status], refusal.detail)
        except asyncio.CancelledError:
            connection.abandoned = True
            raise
        finally:
            for task in (working, tearing):
                task.cancel()
            await asyncio.gather(working, tearing, return_exceptions=True)
            connection.end()

    async def _work(self, path: str, context: Any, connection: Connection) -> None:
        behaviour = connection.behaviour
        if behaviour.accept_delay_ms:
            await asyncio.sleep(behaviour.accept_delay_ms / 1000)
        if behaviour.refuse_status is not None:
            status = _STATUS_NAMES.get(behaviour.refuse_status, "INTERNAL")
            raise RpcRefusal(status, "simulated")
        await self.rpcs()[path](context, connection)

    async def say(self, context: Any, connection: Connection, message: bytes) -> bool:
        """Send a message, unless this connection has fallen silent.

        Returns:
            Whether it was sent.
        """
        if connection not in self._spoke:
            self._spoke.add(connection)
            await connection.before_first()
            for _ in range(connection.behaviour.garbage_frames):
                await context.write(_GARBAGE)
        if connection.silent:
            return False
        await context.write(message)
        return True


def _handlers(simulator: RpcSimulator, grpc: Any) -> Any:
    """gRPC's view of a simulator: any path that it has; messages stay bytes."""

    class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc,unused-ignore]
        def service(self, details: Any) -> Any:
            path = details.method
            if path not in simulator.rpcs():
                simulator.violate(f"no such method: {path}")
                return None
            if path in simulator.unary_paths:

                async def one(body: bytes, context: Any) -> None:
                    await simulator.serve(path, context, body)

                return grpc.unary_stream_rpc_method_handler(one)

            async def many(_requests: Any, context: Any) -> None:
                await simulator.serve(path, context)

            return grpc.stream_stream_rpc_method_handler(many)

    return Handlers()
