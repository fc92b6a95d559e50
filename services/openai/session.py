"""A realtime transcription session: audio in, texts out, over one WebSocket.

Wire facts: OpenAI's realtime interface of 2025 and later, sessions of type ``transcription``.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from services.context import ServiceContext
from services.openai.addresses import realtime_address
from services.openai.audio import OPENAI_RATE_HZ, TELEPHONE_RATE_HZ, Resampler, mulaw
from services.openai.options import OpenAIRealtimeSTTOptions

MAX_MESSAGE_BYTES = 1024 * 1024
#: What is kept while the server is not ready, or takes nothing: 30 s of 20 ms pieces.
MAX_WAITING = 1500
#: Texts of speech that is not over, and letters of one: more than anybody says.
MAX_DRAFTS = 16
MAX_TEXT_LETTERS = 6000
_ITEM = "conversation.item.input_audio_transcription"


class SessionError(Exception):
    """A session failed.

    Attributes:
        message: For people.
        category: Pipecat's word for it.
        cause: What the client raised, if anything.
    """

    def __init__(
        self, message: str, category: ErrorCategory, cause: Exception | None = None
    ) -> None:
        super().__init__(message)
        self.message = f"OpenAI stt: {message}"
        self.category = category
        self.cause = cause if cause is not None else self


@dataclass(frozen=True, slots=True)
class Heard:
    """Text of one utterance: all of it so far, or all of it."""

    text: str
    is_final: bool
    duration_seconds: float = 0.0


@dataclass(slots=True)
class _Utterance:
    duration_seconds: float
    text: str = ""
    is_final: bool = False


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | None = None
    message: str | None = None


class _Event(msgspec.Struct):
    """Any event of the server that matters here."""

    type: str
    item_id: str = ""
    delta: str = ""
    transcript: str = ""
    error: _Error | None = None


_events = msgspec.json.Decoder(_Event)


@dataclass(slots=True)
class Session:
    """One session.

    Attributes:
        options: Of the agent.
        context: Of the call.
        take: Is given every text, in the order of speech.
        ready: Set once the server takes audio.
    """

    options: OpenAIRealtimeSTTOptions
    context: ServiceContext
    take: Callable[[Heard], Awaitable[None]]
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: "asyncio.Queue[str]" = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))
    _asked: list[_Utterance] = field(default_factory=list)
    _items: dict[str, _Utterance] = field(default_factory=dict)
    _unnamed: list[_Utterance] = field(default_factory=list)
    _drafts: dict[str, str] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _resampler: Resampler | None = None
    _is_overrun: bool = False

    @property
    def _is_telephone(self) -> bool:
        return self.context.rate_hz == TELEPHONE_RATE_HZ

    def say(self, pcm: bytes) -> None:
        """Send 16-bit samples at the line's rate."""
        if self._is_telephone:
            audio = mulaw(pcm)
        else:
            if self._resampler is None:
                self._resampler = Resampler(self.context.rate_hz, OPENAI_RATE_HZ)
            audio = self._resampler.take(pcm)
        if audio:
            encoded = base64.b64encode(audio).decode("ascii")
            self._send({"type": "input_audio_buffer.append", "audio": encoded})

    def read(self, duration_seconds: float) -> None:
        """Have what was said since the last time read as one utterance."""
        if self._resampler is not None:
            rest, self._resampler = self._resampler.rest(), None
            if rest:
                encoded = base64.b64encode(rest).decode("ascii")
                self._send({"type": "input_audio_buffer.append", "audio": encoded})
        utterance = _Utterance(duration_seconds)
        self._asked.append(utterance)
        self._unnamed.append(utterance)
        self._send({"type": "input_audio_buffer.commit"})
        self._changed.set()

    def forget(self) -> None:
        """What was said since the last time is nothing."""
        self._resampler = None
        self._send({"type": "input_audio_buffer.clear"})

    async def run(self) -> None:
        """Be in session until cancelled.

        Raises:
            SessionError: It could not be opened, broke, or gave no text in time.
        """
        socket = await self._opened()
        reading = asyncio.ensure_future(self._read(socket))
        others = [
            asyncio.ensure_future(each) for each in (self._write(socket), self._watch(socket))
        ]
        try:
            await asyncio.wait((reading, *others), return_when=asyncio.FIRST_COMPLETED)
            for task in (reading, *others):
                if task.done():
                    task.result()
        finally:
            for task in (reading, *others):
                task.cancel()
            await asyncio.gather(reading, *others, return_exceptions=True)
            await _close(socket)

    def _send(self, event: dict[str, Any]) -> None:
        try:
            self._waiting.put_nowait(msgspec.json.encode(event).decode())
        except asyncio.QueueFull:
            self._is_overrun = True
            self._changed.set()

    async def _opened(self) -> aiohttp.ClientWebSocketResponse:
        key = self.context.api_key.get_secret_value() if self.context.api_key else ""
        try:
            async with asyncio.timeout(self.options.connect_timeout_seconds):
                return await self.context.http.ws_connect(
                    realtime_address(self.context.base_url),
                    headers={"Authorization": f"Bearer {key}"},
                    max_msg_size=MAX_MESSAGE_BYTES,
                    heartbeat=10.0,
                )
        except TimeoutError as error:
            raise SessionError("not reached in time", ErrorCategory.CONNECTIVITY, error) from error
        except aiohttp.WSServerHandshakeError as error:
            category = classify_http_status_code(error.status)
            raise SessionError(f"the server answered {error.status}", category, error) from error
        except (aiohttp.ClientError, OSError) as error:
            category = ErrorCategory.CONNECTIVITY
            raise SessionError("it could not be reached", category, error) from error

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self.ready.wait()
        while True:
            message = await self._waiting.get()
            try:
                await socket.send_str(message)
            except (aiohttp.ClientError, ConnectionError) as error:
                raise SessionError("it hung up", ErrorCategory.CONNECTIVITY, error) from error

    async def _watch(self, _socket: aiohttp.ClientWebSocketResponse) -> None:
        """Notice what does not happen: a session that is never ready, a text that never comes."""
        try:
            async with asyncio.timeout(self.options.connect_timeout_seconds):
                await self.ready.wait()
        except TimeoutError as error:
            raise SessionError(
                "the session was not ready in time", ErrorCategory.CONNECTIVITY, error
            ) from error
        while True:
            if self._is_overrun:
                raise SessionError("it takes audio too slowly", ErrorCategory.CONNECTIVITY)
            oldest = self._asked[0] if self._asked else None
            self._changed.clear()
            limit = self.options.final_timeout_seconds if oldest else None
            try:
                async with asyncio.timeout(limit):
                    await self._changed.wait()
            except TimeoutError as error:
                if self._asked and self._asked[0] is oldest:
                    raise SessionError(
                        "no text in time", ErrorCategory.CONNECTIVITY, error
                    ) from error

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            received = await socket.receive()
            # Messages that wait are given without a pause: a flood would stop all calls.
            await asyncio.sleep(0)
            if received.type is aiohttp.WSMsgType.BINARY:
                continue
            if received.type is not aiohttp.WSMsgType.TEXT:
                raise SessionError("it hung up", ErrorCategory.CONNECTIVITY)
            try:
                event = _events.decode(received.data)
            except msgspec.DecodeError:
                continue
            await self._understand(event, socket)

    async def _understand(self, event: _Event, socket: aiohttp.ClientWebSocketResponse) -> None:
        if event.type == "session.created":
            with suppress(aiohttp.ClientError, ConnectionError):
                await socket.send_str(msgspec.json.encode(self._settings()).decode())
        elif event.type == "session.updated":
            self.ready.set()
        elif event.type == "input_audio_buffer.committed" and self._unnamed:
            utterance = self._items[event.item_id] = self._unnamed.pop(0)
            utterance.text = self._drafts.pop(event.item_id, "")
        elif event.type == f"{_ITEM}.delta":
            await self._draft(event)
        elif event.type == f"{_ITEM}.completed" and event.item_id in self._items:
            utterance = self._items.pop(event.item_id)
            utterance.text, utterance.is_final = event.transcript.strip(), True
            await self._deliver()
        elif event.type in ("error", f"{_ITEM}.failed"):
            raise _told(event.error or _Error())

    async def _draft(self, event: _Event) -> None:
        """A piece of a text, of speech that is over or, before its item is named, is not."""
        utterance = self._items.get(event.item_id)
        text = self._drafts.get(event.item_id, "") if utterance is None else utterance.text
        text += event.delta
        if len(text) > MAX_TEXT_LETTERS or len(self._drafts) > MAX_DRAFTS:
            raise SessionError("it gives texts without end", ErrorCategory.SERVER)
        if utterance is None:
            self._drafts[event.item_id] = text
        else:
            utterance.text = text
        is_next = utterance is self._asked[0] if self._asked else utterance is None
        if is_next and text.strip():
            await self.take(Heard(text.strip(), is_final=False))

    async def _deliver(self) -> None:
        """Texts that are final, but none before those of earlier speech."""
        while self._asked and self._asked[0].is_final:
            utterance = self._asked.pop(0)
            self._changed.set()
            await self.take(
                Heard(utterance.text, is_final=True, duration_seconds=utterance.duration_seconds)
            )

    def _settings(self) -> dict[str, Any]:
        options = self.options
        form: dict[str, Any] = {"type": "audio/pcmu"}
        if not self._is_telephone:
            form = {"type": "audio/pcm", "rate": OPENAI_RATE_HZ}
        listening: dict[str, Any] = {
            "format": form,
            "transcription": {"model": options.model, "language": self.context.vendor_language},
            "turn_detection": None,
        }
        if options.noise_reduction:
            listening["noise_reduction"] = {"type": options.noise_reduction}
        return {
            "type": "session.update",
            "session": {"type": "transcription", "audio": {"input": listening}},
        }


def _told(error: _Error) -> SessionError:
    """The server's own error, by its code alone: its words may quote what was said."""
    code = error.code or error.type or ""
    shown = code if code.isidentifier() and len(code) <= 60 else "no reason given"
    categories = {
        "invalid_api_key": ErrorCategory.AUTHENTICATION,
        "insufficient_quota": ErrorCategory.QUOTA,
        "rate_limit_exceeded": ErrorCategory.RATE_LIMIT,
        "invalid_request_error": ErrorCategory.INVALID_REQUEST,
        "invalid_value": ErrorCategory.INVALID_REQUEST,
        "model_not_found": ErrorCategory.INVALID_REQUEST,
    }
    category = categories.get(code) or categories.get(error.type or "") or ErrorCategory.SERVER
    return SessionError(f"the server told of an error ({shown})", category)


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Want no more: takes no time, whatever the server does."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await socket.close()
