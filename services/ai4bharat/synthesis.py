"""One sentence to speech: one WebSocket to the Indic Parler server.

The request is one JSON message; the answer is ``meta``, binary audio, ``done``. There is no
message to cancel with: whoever wants no more closes the socket.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from config.errors import ConfigError
from services.ai4bharat.audio import FromSynthesiser
from services.ai4bharat.failures import failure, refused

#: One message may hold a whole sentence: 40 s of audio.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
#: Audio is converted in pieces of this size (0.4 s), so that the event loop never waits long.
PIECE_BYTES = 64 * 1024
MAX_DETAIL = 120
RATES_HZ = range(8_000, 96_001)


class _Request(msgspec.Struct):
    prompt: str
    description: str
    language: str


class _Message(msgspec.Struct):
    """Any text message of the server: ``meta``, ``done`` or ``error``."""

    type: str
    sample_rate: int = 44_100
    dtype: str = "float32"
    channels: int = 1
    message: str = ""


_messages = msgspec.json.Decoder(_Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesiser:
    """A synthesiser on a server.

    Attributes:
        http: The process's shared session.
        url: Its WebSocket, as :func:`websocket_address` gives it.
        rate_hz: Rate of the audio that is wanted.
        connect_timeout_seconds: Limit for the server to take a sentence.
        stall_timeout_seconds: Limit for the next audio.
    """

    http: aiohttp.ClientSession
    url: str
    rate_hz: int
    connect_timeout_seconds: float
    stall_timeout_seconds: float

    async def begin(self, text: str, *, description: str, language: str) -> "Sentence":
        """Have the server begin with a sentence; its audio is read from what is returned.

        Raises:
            ProviderError: The server could not be reached or refused.
        """
        request = _Request(prompt=text, description=description, language=language)
        try:
            async with asyncio.timeout(self.connect_timeout_seconds):
                socket = await self.http.ws_connect(
                    self.url, max_msg_size=MAX_MESSAGE_BYTES, autoping=True
                )
                sentence = Sentence(socket, self.rate_hz, self.stall_timeout_seconds)
                try:
                    await socket.send_str(msgspec.json.encode(request).decode())
                except BaseException:  # cancelled or failed, the socket must not stay open
                    await sentence.close()
                    raise
        except TimeoutError as error:
            limit = f"not reached in {self.connect_timeout_seconds:g} s"
            raise failure("tts", "timeout", limit) from error
        except aiohttp.WSServerHandshakeError as error:
            raise refused("tts", error.status) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise failure("tts", "unreachable", type(error).__name__) from error
        return sentence


class Sentence:
    """One sentence that the server speaks.

    Until it is read, the server is slowed down by the network, so that an early begin costs
    little memory.

    Args:
        socket: Over which it was asked for.
        rate_hz: Rate of the audio that is wanted.
        stall_timeout_seconds: Limit for the next audio.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        rate_hz: int,
        stall_timeout_seconds: float,
    ) -> None:
        self._socket = socket
        self._rate_hz = rate_hz
        self._stall_seconds = stall_timeout_seconds
        self._converter: FromSynthesiser | None = None
        self._done = False

    async def audio(self) -> AsyncGenerator[bytes, None]:
        """16-bit little-endian mono samples at the wanted rate, as soon as they come.

        Raises:
            ProviderError: The server reported a failure, left before it was done, gave no audio
                for too long, or none at all.
        """
        heard = False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._stall_seconds
        while not self._done:
            data = await self._receive(deadline)
            for start in range(0, len(data), PIECE_BYTES):
                if pcm := self._convert(data[start : start + PIECE_BYTES]):
                    heard = True
                    yield pcm
                    await asyncio.sleep(0)
                deadline = loop.time() + self._stall_seconds
        if self._converter is not None and (pcm := self._converter.rest()) and heard:
            yield pcm
        if not heard:
            raise failure("tts", "no_audio", "the sentence came back without audio")

    async def close(self) -> None:
        """Want no more: takes no time, whatever the server does. Safe to call twice.

        aiohttp sends the close message and would then wait for the answer behind all audio that
        is on its way; being out of time, it cuts the connection instead.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await self._socket.close()

    async def _receive(self, deadline: float) -> bytes:
        """The next binary message, or nothing after any other."""
        try:
            async with asyncio.timeout_at(deadline):
                message = await self._socket.receive()
        except TimeoutError as error:
            silence = f"no audio for {self._stall_seconds:g} s"
            raise failure("tts", "timeout", silence) from error
        if message.type is aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise failure("tts", "dropped", "the server left before it was done")
        self._read(message.data)
        return b""

    def _convert(self, data: bytes) -> bytes:
        """Audio; what comes before its format is known can be none, and is left out."""
        return self._converter.take(data) if self._converter is not None else b""

    def _read(self, text: Any) -> None:
        """Take a text message; one that nobody can read is left out."""
        try:
            message = _messages.decode(text)
        except msgspec.DecodeError:
            return
        if message.type == "meta" and self._converter is None:
            self._converter = FromSynthesiser(_checked_rate(message), self._rate_hz)
        elif message.type == "done":
            self._done = True
        elif message.type == "error":
            raise failure("tts", "failed", _printable(message.message))


def websocket_address(base_url: str | None) -> str:
    """The server's WebSocket, from what people write.

    >>> websocket_address("http://localhost:8002/tts/stream")
    'ws://localhost:8002/'

    Raises:
        ConfigError: It is no address.
    """
    parts = urlsplit((base_url or "").strip())
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.netloc:
        raise ConfigError(
            f"tts.ai4bharat.base_url must begin with http://, https://, ws:// or wss://: {base_url}"
        )
    path = parts.path.rstrip("/").removesuffix("/stream").removesuffix("/tts")
    return urlunsplit((scheme, parts.netloc, f"{path.rstrip('/')}/", "", ""))


def _checked_rate(meta: _Message) -> int:
    if meta.dtype != "float32" or meta.channels != 1 or meta.sample_rate not in RATES_HZ:
        found = f"{meta.dtype}, {meta.channels} channels, {meta.sample_rate} Hz"
        raise failure("tts", "format", f"cannot use audio of {_printable(found)}", retryable=False)
    return meta.sample_rate


def _printable(text: str) -> str:
    return "".join(c for c in text[:MAX_DETAIL] if c.isprintable()) or "no reason given"


async def speak(synthesiser: Synthesiser, text: str, *, description: str, language: str) -> bytes:
    """A whole sentence at once.

    Raises:
        ProviderError: As :meth:`Synthesiser.begin` and :meth:`Sentence.audio`.
    """
    sentence = await synthesiser.begin(text, description=description, language=language)
    try:
        return b"".join([pcm async for pcm in sentence.audio()])
    finally:
        await sentence.close()
