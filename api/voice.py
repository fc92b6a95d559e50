"""``WS /voice``: the door for carriers and client programs."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, WebSocket
from starlette.websockets import WebSocketState

from api.parts import ServerParts, server_parts

router = APIRouter()

SEND_SECONDS = 5.0
AGENT_ID = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
AgentInPath = Annotated[str, Path(pattern=AGENT_ID)]
AgentInQuery = Annotated[str | None, Query(pattern=AGENT_ID)]


class WebSocketChannel:
    """A Starlette WebSocket as a :class:`sessions.channel.Channel`."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> str | bytes | None:
        """See :class:`sessions.channel.Channel`."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else data or b""

    async def send(self, message: str | bytes) -> None:
        """See :class:`sessions.channel.Channel`."""
        if not self._open:
            return
        kind = "text" if isinstance(message, str) else "bytes"
        async with asyncio.timeout(SEND_SECONDS):
            await self._websocket.send({"type": "websocket.send", kind: message})

    async def close(self, code: int, reason: str) -> None:
        """See :class:`sessions.channel.Channel`."""
        if self._open:
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
    await websocket.accept()
    channel = WebSocketChannel(websocket)
    await parts.reception.receive(channel, agent_id)
    await channel.close(1000, "")


@router.websocket("/voice")
async def voice(websocket: WebSocket, agent_id: AgentInQuery = None) -> None:
    """The first message decides which protocol is spoken."""
    await _serve(websocket, agent_id)


@router.websocket("/voice/{agent_id}")
@router.websocket("/agent/{agent_id}")
async def voice_to_agent(websocket: WebSocket, agent_id: AgentInPath) -> None:
    """As ``/voice``, with the agent in the address; ``/agent`` serves VoiceERA deployments."""
    await _serve(websocket, agent_id)
