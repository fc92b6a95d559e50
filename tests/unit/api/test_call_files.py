"""A recording is let go of however its sending ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from api.call_files import _sound
from sessions.kept_sound import KeptSound
from sessions.record import StoredFile


class FakeSound(KeptSound):
    """Endless blocks, and notes of what was let go of."""

    def __init__(self) -> None:
        super().__init__(
            StoredFile(
                kind="recordings",
                key="2026/11/21/x.wav",
                url="",
                content_type="audio/wav",
                size_bytes=100,
                sha256="0" * 64,
            )
        )
        self.closed = self.ended = False

    async def blocks(self, start: int, length: int) -> AsyncIterator[bytes]:
        try:
            for at in range(start, start + length):
                yield bytes([at])
        finally:
            self.ended = True

    async def close(self) -> None:
        self.closed = True


def scope(method: str = "GET", **headers: str) -> dict[str, Any]:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "headers": raw, "asgi": {"spec_version": "2.4"}}


async def _never() -> Any:
    await asyncio.Event().wait()


async def test_when_all_has_gone() -> None:
    sound, sent = FakeSound(), []

    async def send(message: Any) -> None:
        sent.append(message)

    wanted = scope(range="bytes=10-12")
    await (await _sound(Request(wanted), sound, "x.wav"))(wanted, _never, send)
    assert b"".join(message.get("body", b"") for message in sent) == bytes([10, 11, 12])
    assert sound.closed and sound.ended


async def test_when_the_client_goes_away_in_between() -> None:
    sound, blocks = FakeSound(), 0

    async def send(message: Any) -> None:
        nonlocal blocks
        blocks += message["type"] == "http.response.body"
        if blocks == 3:
            raise OSError

    with pytest.raises(ClientDisconnect):
        await (await _sound(Request(scope()), sound, "x.wav"))(scope(), _never, send)
    assert sound.closed and sound.ended


async def test_when_the_server_stops_in_between() -> None:
    sound, sending = FakeSound(), asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sending.set()
            await asyncio.Event().wait()

    response = await _sound(Request(scope()), sound, "x.wav")
    task = asyncio.create_task(response(scope(), _never, send))
    await sending.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sound.closed and sound.ended


async def test_when_nothing_is_to_be_sent() -> None:
    for wanted in (scope("HEAD"), scope(**{"if-none-match": "*"})):
        sound = FakeSound()
        await _sound(Request(wanted), sound, "x.wav")
        assert sound.closed
