"""Runs the application under uvicorn, with our own way to stop."""

import asyncio
import errno
import gc
import logging
import signal
import socket
from types import FrameType
from typing import Literal

import uvicorn
from fastapi import FastAPI
from loguru import logger

from api.app import create_app
from api.http_protocol import CallHttpProtocol
from api.parts import ServerParts
from api.websocket_protocol import CallWebSocketProtocol
from config.errors import ConfigError
from config.leaving import leave_within
from config.settings import Settings

PING_SECONDS = 10.0
#: Longest WebSocket message that is read at all. The dialects' own limit is a quarter of it:
#: what lies between costs its sender that message, what is longer the call.
MAX_MESSAGE_BYTES = 256 * 1024
#: Connections that may wait to be taken.
BACKLOG = 1024
#: Once the calls are over: how long requests that are under way may still take. Whoever does not
#: read their recording, or never ends their request, does not keep the server from stopping.
REQUESTS_SECONDS = 5
#: How long a stop may take that was asked for twice.
FORCED_SECONDS = 5.0


class _Server(uvicorn.Server):
    """Drains before it stops.

    uvicorn alone closes every WebSocket with 1012 within milliseconds of a signal; here the
    first signal lets live calls end, the second one does not wait: neither for calls nor for a
    store that hangs. What has not been stored by then lies on disk.
    """

    def __init__(self, config: uvicorn.Config, parts: ServerParts) -> None:
        super().__init__(config)
        self._parts = parts
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then take what has been loaded out of the garbage collector's sight.

        Calls leave cycles of objects behind. The collector looks for them when they make a
        quarter of all there is, and then walks through everything: with some 200,000 objects
        of imported modules that would be seldom, and a stall of 70 ms for all calls.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        self._parts.collector.seconds()  # Those of the start have held up no call.

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the doors, and then everything behind them, also where that is forced."""
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would leave it out, and cancel what it had to do.
            await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second forces."""
        name = signal.Signals(sig).name
        if self._drain is not None or not self.started:
            if not self.started:
                logger.info(f"{name}: it stops before the first call was taken")
            if self._drain is not None and not self.force_exit:
                self.force_exit = True
                # uvicorn would log as an error, with its stack, that it cancels the application.
                logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
                leave_within(FORCED_SECONDS, 1)
            self.should_exit = True
            return
        logger.info(f"{name}: no new calls; a second signal stops at once")
        self._drain = asyncio.get_running_loop().create_task(self._drain_and_stop())

    async def _drain_and_stop(self) -> None:
        try:
            await self._parts.drain()
        finally:
            self.should_exit = True


def serve(settings: Settings) -> int:
    """Serve until told to stop.

    Returns:
        Exit code: 0, or 3 when the server could not start.

    Raises:
        ConfigError: The settings cannot be served, or the address cannot be listened on.
    """
    with _listener(settings) as listener:
        app = create_app(settings)
        config = server_config(app, settings)
        server = _Server(config, app.state.parts)
        announce(settings, listener.getsockname()[1])
        try:
            server.run(sockets=[listener])
        except SystemExit:  # uvicorn's word for an application that would not start
            logger.error("the server could not start")
    return 0 if server.started else 3


def _listener(settings: Settings) -> socket.socket:
    """The socket that is listened on; taken first, so that a second server says so at once."""
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is taken, perhaps by another server of this kind; "
                "stop that one, or choose another with --port",
                code="address_taken",
            ) from error
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error


def server_config(
    app: FastAPI,
    settings: Settings,
    *,
    loop: Literal["uvloop", "none"] = "uvloop",
    ping_seconds: float = PING_SECONDS,
) -> uvicorn.Config:
    """How uvicorn serves: small messages, no compression, silent peers and gone ones noticed.

    Args:
        ping_seconds: Between pings, and how long an answer may take: a peer that is gone is
            noticed within twice that.
    """
    return uvicorn.Config(
        app,
        host=settings.server.host,
        port=settings.server.port,
        loop=loop,
        http=CallHttpProtocol,
        ws=CallWebSocketProtocol,
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=ping_seconds,
        timeout_graceful_shutdown=REQUESTS_SECONDS,
        access_log=False,
        log_config=None,
        lifespan="on",
    )


def announce(settings: Settings, port: int) -> None:
    """Say where to go next."""
    host = settings.server.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    logger.info(f"serving on {url}, agents from {settings.agents_dir}/")
    logger.info(f"talk to an agent: open {url} in a browser, or run `make call` beside this")
