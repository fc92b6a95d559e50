"""One sentence to speech: one WebSocket to the Indic Parler server.

The request is one JSON message; the answer is ``meta``, binary audio, ``done``. There is no
message to cancel with: whoever wants no more closes the socket.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from config.errors import ConfigError
from services.ai4bharat.failures import FAILURES, failure, refused
from services.parler.speech import Sentence, printable

#: One message may hold a whole sentence: 40 s of audio.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024


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

    async def begin(self, text: str, *, description: str, language: str) -> "SocketSentence":
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
                sentence = SocketSentence(socket, self.rate_hz, self.stall_timeout_seconds)
                try:
                    await socket.send_str(msgspec.json.encode(request).decode())
                except BaseException:  # cancelled or failed, the socket must not stay open
                    await sentence.close()
                    raise
        except TimeoutError as error:
            limit = f"not reached in {self.connect_timeout_seconds:g} s"
            raise failure("tts", "timeout", limit) from error
        except aiohttp.WSServerHandshakeError as error:
            raise refused("tts", error.status, headers=error.headers) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise failure("tts", "unreachable", type(error).__name__) from error
        return sentence


class SocketSentence(Sentence):
    """One sentence that the server speaks over a socket of its own.

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
        super().__init__(FAILURES, rate_hz, stall_timeout_seconds)
        self._socket = socket

    async def close(self) -> None:
        """Want no more: takes no time, whatever the server does. Safe to call twice.

        aiohttp sends the close message and would then wait for the answer behind all audio that
        is on its way; being out of time, it cuts the connection instead.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await self._socket.close()

    async def receive(self) -> bytes:
        """The next binary message, or nothing after any other."""
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise failure("tts", "dropped", "the server left before it was done")
        self._read(message.data)
        return b""

    def _read(self, text: Any) -> None:
        """Take a text message; one that nobody can read is left out."""
        try:
            message = _messages.decode(text)
        except msgspec.DecodeError:
            return
        if message.type == "meta":
            self.announce(message.dtype, message.channels, message.sample_rate)
        elif message.type == "done":
            self.finish()
        elif message.type == "error":
            raise failure("tts", "failed", printable(message.message))


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
