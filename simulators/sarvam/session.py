"""One synthesis socket: a config, then texts; audio and, at a flush, ``final`` come back."""

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
from simulators.sarvam.config import CODECS, Config, WrongMessage

_MAX_WAITING: Final = 200
_MAX_TEXT: Final = 2_500


@dataclass(slots=True)
class Spoken:
    """A text that was, or is being, spoken.

    Attributes:
        frequency_hz: Its tone.
        duration_ms: How long the whole of it is.
    """

    text: str
    language: str
    speaker: str
    rate_hz: int
    frequency_hz: int
    duration_ms: float


class Session:
    """What is said over one connection.

    Args:
        connection: Over which it goes.
        model: That the address names.
        with_final: Whether the client wants to be told of a flush's end.
        speed: Multiple of real time at which audio comes.
        voice: How words sound; without it, every text is a tone.
        spoken: Where every text is noted.
        violate: Told what no correct client would have sent.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        model: str,
        with_final: bool,
        speed: float,
        voice: tone.Voice | None,
        spoken: list[Spoken],
        violate: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._model = model
        self._with_final = with_final
        self._speed = speed
        self._voice = voice
        self._spoken = spoken
        self._violate = violate
        self._config: Config | None = None
        self._buffer = ""
        #: Texts to say; None stands for a flush.
        self._work: asyncio.Queue[str | None] = asyncio.Queue(_MAX_WAITING)

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
            await self._connection.close(1000, "idle")
        finally:
            speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await speaking

    async def _take(self, text: str) -> None:
        self._connection.read(text)
        try:
            body = msgspec.json.decode(text)
            if not isinstance(body, dict):
                raise WrongMessage("not an object")
            self._obey(body)
        except (msgspec.DecodeError, WrongMessage) as error:
            self._violate(f"connection {self._connection.index}: {error}")
            await self._refuse(str(error), "invalid_request_error")

    def _obey(self, body: dict[str, Any]) -> None:
        kind = body.get("type")
        if kind == "config":
            self._config = Config(body.get("data"), self._model)
        elif kind == "ping":
            return
        elif self._config is None:
            raise WrongMessage(f"the first message must be config, not {kind}")
        elif kind == "text":
            self._add(body.get("data"), self._config.min_buffer_size)
        elif kind == "flush":
            self._work.put_nowait(self._buffer)
            self._work.put_nowait(None)
            self._buffer = ""
        else:
            raise WrongMessage(f"unknown type {kind!r}")

    def _add(self, data: Any, min_buffer_size: int) -> None:
        text = data.get("text") if isinstance(data, dict) else None
        if not isinstance(text, str) or not text.strip() or len(text) > _MAX_TEXT:
            raise WrongMessage("text must hold 1 to 2500 characters")
        self._buffer += text
        if len(self._buffer) >= min_buffer_size:
            self._work.put_nowait(self._buffer)
            self._buffer = ""

    async def _speak_all(self) -> None:
        while True:
            text = await self._work.get()
            if text is None:
                if self._with_final:
                    await self._say("event", event_type="final")
            elif text.strip() and self._config is not None:
                await self._speak(text, self._config)

    async def _speak(self, text: str, config: Config) -> None:
        behaviour = self._connection.behaviour
        spoken = Spoken(
            text,
            str(config.language),
            str(config.speaker),
            config.rate_hz,
            tone.frequency(len(self._spoken)),
            round(tone.speech_ms(text) / config.pace, 3),
        )
        self._spoken.append(spoken)
        await self._connection.before_first()
        rate_hz = behaviour.audio_rate_hz or config.rate_hz
        encoding, request_id = CODECS[config.codec], new_id()
        audio = tone.speech(
            text,
            spoken.duration_ms,
            encoding,
            rate_hz,
            voice=self._voice,
            frequency_hz=spoken.frequency_hz,
        )
        size = len(tone.chunk(spoken.frequency_hz, encoding, rate_hz)) - behaviour.odd_frames
        pace = Pace(behaviour.speed or self._speed)
        for start in range(0, 0 if behaviour.empty else len(audio), size):
            if self._connection.due_error():
                await self._refuse("synthesis failed", "internal_server_error")
                return
            piece = audio[start : start + size]
            data = base64.b64encode(piece).decode()
            await self._say(
                "audio", audio=data, content_type=f"audio/{config.codec}", request_id=request_id
            )
            self._connection.sent(len(piece))
            await pace.after(tone.CHUNK_MS * len(piece) / size)

    async def _refuse(self, message: str, code: str) -> None:
        await self._say("error", message=message, code=code, request_id=new_id())

    async def _say(self, kind: str, **data: Any) -> None:
        await self._connection.say(msgspec.json.encode({"type": kind, "data": data}).decode())
