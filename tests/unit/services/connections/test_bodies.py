"""No answer of a server is read for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import httpx2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.anthropic import llm as anthropic_llm
from services.connections.bodies import MAX_STREAM_BYTES, EndlessAnswerError, whole_body
from services.connections.clients import close_shared_clients
from services.google import llm as google_llm
from services.openai import clients as openai_clients

BLOCK = b"x" * 65536


class Endless:
    """A server whose answers have no end; one at ``/short`` has."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.gone = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(BLOCK)
                self.sent_bytes += len(BLOCK)
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise

    async def short(self, _request: web.Request) -> web.Response:
        return web.Response(body=b"that is all")


@pytest.fixture
async def endless() -> AsyncIterator[tuple[Endless, str]]:
    server = Endless()
    app = web.Application()
    app.router.add_get("/short", server.short)
    app.router.add_get("/{path:.*}", server.answer)
    async with TestServer(app) as running:
        yield server, f"http://{running.host}:{running.port}"
        await close_shared_clients()


async def test_a_body_is_read_as_far_as_it_may_go(
    endless: tuple[Endless, str], http: aiohttp.ClientSession
) -> None:
    server, address = endless
    with pytest.raises(EndlessAnswerError):
        async with http.get(f"{address}/") as response:
            await whole_body(response, 1_000_000)
    async with asyncio.timeout(10):
        await server.gone.wait()
    assert server.sent_bytes < 50_000_000, "what nobody reads is not sent"
    async with http.get(f"{address}/short") as response:
        assert await whole_body(response, 1_000_000) == b"that is all"


def _openai(_address: str) -> Any:
    return openai_clients.http_client()


def _anthropic(address: str) -> Any:
    return anthropic_llm.clients.get(address, "k")._client


def _google(address: str) -> Any:
    return google_llm.clients.get(address, "k").http


@pytest.mark.parametrize("client_of", [_openai, _anthropic, _google])
async def test_a_model_that_never_ends_its_line_is_cut_off(
    endless: tuple[Endless, str], client_of: Callable[[str], httpx2.AsyncClient]
) -> None:
    """A stream of events is read line by line, and a line may have no end."""
    server, address = endless
    client = client_of(address)
    size = 0
    with pytest.raises(httpx2.RemoteProtocolError, match="over"):
        async with client.stream("GET", f"{address}/") as response:
            async for data in response.aiter_raw():
                size += len(data)
    assert size <= MAX_STREAM_BYTES
    async with asyncio.timeout(10):
        await server.gone.wait()
    short: Awaitable[httpx2.Response] = client.get(f"{address}/short")
    assert (await short).content == b"that is all"
