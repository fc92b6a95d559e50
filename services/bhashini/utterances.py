"""One utterance to text: streamed over a WebSocket of its own, or sent whole once it is over."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from config.errors import ProviderError
from services.bhashini.audio import STREAM_RATE_HZ, ToStream
from services.bhashini.failures import failure, refused
from services.bhashini.pipeline import Pipeline
from services.hearing.utterances import Interim, Utterance, Whole

CHUNK_MS = 200
MAX_MESSAGE_BYTES = 256 * 1024
#: Speech of this length that has no text at all, not even an interim one, was not listened to.
UNHEARD_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """How speech is to be read.

    Attributes:
        language: Bhashini's code.
        service_id: Of the recogniser.
        post_processors: What is done to texts.
    """

    language: str
    service_id: str
    post_processors: tuple[str, ...]


class Recorded(Whole):
    """Sent in one request when it is over.

    Args:
        pipeline: The server.
        config: Language, service and post-processors, as the pipeline takes them.
    """

    def __init__(self, rate_hz: int, pipeline: Pipeline, config: Recognition) -> None:
        super().__init__(rate_hz)
        self._pipeline = pipeline
        self._config = config

    async def read(self, pcm: bytes) -> str:
        """See the base class."""
        return await self._pipeline.transcribe(
            pcm,
            rate_hz=self.rate_hz,
            language=self._config.language,
            service_id=self._config.service_id,
            post=self._config.post_processors,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """A streaming recogniser.

    Attributes:
        http: The process's shared session.
        url: As :func:`services.bhashini.addresses.stream_address` gives it.
        key: Goes into the address; no error may show that.
        connect_timeout_seconds: Limit for a stream to be taken.
        final_timeout_seconds: Limit for the final text once the utterance is over.
    """

    http: aiohttp.ClientSession
    url: str
    key: str
    connect_timeout_seconds: float
    final_timeout_seconds: float


class _Output(msgspec.Struct):
    source: str = ""


class _Message(msgspec.Struct, rename="camel"):
    """Any message of the server: ``ready``, ``transcript`` or ``error``."""

    type: str
    output: list[_Output] = []
    is_final: bool = False
    message: str = ""


_messages = msgspec.json.Decoder(_Message)


class Streamed(Utterance):
    """Sent while it is being said. A stream that breaks is not opened again: whoever holds the
    service decides who hears it all once more.

    Args:
        server: The recogniser.
        config: How it is to be read.
    """

    def __init__(self, rate_hz: int, server: Streaming, config: Recognition) -> None:
        super().__init__(rate_hz)
        self._server = server
        self._config = config
        self._finals: list[str] = []
        self._interim = ""
        self._end_sent = False

    async def text(self, on_interim: Interim) -> str:
        """See the base class."""
        socket = await self._opened()
        sending = asyncio.create_task(self._send(socket))
        reading = asyncio.create_task(self._read(socket, on_interim))
        tasks = (sending, reading)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._end_sent and not reading.done():
                await asyncio.wait((reading,), timeout=self._server.final_timeout_seconds)
            errors = [task.exception() for task in tasks if task.done()]
            has_answer = reading.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _close(socket)
        for error in filter(None, errors):
            raise error
        if not has_answer and not self._heard and self.duration_seconds >= UNHEARD_SECONDS:
            raise failure("stt", "timeout", "the stream gave no text")
        return self._heard

    @property
    def _heard(self) -> str:
        """Final texts, and the interim one behind them."""
        return " ".join(filter(None, (*self._finals, self._interim)))

    async def _opened(self) -> aiohttp.ClientWebSocketResponse:
        """A socket that was told what is coming. The key is in its address: errors hide it."""
        server = self._server
        try:
            async with asyncio.timeout(server.connect_timeout_seconds):
                socket = await server.http.ws_connect(
                    server.url, params={"api_key": server.key}, max_msg_size=MAX_MESSAGE_BYTES
                )
                try:
                    await socket.send_str(msgspec.json.encode(self._start()).decode())
                except BaseException:  # cancelled or failed, the socket must not stay open
                    await _close(socket)
                    raise
        except TimeoutError:
            limit = f"not reached in {server.connect_timeout_seconds:g} s"
            raise failure("stt", "timeout", limit) from None
        except aiohttp.WSServerHandshakeError as error:
            raise refused("stt", error.status, headers=error.headers) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise failure("stt", "unreachable", type(error).__name__) from None
        return socket

    def _start(self) -> dict[str, Any]:
        language = {"sourceLanguage": self._config.language}
        return {
            "type": "start",
            "controlConfig": {"dataTracking": False},
            "language": language,
            "config": {
                "serviceId": self._config.service_id,
                "language": language,
                "audioFormat": "pcm",
                "encoding": "raw",
                "samplingRate": STREAM_RATE_HZ,
                "transcriptionFormat": {"value": "transcript"},
                "postProcessors": list(self._config.post_processors),
            },
            "streamingConfig": {
                "chunkDurationMs": CHUNK_MS,
                "interimResults": True,
                "endOfStreamPolicy": "client_signal",
            },
        }

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Say everything from the beginning, as it comes, then that it is over."""
        converter = ToStream(self.rate_hz)
        size = self.rate_hz * CHUNK_MS // 1000 * 2
        place = 0
        try:
            while True:
                await self.said_more_than(place + size - 1)
                if len(self.pcm) - place < size:
                    break
                await socket.send_bytes(converter.take(bytes(self.pcm[place : place + size])))
                place += size
            if rest := converter.take(bytes(self.pcm[place:]), last=True):
                await socket.send_bytes(rest)
            await socket.send_str('{"type":"end"}')
            self._end_sent = True
        except (aiohttp.ClientError, ConnectionError) as error:
            raise failure("stt", "dropped", type(error).__name__) from None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, on_interim: Interim) -> None:
        """Take texts until the last one."""
        while True:
            received = await socket.receive()
            if received.type is aiohttp.WSMsgType.BINARY:
                continue
            if received.type is not aiohttp.WSMsgType.TEXT:
                if self._end_sent and socket.close_code == aiohttp.WSCloseCode.OK:
                    return
                raise failure("stt", "dropped", "the server left before it was done")
            try:
                message = _messages.decode(received.data)
            except msgspec.DecodeError:
                continue
            if message.type == "error":
                raise _told(message.message)
            if message.type != "transcript":
                continue
            text = " ".join(filter(None, (part.source.strip() for part in message.output)))
            if message.is_final:
                self._finals.append(text)
                self._interim = ""
                if self._end_sent:
                    return
            elif text:
                self._interim = text
                await on_interim(self._heard)


def _told(message: str) -> ProviderError:
    """The server's own error; one about the request is not worth another try."""
    printable = "".join(c for c in message[:120] if c.isprintable()) or "no reason given"
    wrong_request = message.startswith("INVALID")
    kind = "refused" if wrong_request else "failed"
    return failure("stt", kind, printable, retryable=not wrong_request)


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Want no more: takes no time, whatever the server does."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await socket.close()
