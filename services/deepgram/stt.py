"""Deepgram speech-to-text, nova models, through Pipecat's own service."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pipecat.services.deepgram.stt as pipecat_deepgram
from deepgram.core.unchecked_base_model import construct_type
from deepgram.listen.v1.socket_client import AsyncV1SocketClient
from deepgram.listen.v1.types import ListenV1Results
from pipecat.frames.frames import (
    Frame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory
from websockets.asyncio.client import ClientConnection, connect

from services.connections.addresses import socket_root
from services.connections.clients import SharedClients
from services.connections.sockets import category_of, connect_options
from services.context import ServiceContext
from services.deepgram import DeepgramSTTOptions
from services.hearing.unheard import Unheard

#: Deepgram closes a connection on which nothing comes for ten seconds, and asks for this.
KEEPALIVE_SECONDS: Final = 4.0

http_clients: SharedClients[httpx.AsyncClient] = SharedClients(
    lambda _base_url, _api_key: httpx.AsyncClient(), lambda client: client.aclose()
)


class OneConnectionDeepgramSTTService(DeepgramSTTService):
    """Pipecat's service on one connection, whose end is reported and final.

    Pipecat's own connects again by itself, and drops the caller's audio meanwhile; here whoever
    holds the service decides, and replays what was said. It has Deepgram's package connect,
    whose refusals carry the request's headers, the key among them, instead of the answer's; here
    websockets connects. Its constructor makes an HTTP client, 30 ms on the event loop, that live
    recognition never uses, and offers no way to hand one in.

    Speech that Deepgram has no words for ends in an ``UnrecognizedSpeechFrame``.

    Args:
        root: Of Deepgram's WebSockets.
        key: Deepgram's.
        arguments: Of Pipecat's service.
    """

    def __init__(self, *, root: str, key: str, **arguments: Any) -> None:
        with _shared_http_client():
            super().__init__(api_key=key, base_url=root, **arguments)
        self._root = root
        self._key = key
        self._leaving = False
        self._unheard = Unheard(self)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Send a piece of the caller's audio; a lost connection is told by who listens to it."""
        connection = self._connection
        if connection is not None:
            try:
                await connection.send_media(audio)
            except Exception as error:
                await self._fail("the connection is gone", error)
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins and ends."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._unheard.started()
        try:
            await super().process_frame(frame, direction)
        except Exception as error:
            await self._fail("the connection is gone", error)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._unheard.stopped()

    async def _connect(self) -> None:
        self._leaving = False
        await super()._connect()  # type: ignore[no-untyped-call]

    async def _disconnect(self) -> None:
        self._leaving = True
        self._unheard.forget()
        try:
            await super()._disconnect()  # type: ignore[no-untyped-call]
        except Exception:
            # The farewell could not be said; Pipecat has not ended the task then.
            if self._connection_task is not None:
                await self.cancel_task(self._connection_task)
                self._connection_task = None

    async def _connection_handler(self) -> None:
        """Connect, and listen until the end; Pipecat runs this as a task."""
        query = urlencode(self._build_connect_kwargs(), doseq=True)
        url = f"{self._root}/v1/listen?{query}"
        headers = {"Authorization": f"Token {self._key}"}
        try:
            async with connect(url, additional_headers=headers, **connect_options(url)) as socket:
                client: Any = socket
                self._connection = AsyncV1SocketClient(websocket=client)  # type: ignore[assignment]
                self._connection_settled.set()
                await self._listen(socket)
        except Exception as error:
            await self._fail("no connection" if self._connection is None else "dropped", error)
        finally:
            self._connection = None
            self._connection_settled.set()

    async def _listen(self, socket: ClientConnection) -> None:
        keepalive = self.create_task(self._keepalive_handler(), f"{self}::keepalive")
        try:
            async for message in socket:
                await self._take(message)
                # Messages that wait are given without a pause: a flood would stop all calls.
                await asyncio.sleep(0)
            await self._fail("Deepgram hung up", None, ErrorCategory.CONNECTIVITY)
        finally:
            await self.cancel_task(keepalive)

    async def _keepalive_handler(self) -> None:
        while connection := self._connection:
            await connection.send_keep_alive()
            await asyncio.sleep(KEEPALIVE_SECONDS)

    async def _take(self, message: str | bytes) -> None:
        """One message.

        Raises:
            ValueError: It is none of Deepgram's.
        """
        data = json.loads(message) if isinstance(message, str) else None
        if not isinstance(data, dict) or not isinstance(data.get("type"), str):
            raise ValueError("a message that is none of Deepgram's")
        if data["type"] == "Error":
            reason = f"{data.get('variant')}: {data.get('description')}"
            await self._fail(reason, None, ErrorCategory.SERVER)
        elif data["type"] == "Results":
            results: Any = construct_type(type_=ListenV1Results, object_=data)
            try:
                alternative = results.channel.alternatives[0]
                if alternative.languages and not _is_known(alternative.languages[0]):
                    alternative.languages = None
                text, is_final = alternative.transcript.strip(), bool(results.is_final)
                is_answer = bool(results.from_finalize)
            except (AttributeError, IndexError, TypeError) as error:
                raise ValueError("results without a text") from error
            self._unheard.alive()
            await self._on_message(results)  # type: ignore[no-untyped-call]
            if is_final:
                await self._unheard.final(text, is_answer=is_answer)

    async def _fail(
        self, what: str, error: Exception | None, category: ErrorCategory | None = None
    ) -> None:
        """Say that the connection is of no more use, unless it was given up."""
        if self._leaving:
            return
        self._leaving = True
        self._unheard.forget()
        if error is not None:
            category = category_of(error)
            response = getattr(error, "response", None)
            reason = response.headers.get("dg-error") if response is not None else None
            what = f"{what}: {reason or error or type(error).__name__}"
        await self.push_error(f"Deepgram stt: {what}", exception=error, category=category)


