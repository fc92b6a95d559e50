"""Reports to the backend: its yes counts, whatever it says besides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from services import unread_answers
from services.backend import BackendTransport
from services.backend.transport import MAX_ANSWER_BYTES

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def endless(request: web.Request) -> web.StreamResponse:
    """A yes and a body that does not end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(64 * 1024))


async def stalled(request: web.Request) -> web.StreamResponse:
    """A yes and a body that does not come."""
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.sleep(60)
    return response


async def torn(request: web.Request) -> web.StreamResponse:
    """A yes and half a body."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(bytes(10))
    assert request.transport is not None
    request.transport.abort()
    return response


async def long(_: web.Request) -> web.StreamResponse:
    """A yes and more than any answer may hold."""
    return web.Response(status=201, body=bytes(MAX_ANSWER_BYTES + 1))


async def short(_: web.Request) -> web.StreamResponse:
    """What the backend says."""
    return web.json_response({"meeting_id": "m"}, status=201)


class Backend:
    """Answers every report alike.

    Attributes:
        peers: Where each report came from.
    """

    def __init__(self, answer: Answer) -> None:
        self.peers: list[tuple[str, int]] = []
        self._answer = answer

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        await request.read()
        return await self._answer(request)


@asynccontextmanager
async def told(backend: Backend, http: aiohttp.ClientSession) -> AsyncIterator[BackendTransport]:
    """A transport to that backend."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", backend.__call__)
    async with TestServer(app, shutdown_timeout=0.1) as server:
        yield BackendTransport(http, str(server.make_url("")), SecretStr("service"))


@pytest.mark.parametrize("answer", [endless, stalled, torn, long])
async def test_a_yes_is_a_yes_whatever_comes_after_it(
    answer: Answer, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_answers, "MOST_SECONDS", 0.2)
    backend = Backend(answer)
    async with told(backend, http) as transport, asyncio.timeout(15):
        for _ in range(2):
            await transport.report("POST", "/meetings", b"{}", {})
    # What was not read to its end is not waited for in the next answer.
    assert len(set(backend.peers)) == 2


async def test_a_short_answer_leaves_its_connection_to_the_next(
    http: aiohttp.ClientSession,
) -> None:
    backend = Backend(short)
    async with told(backend, http) as transport:
        for _ in range(3):
            await transport.report("POST", "/meetings", b"{}", {})
    assert len(backend.peers) == 3 and len(set(backend.peers)) == 1
