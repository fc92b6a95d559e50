"""Bhashini's Indic Parler: a synthesiser for calls, and single phrases outside them, over gRPC."""

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc

from services.bhashini import PARLER_LANGUAGES, BhashiniParlerTTSOptions
from services.bhashini.failures import FAILURES, failure
from services.bhashini.messages import SYNTHESIZE, Speech, speech, synthesize_request
from services.bhashini.nvcf import Function, failed, function
from services.context import ServiceContext
from services.parler.speech import Sentence, speak
from services.parler.tts import ParlerTTSService, ParlerTTSSettings
from services.parler.voices import speaker_for


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcSynthesiser:
    """The model on a server.

    Attributes:
        function: Where it is.
        rate_hz: Rate of the audio that is wanted.
        connect_timeout_seconds: Limit for the server to take a sentence.
        stall_timeout_seconds: Limit for the next audio.
    """

    function: Function
    rate_hz: int
    connect_timeout_seconds: float
    stall_timeout_seconds: float

    async def begin(self, text: str, *, description: str, language: str) -> "GrpcSentence":
        """Have the server begin with a sentence; its audio is read from what is returned.

        Raises:
            ProviderError: The server could not be reached or refused.
        """
        call = self.function.channel.unary_stream(SYNTHESIZE)(
            synthesize_request(text, description, language), metadata=self.function.metadata
        )
        sentence = GrpcSentence(call, self.rate_hz, self.stall_timeout_seconds)
        try:
            async with asyncio.timeout(self.connect_timeout_seconds):
                await call.wait_for_connection()
        except TimeoutError as error:
            await sentence.close()
            limit = f"not reached in {self.connect_timeout_seconds:g} s"
            raise failure("tts", "timeout", limit) from error
        except grpc.aio.AioRpcError as error:
            raise failed("tts", error, began=False) from None
        except BaseException:  # cancelled, the request must not go on
            await sentence.close()
            raise
        return sentence


class GrpcSentence(Sentence):
    """One sentence that the server speaks in a request of its own.

    Args:
        call: The request.
        rate_hz: Rate of the audio that is wanted.
        stall_timeout_seconds: Limit for the next audio.
    """

    def __init__(self, call: Any, rate_hz: int, stall_timeout_seconds: float) -> None:
        super().__init__(FAILURES, rate_hz, stall_timeout_seconds)
        self._call = call
        self._began = False

    async def receive(self) -> bytes:
        """See the base class; what nobody can read is left out."""
        message = await self._message()
        if message.meta is not None:
            self.announce(*message.meta)
        if message.done:
            self.finish()
        return message.audio

    async def close(self) -> None:
        """Want no more: the server is told, and nothing is waited for."""
        self._call.cancel()

    async def _message(self) -> Speech:
        try:
            data = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise failed("tts", error, began=self._began) from None
        if data is grpc.aio.EOF:
            raise failure("tts", "dropped", "the server left before it was done")
        self._began = True
        try:
            return speech(data)
        except ValueError:
            return Speech()


class BhashiniParlerTTSService(ParlerTTSService):
    """Speaks sentence by sentence, each in a request of its own on one shared channel."""


def build_tts(
    options: BhashiniParlerTTSOptions, context: ServiceContext
) -> BhashiniParlerTTSService:
    """A synthesiser for one call.

    Raises:
        ConfigError: The address is none, or the function has no id.
    """
    settings = ParlerTTSSettings(
        model=None,
        voice=speaker_for(options.voice, context.language),
        language=_wire_language(options, context),
        description=options.description,
    )
    return BhashiniParlerTTSService(
        _synthesiser(options, context),
        languages={**PARLER_LANGUAGES, "bhb": options.bhili_code},
        described=described,
        settings=settings,
    )


async def render(options: BhashiniParlerTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: The server failed or gave no audio.
        ConfigError: The address is none, or the function has no id.
    """
    return await speak(
        _synthesiser(options, context),
        text,
        description=described(speaker_for(options.voice, context.language), options.description),
        language=_wire_language(options, context),
    )


def described(voice: str | None, description: str) -> str:
    """Who speaks and how, as this deployment wants it.

    >>> described("Divya", "A calm clear voice")
    'Divya A calm clear voice'
    """
    return f"{voice} {description}" if voice else description


def _wire_language(options: BhashiniParlerTTSOptions, context: ServiceContext) -> str:
    if context.language == "bhb":
        return options.bhili_code
    return context.vendor_language or "hi"


def _synthesiser(options: BhashiniParlerTTSOptions, context: ServiceContext) -> GrpcSynthesiser:
    where = "tts.bhashini_parler"
    return GrpcSynthesiser(
        function=function(context, where, options.function_id, options.function_version_id),
        rate_hz=context.rate_hz,
        connect_timeout_seconds=options.connect_timeout_seconds,
        stall_timeout_seconds=options.stall_timeout_seconds,
    )
