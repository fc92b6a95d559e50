"""Runs the application under uvicorn, with our own way to stop."""

import asyncio
import signal
from types import FrameType
from typing import Literal

import uvicorn
from fastapi import FastAPI
from loguru import logger

from api.app import create_app
from api.parts import ServerParts
from api.websocket_protocol import CallWebSocketProtocol
from config.settings import Settings

PING_SECONDS = 10.0
#: Longest WebSocket message; the dialects' own limit is the same.
MAX_MESSAGE_BYTES = 64 * 1024


class _Server(uvicorn.Server):
    """Drains before it stops.

    uvicorn alone closes every WebSocket with 1012 within milliseconds of a signal; here the
    first signal lets live calls end, the second one does not wait.
    """

    def __init__(self, config: uvicorn.Config, parts: ServerParts) -> None:
        super().__init__(config)
        self._parts = parts
        self._drain: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second forces."""
        if self._drain is not None:
            self.force_exit = True
            self.should_exit = True
            return
        logger.info(f"{signal.Signals(sig).name}: no new calls; a second signal stops at once")
        self._drain = asyncio.get_running_loop().create_task(self._drain_and_stop())

    async def _drain_and_stop(self) -> None:
        await self._parts.drain()
        self.should_exit = True


def serve(settings: Settings) -> int:
    """Serve until told to stop.

    Returns:
        Exit code: 0, or 3 when the server could not start.

    Raises:
        ConfigError: The settings cannot be served.
    """
    app = create_app(settings)
    config = server_config(app, settings)
    server = _Server(config, app.state.parts)
    announce(settings)
    server.run()
    return 0 if server.started else 3


def server_config(
    app: FastAPI, settings: Settings, *, loop: Literal["uvloop", "none"] = "uvloop"
) -> uvicorn.Config:
    """How uvicorn serves: small messages, no compression, peers that are gone noticed."""
    return uvicorn.Config(
        app,
        host=settings.server.host,
        port=settings.server.port,
        loop=loop,
        http="httptools",
        ws=CallWebSocketProtocol,
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        access_log=False,
        log_config=None,
        lifespan="on",
    )


def announce(settings: Settings) -> None:
    """Say where to go next."""
    url = f"http://{settings.server.host}:{settings.server.port}"
    logger.info(f"serving on {url}, agents from {settings.agents_dir}/")
    logger.info(f"talk to an agent: open {url} in a browser, or run `make call` beside this")
