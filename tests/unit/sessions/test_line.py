"""A line whose stream is replaced while the old one takes nothing any more."""

import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocketState

from api.voice import SEND_SECONDS, WebSocketChannel
from bot.playout import Playout
from sessions.line import Line
from tests.virtual_time import running_loop, virtual_time


class Socket:
    """A WebSocket that takes messages, or takes none and does not say so."""

    client_state = application_state = WebSocketState.CONNECTED

    def __init__(self, *, stalls: bool = False) -> None:
        self.stalls = stalls
        self.sent: list[Any] = []

    async def send(self, message: Any) -> None:
        if self.stalls:
            await asyncio.Event().wait()
        self.sent.append(message)


class Plain:
    """A dialect of bare sound."""

    sends_acks = False

    def audio(self, payload: bytes) -> bytes:
        return payload


class Journal:
    """Keeps nothing."""

    def agent_audio(self, at_ms: float, payload: bytes) -> None:
        pass

    def cut_agent(self, at_ms: float) -> None:
        pass


def channel(socket: Any) -> WebSocketChannel:
    return WebSocketChannel(socket)


def dialect() -> Any:
    return Plain()


def line(socket: Any, lost: list[str]) -> Line:
    journal: Any = Journal()
    return Line(channel(socket), dialect(), journal, lambda at: at, lambda: lost.append("lost"))


@virtual_time
async def test_speech_goes_on_at_once_over_the_stream_that_replaces_a_stalled_one() -> None:
    old, new, lost = Socket(stalls=True), Socket(), list[str]()
    sink = line(old, lost)
    playout = Playout(sink, bytes_per_ms=8, silence=b"\xff")
    running = asyncio.create_task(playout.run())
    playout.audio(bytes(8 * 2000))
    await asyncio.sleep(1)
    sink.move(channel(new), dialect())
    playout.cleared()
    await asyncio.sleep(0.1)
    assert new.sent and lost == []
    await asyncio.sleep(10)
    assert not running.done() and lost == []
    running.cancel()


@virtual_time
async def test_the_one_stream_that_takes_nothing_is_the_end() -> None:
    lost: list[str] = []
    sink = line(Socket(stalls=True), lost)
    with pytest.raises(TimeoutError):
        await sink.send("a message")
    assert lost == ["lost"]


@virtual_time
async def test_every_message_that_a_replaced_stream_holds_up_is_given_up() -> None:
    old, lost = Socket(stalls=True), list[str]()
    sink = line(old, lost)
    sending = [asyncio.create_task(sink.send(text)) for text in ("one", "two")]
    await asyncio.sleep(0.1)
    sink.move(channel(Socket()), dialect())
    async with asyncio.timeout(0.1):
        assert await asyncio.gather(*sending) == [False, False]
    assert lost == []


@virtual_time
async def test_a_stream_is_replaced_at_the_instant_when_the_old_one_is_given_up() -> None:
    """A busy loop comes to both at once: the limit of sending has passed, nobody was told yet."""
    loop, lost = running_loop(), list[str]()
    sink = line(Socket(stalls=True), lost)
    sending = asyncio.create_task(sink.send("a message"))
    await asyncio.sleep(0.1)
    new, moved = Socket(), loop.create_future()

    def move() -> None:
        assert not sending.done()
        sink.move(channel(new), dialect())
        moved.set_result(None)

    loop.call_later(SEND_SECONDS, move)
    loop.stall(SEND_SECONDS + 1)
    async with asyncio.timeout(1):
        await moved
        assert await sending is False
    assert await sink.send("another") and new.sent and lost == []
