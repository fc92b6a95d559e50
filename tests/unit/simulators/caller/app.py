"""A scripted application for callers to call, on a free port of the loopback interface."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from tests.until import until


class Socket:
    """The application's end of one media socket."""

    def __init__(self, ws: web.WebSocketResponse) -> None:
        self.ws = ws
        self.texts: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.binary: list[bytes] = []
        self.closed = asyncio.Event()

    def of(self, event: str, key: str = "event") -> list[dict[str, Any]]:
        return [each for each in self.messages if each.get(key) == event]

    @property
    def stream_id(self) -> str:
        return str(self.of("start")[0]["start"]["streamId"])

    async def send(self, **message: Any) -> None:
        await self.ws.send_str(json.dumps(message))

    async def play(
        self, payload: str, content_type: str = "audio/x-mulaw", rate_hz: int = 8000
    ) -> None:
        media = {"contentType": content_type, "sampleRate": rate_hz, "payload": payload}
        await self.send(event="playAudio", streamId=self.stream_id, media=media)

    async def checkpoint(self, name: str) -> None:
        await self.send(event="checkpoint", streamId=self.stream_id, name=name)

    async def clear(self) -> None:
        await self.send(event="clearAudio", streamId=self.stream_id)

    async def stop(self) -> None:
        await self.send(event="stop", streamId=self.stream_id)


OnMessage = Callable[[Socket, dict[str, Any]], Awaitable[None]]
OnBinary = Callable[[Socket, bytes], Awaitable[None]]


class App:
    """Answers webhooks, records everything, and lets a test speak through its sockets."""

    def __init__(
        self, on_message: OnMessage | None = None, on_binary: OnBinary | None = None
    ) -> None:
        self.stream_attributes = (
            'bidirectional="true" audioTrack="inbound" keepCallAlive="true" '
            'contentType="audio/x-mulaw;rate=8000"'
        )
        self.answer_status = 200
        self.refuse_sockets = False
        self.webhooks: list[tuple[str, str, dict[str, str], dict[str, str]]] = []
        self.sockets: list[Socket] = []
        self.app = web.Application()
        self._on_message = on_message
        self._on_binary = on_binary
        self._runner: web.AppRunner | None = None
        self.base = ""

    async def __aenter__(self) -> Self:
        self.app.router.add_route("*", "/answer", self._answer)
        self.app.router.add_route("*", "/hangup", self._note)
        self.app.router.add_route("*", "/status", self._note)
        self.app.router.add_get("/media", self._media)
        self._runner = web.AppRunner(self.app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def media_url(self) -> str:
        return f"ws{self.base.removeprefix('http')}/media"

    def posted(self, event: str) -> list[dict[str, str]]:
        return [fields for _, _, fields, _ in self.webhooks if fields.get("Event") == event]

    async def socket(self, index: int = 0) -> Socket:
        await until(lambda: len(self.sockets) > index)
        return self.sockets[index]

    async def started(self, index: int = 0) -> Socket:
        socket = await self.socket(index)
        await until(lambda: bool(socket.of("start")))
        return socket

    async def _note(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        fields = dict(request.query) | form
        self.webhooks.append((request.path, request.method, fields, dict(request.headers)))
        return web.Response(status=204)

    async def _answer(self, request: web.Request) -> web.Response:
        await self._note(request)
        if self.webhooks[-1][2].get("Event") == "Hangup":
            return web.Response(status=204)
        body = (
            f"<Response><Stream {self.stream_attributes} "
            f'statusCallbackUrl="{self.base}/status">{self.media_url}?a=1&amp;b=2</Stream>'
            "<Hangup/></Response>"
        )
        return web.Response(text=body, content_type="application/xml", status=self.answer_status)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_sockets:
            return web.Response(status=403)
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        socket = Socket(ws)
        self.sockets.append(socket)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await self._text(socket, message.data)
            elif message.type is WSMsgType.BINARY:
                socket.binary.append(message.data)
                if self._on_binary is not None:
                    await self._on_binary(socket, message.data)
        socket.closed.set()
        return ws

    async def _text(self, socket: Socket, data: str) -> None:
        socket.texts.append(data)
        try:
            message = json.loads(data)
        except ValueError:
            return
        if isinstance(message, dict):
            socket.messages.append(message)
            if self._on_message is not None:
                await self._on_message(socket, message)
