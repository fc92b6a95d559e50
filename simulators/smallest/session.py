"""One synthesis socket: requests come, audio and at the end of a context ``complete`` go."""

import asyncio
import base64
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators import tone
from simulators.base import new_id
from simulators.connection import Connection
from simulators.pace import Pace
from simulators.smallest.request import WrongRequest, checked

_MAX_WAITING: Final = 200


@dataclass(slots=True)
class Spoken:
    """A text that was, or is being, spoken.

    Attributes:
        frequency_hz: Its tone.
        duration_ms: How long the whole of it is.
    """

    text: str
    language: str
    voice: str
    rate_hz: int
    frequency_hz: int
    duration_ms: float


def spoken_as(body: dict[str, Any], number: int) -> Spoken:
    """How the ``number``-th request is spoken."""
    return Spoken(
        body["text"],
        body.get("language", "en"),
        body["voice_id"],
        body.get("sample_rate", 44_100),
        tone.frequency(number),
        round(tone.speech_ms(body["text"]) / body.get("speed", 1.0), 3),
    )


class Session:
    """What is said over one connection.

    Args:
        connection: Over which it goes.
        speed: Multiple of real time at which audio comes.
        closes_when_complete: Whether it closes after ``complete``.
        spoken: Where every text is noted.
        violate: Told what no correct client would have sent.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        speed: float,
        closes_when_complete: bool,
        spoken: list[Spoken],
        violate: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._speed = speed
        self._closes_when_complete = closes_when_complete
        self._spoken = spoken
        self._violate = violate
        self._work: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MAX_WAITING)

    async def run(self, websocket: web.WebSocketResponse, *, idle_timeout_seconds: float) -> None:
        """Serve until either side closes, or nothing comes for too long."""
        speaking = asyncio.create_task(self._speak_all())
        try:
            while not websocket.closed:
                async with asyncio.timeout(idle_timeout_seconds):
                    message = await websocket.receive()
                if self._connection.is_deaf:
                    await self._connection.lie_low()
                if message.type is not WSMsgType.TEXT:
                    return
                await self._take(message.data)
        except TimeoutError:
            text = f"Connection timed out after {idle_timeout_seconds:g} seconds of inactivity"
            await self._say("error", message=text)
            await self._connection.close(1000, "idle")
        finally:
            speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await speaking

    async def _take(self, text: str) -> None:
        self._connection.read(text)
        try:
            self._work.put_nowait(checked(msgspec.json.decode(text), over_socket=True))
        except (msgspec.DecodeError, WrongRequest) as error:
            self._violate(f"connection {self._connection.index}: {error}")
            await self._refuse(str(error), "INVALID_REQUEST")

    async def _speak_all(self) -> None:
        """Audio of each text; a fragment that is to be continued waits as long as it says."""
        while True:
            body = await self._work.get()
            if body.get("continue") and self._work.empty():
                await asyncio.sleep(body.get("max_buffer_delay_ms", 3000) / 1000)
            if body["text"].strip():
                await self._speak(body)
            if not body.get("continue"):
                await self._say("complete")
                if self._closes_when_complete:
                    await self._connection.close(1000)

    async def _speak(self, body: dict[str, Any]) -> None:
        behaviour = self._connection.behaviour
        spoken = spoken_as(body, len(self._spoken))
        self._spoken.append(spoken)
        await self._connection.before_first()
        rate_hz = behaviour.audio_rate_hz or spoken.rate_hz
        audio = tone.tone(spoken.frequency_hz, spoken.duration_ms, "pcm_s16le", rate_hz)
        size = len(tone.chunk(spoken.frequency_hz, "pcm_s16le", rate_hz)) - behaviour.odd_frames
        pace = Pace(behaviour.speed or self._speed)
        for start in range(0, 0 if behaviour.empty else len(audio), size):
            if self._connection.due_error():
                await self._refuse("synthesis failed", "INTERNAL_SERVER_ERROR")
                return
            piece = audio[start : start + size]
            await self._say("chunk", data={"audio": base64.b64encode(piece).decode()})
            self._connection.sent(len(piece))
            await pace.after(tone.CHUNK_MS * len(piece) / size)

    async def _refuse(self, message: str, code: str) -> None:
        await self._say("error", error={"message": message, "code": code})

    async def _say(self, status: str, **fields: Any) -> None:
        message = {"status": status, "request_id": new_id(), **fields}
        await self._connection.say(msgspec.json.encode(message).decode())
