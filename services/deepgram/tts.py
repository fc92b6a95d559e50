"""Deepgram text-to-speech: Pipecat's own services in a call, one socket for a phrase outside."""

import asyncio
import json
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from pipecat.frames.frames import TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.deepgram.flux.tts import DeepgramFluxTTSService
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.services.tts_service import TextAggregationMode

from services.connections.addresses import socket_root
from services.connections.sockets import SocketFailures
from services.context import ServiceContext
from services.deepgram import DeepgramTTSOptions
from services.deepgram.failures import FAILURES, failure_in, words_of

RENDER_SECONDS: Final = 15.0
#: Warnings that what was to be interrupted goes on.
_NOT_INTERRUPTED: Final = frozenset({"NO_AUDIO_GENERATED", "INTERRUPT_IN_PROGRESS"})


class _Speaks(SocketFailures):
    """Either of Deepgram's interfaces for voices."""

    failures = FAILURES
    binary_is_audio = True

    def check(self, message: dict[str, Any]) -> None:
        """Let Deepgram's errors end the listening."""
        failed = failure_in(message)
        if failed is not None:
            raise self._failure(*failed)


class AuraTTSService(_Speaks, DeepgramTTSService):
    """Pipecat's service for Aura voices.

    Pipecat's own plays what was on its way when the caller interrupted as the beginning of the
    next answer, and passes over Deepgram's errors.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(reconnect_on_error=False, **arguments)
        self._clearing = 0

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Have Deepgram forget the rest; what comes until it has is not heard."""
        if self._websocket is not None:
            self._clearing += 1
        await super().on_audio_context_interrupted(context_id)

    async def _connect_websocket(self) -> None:
        self._clearing = 0
        await super()._connect_websocket()  # type: ignore[no-untyped-call]

    async def _receive_messages(self) -> None:
        async for message in self._get_websocket():
            if isinstance(message, bytes):
                if not self._clearing:
                    context_id = self.get_active_audio_context_id()
                    frame = TTSAudioRawFrame(message, self.sample_rate, 1, context_id=context_id)
                    await self.append_to_audio_context(context_id, frame)
            else:
                await self._take(json.loads(message))

    async def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "Cleared":
            self._clearing = max(0, self._clearing - 1)
        elif kind == "Flushed" and not self._clearing:
            context_id = self.get_active_audio_context_id()
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)


class FluxTTSService(_Speaks, DeepgramFluxTTSService):
    """Pipecat's service for Flux voices.

    As with :class:`AuraTTSService`, what was on its way at an interruption is not heard.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            reconnect_on_error=False,
            text_aggregation_mode=TextAggregationMode.SENTENCE,
            **arguments,
        )
        self._clearing = 0
        self._has_sounded = False

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Have Deepgram forget the rest; what comes until it has is not heard.

        Before a connection's first sound Deepgram ignores it: another connection is made.
        """
        if self._has_sounded and self._transport_is_active():
            self._clearing += 1
        await super().on_audio_context_interrupted(context_id)
        if not self._has_sounded:
            await self._disconnect()  # type: ignore[no-untyped-call]
            await self._connect()

    async def _connect_websocket(self) -> None:
        self._clearing = 0
        self._has_sounded = False
        await super()._connect_websocket()  # type: ignore[no-untyped-call]

    async def _receive_messages(self) -> None:
        async for message in self._get_websocket():
            if isinstance(message, str):
                await self._handle_message(json.loads(message))
                continue
            self._has_sounded = True
            if not self._clearing:
                await self._handle_audio(message)

    async def _handle_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "SpeechInterrupted" or msg.get("code") == "NO_ACTIVE_SPEECH":
            self._clearing = max(0, self._clearing - 1)
        elif self._clearing and msg.get("code") in _NOT_INTERRUPTED:
            raise self._failure("failed", words_of(msg))
        elif msg["type"] != "SpeechMetadata" or not self._clearing:
            await super()._handle_message(msg)


def build_tts(
    options: DeepgramTTSOptions, context: ServiceContext
) -> AuraTTSService | FluxTTSService:
    """A streaming synthesiser for one call, at the line's own rate.

    Raises:
        ConfigError: The address is none.
    """
    root = _root(context)
    common: dict[str, Any] = {
        "api_key": _key(context),
        "sample_rate": context.rate_hz,
    }
    settings: dict[str, Any] = {"voice": options.voice}
    if options.speed is not None:
        settings["speed"] = options.speed
    if is_flux(options):
        return FluxTTSService(
            url=f"{root}/v2/speak",
            settings=DeepgramFluxTTSService.Settings(**settings),
            **common,
        )
    return AuraTTSService(base_url=root, settings=DeepgramTTSService.Settings(**settings), **common)


async def render(options: DeepgramTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: Deepgram refused, failed or could not be reached.
    """
    query: dict[str, Any] = {
        "model": options.voice,
        "encoding": "linear16",
        "sample_rate": context.rate_hz,
    }
    if options.speed is not None:
        query["speed"] = options.speed
    version, end = ("v2", "SpeechMetadata") if is_flux(options) else ("v1", "Flushed")
    url = f"{_root(context)}/{version}/speak?{urlencode(query)}"
    headers = {"Authorization": f"Token {_key(context)}"}
    try:
        async with (
            asyncio.timeout(RENDER_SECONDS),
            context.http.ws_connect(url, headers=headers) as socket,
        ):
            return await _rendered(socket, text, end)
    except aiohttp.WSServerHandshakeError as error:
        raise FAILURES.refused("tts", error.status, headers=error.headers) from error
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        raise FAILURES.failure("tts", "unreachable", type(error).__name__) from error


async def _rendered(socket: aiohttp.ClientWebSocketResponse, text: str, end: str) -> bytes:
    """All sound of one text; ``end`` is the message that follows the last of it."""
    await socket.send_json({"type": "Speak", "text": text})
    await socket.send_json({"type": "Flush"})
    pcm = bytearray()
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            pcm += message.data
        elif message.type is aiohttp.WSMsgType.TEXT:
            told = _read(message.data)
            if told["type"] == end:
                await socket.send_json({"type": "Close"})
                return bytes(pcm[: len(pcm) & ~1])
    raise FAILURES.failure("tts", "dropped", "Deepgram hung up")


def _read(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
        failed = failure_in(told)
    except (ValueError, AttributeError) as error:
        raise FAILURES.failure("tts", "garbage", "what came is no message") from error
    if failed is not None:
        raise FAILURES.failure("tts", *failed)
    return dict(told)


def is_flux(options: DeepgramTTSOptions) -> bool:
    """Whether the voice is one of the second version's."""
    return options.voice.startswith("flux-")


def _root(context: ServiceContext) -> str:
    return socket_root("tts.deepgram.base_url", context.base_url, "/speak", "/v2", "/v1")


def _key(context: ServiceContext) -> str:
    return context.api_key.get_secret_value() if context.api_key else ""
