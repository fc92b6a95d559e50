"""``WS /voice``: the door for carriers and client programs."""

import asyncio
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.responses import JSONResponse
from starlette.websockets import WebSocketState

from api.origin import is_allowed_origin
from api.parts import ServerParts, server_parts
from sessions import metrics
from sessions.admission import RETRY_AFTER_SECONDS, refused
from sessions.channel import Departure

router = APIRouter()

SEND_SECONDS = 5.0
#: How a peer went, by the close code that the server's WebSocket layer gives; see
#: ``api.websocket_protocol``. With every other code, or none, it has simply left.
DEPARTURES: dict[int, Departure] = {
    1002: "broke_protocol",
    1006: "lost",
    1007: "broke_protocol",
    1009: "broke_protocol",
    1012: "stopped",
}


class WebSocketChannel:
    """A Starlette WebSocket as a :class:`sessions.channel.Channel`."""

    def __init__(self, websocket: WebSocket, *, send_seconds: float = SEND_SECONDS) -> None:
        self._websocket = websocket
        self._send_seconds = send_seconds
        self._departure: Departure = "left"
        self._sending: set[asyncio.Timeout] = set()

    @property
    def departure(self) -> Departure:
        """See :class:`sessions.channel.Channel`."""
        return self._departure

    async def receive(self) -> str | bytes | None:
        """See :class:`sessions.channel.Channel`."""
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            return None
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self._departure = DEPARTURES.get(message.get("code", 1005), "left")
            return None
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else data or b""

    async def send(self, message: str | bytes) -> None:
        """See :class:`sessions.channel.Channel`."""
        if not self._open:
            return
        kind = "text" if isinstance(message, str) else "bytes"
        # The socket may close while this waits: its reader finds out and ends the call.
        with suppress(WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(self._send_seconds) as limit:
                self._sending.add(limit)
                try:
                    await self._websocket.send({"type": "websocket.send", kind: message})
                finally:
                    self._sending.discard(limit)

    def abandon(self) -> None:
        """See :class:`sessions.channel.Channel`."""
        now = asyncio.get_running_loop().time()
        for limit in self._sending:
            # One that has just expired gives its message up by itself, and takes no other time.
            if not limit.expired():
                limit.reschedule(now)

    async def close(self, code: int, reason: str) -> None:
        """See :class:`sessions.channel.Channel`."""
        if not self._open:
            return
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(self._send_seconds):
                await self._websocket.close(code, reason)

    @property
    def _open(self) -> bool:
        websocket = self._websocket
        return (
            websocket.application_state is WebSocketState.CONNECTED
            and websocket.client_state is WebSocketState.CONNECTED
        )


async def _serve(websocket: WebSocket, agent_id: str | None) -> None:
    parts: ServerParts = server_parts(websocket)
    with parts.building.heard_first():
        accepted = await _accepted(websocket, parts)
    if accepted:
        channel = WebSocketChannel(websocket)
        await parts.reception.receive(channel, agent_id)
        await channel.close(1000, "")


async def _accepted(websocket: WebSocket, parts: ServerParts) -> bool:
    """Whether a socket was let in; it has been told either way."""
    if not is_allowed_origin(websocket, parts.settings.server):
        await websocket.close(1008, "origin")  # Before it is accepted: an HTTP 403.
        return False
    if (reason := parts.manager.refusal_of_unknown()) is not None:
        error = refused(reason)
        metrics.SESSIONS_REFUSED.labels(error.code).inc()
        await websocket.send_denial_response(
            JSONResponse(
                {"code": error.code, "message": error.message},
                status_code=503,
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        )
        return False
    await websocket.accept()
    return True


@router.websocket("/voice")
async def voice(websocket: WebSocket, agent_id: str | None = None) -> None:
    """The first message decides which protocol is spoken."""
    await _serve(websocket, agent_id)


@router.websocket("/voice/{agent_id}")
@router.websocket("/agent/{agent_id}")
async def voice_to_agent(websocket: WebSocket, agent_id: str) -> None:
    """As ``/voice``, with the agent in the address; ``/agent`` serves VoiceERA deployments."""
    await _serve(websocket, agent_id)