def _is_known(code: str) -> bool:
    """Whether Pipecat has a name for a language; it would stumble over another."""
    try:
        Language(code)
    except ValueError:
        return False
    return True


@contextmanager
def _shared_http_client() -> Iterator[None]:
    """While Pipecat's constructor runs, which never awaits, its clients share one for HTTP."""
    names = vars(pipecat_deepgram)
    original = names["AsyncDeepgramClient"]
    names["AsyncDeepgramClient"] = partial(original, httpx_client=http_clients.get(None, ""))
    try:
        yield
    finally:
        names["AsyncDeepgramClient"] = original


def build_stt(
    options: DeepgramSTTOptions, context: ServiceContext
) -> OneConnectionDeepgramSTTService:
    """A streaming recogniser for one call.

    Audio stops here: nothing behind the recogniser needs it.

    Raises:
        ConfigError: The address is none.
    """
    settings: dict[str, Any] = {
        "model": options.model,
        "language": context.vendor_language,
        "interim_results": True,
        "smart_format": options.smart_format,
        "punctuate": options.punctuate,
        "numerals": options.numerals,
        "profanity_filter": options.profanity_filter,
        "endpointing": options.endpointing_ms,
    }
    if options.keyterms:
        settings["keyterm"] = list(options.keyterms)
    return OneConnectionDeepgramSTTService(
        root=server_address(context.base_url),
        key=context.api_key.get_secret_value() if context.api_key else "",
        sample_rate=context.rate_hz,
        audio_passthrough=False,
        settings=DeepgramSTTService.Settings(**settings),
    )


def server_address(base_url: str | None) -> str:
    """The root of Deepgram's WebSockets, from what people write.

    >>> server_address("https://api.in.deepgram.com/v1/listen")
    'wss://api.in.deepgram.com'

    Raises:
        ConfigError: It is no address.
    """
    return socket_root("stt.deepgram.base_url", base_url, "/listen", "/v1")
