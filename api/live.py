"""``WS /ws/transcription/{call_id}``: a call's events while it goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, WebSocket, WebSocketDisconnect

from api.access import call_viewer, may_watch
from api.origin import is_allowed_origin
from api.parts import server_parts

router = APIRouter()

SEND_SECONDS = 5.0
CallId = Annotated[str, Path(min_length=1, max_length=128)]


@router.websocket("/ws/transcription/{call_id}")
async def transcription(websocket: WebSocket, call_id: CallId) -> None:
    """Send ``transcription``, ``call_status``, ``agent_state`` and ``metrics`` as they happen.

    The call may still be to come: whoever dials can listen before it is answered, unless their
    token is for one agent alone. A page of another host may not, and neither may whoever could
    not read the call's record.
    """
    parts = server_parts(websocket)
    settings = parts.settings.server
    viewer = call_viewer(websocket, parts) if is_allowed_origin(websocket, settings) else None
    if viewer is None or not may_watch(viewer, call_id, parts):
        await websocket.close(1008)  # Before it is accepted: an HTTP 403.
        return
    await websocket.accept()
    with parts.live.listen(call_id) as messages, suppress(WebSocketDisconnect, OSError):
        gone = asyncio.create_task(_gone(websocket), name="live-listener-gone")
        send = asyncio.create_task(_send(websocket, messages), name="live-listener")
        try:
            await asyncio.wait((gone, send), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, send):
                task.cancel()
            await asyncio.gather(gone, send, return_exceptions=True)
        await websocket.close()


async def _send(websocket: WebSocket, messages: AsyncIterator[dict[str, Any]]) -> None:
    async for message in messages:
        async with asyncio.timeout(SEND_SECONDS):
            await websocket.send_json(message)


async def _gone(websocket: WebSocket) -> None:
    """Return when the listener has gone; what it says is not read."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
