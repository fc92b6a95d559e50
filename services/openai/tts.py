"""OpenAI text-to-speech: a synthesiser for calls, and single phrases outside them.

Pipecat's own service for it speaks at 24 kHz whatever the line's rate, knows none but OpenAI's
voices, and asks again by itself; little of it would be left.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from config.errors import ProviderError
from services.context import ServiceContext
from services.openai.addresses import normalised
from services.openai.audio import OPENAI_RATE_HZ, Resampler
from services.openai.clients import NO_KEY, clients, key_of
from services.openai.failures import (
    FAILURES,
    BrokenAnswerError,
    category_of,
    described,
    provider_error,
)
from services.openai.options import OpenAITTSOptions

_TITLE = "OpenAI"
#: Bytes of 24 kHz audio that are waited for: 40 ms, so that the first are heard at once.
_CHUNK_BYTES = OPENAI_RATE_HZ * 40 // 1000 * 2
#: What stands for a text with nothing to say, since a turn without audio counts as a failure.
_NOTHING_MS = 20


class OpenAITTSService(TTSService):
    """Speaks sentence by sentence, one request each, and passes on its audio as it comes."""

    def __init__(self, options: OpenAITTSOptions, context: ServiceContext) -> None:
        super().__init__(
            sample_rate=context.rate_hz,
            push_start_frame=True,
            push_stop_frames=True,
            # What comes after Pipecat has ended a silent utterance is lost: wait for longer.
            stop_frame_timeout_s=options.timeout_seconds + 1.0,
            # Each failure is reported as such.
            max_consecutive_zero_audio_contexts=0,
            settings=TTSSettings(
                model=options.model, voice=options.voice, language=context.vendor_language
            ),
        )
        self._options = options
        self._context = context

    def can_generate_metrics(self) -> bool:
        """True: time to first audio and characters spoken are reported."""
        return True

    async def flush_audio(self, context_id: str | None = None) -> None:
        """End an utterance whose last sentence failed; Pipecat ends only those that sounded."""
        if context_id is not None and self.audio_context_available(context_id):
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak one sentence, or tell what went wrong."""
        await self.start_tts_usage_metrics(text)
        rate_hz = self._context.rate_hz
        if not any(character.isalnum() for character in text):
            yield TTSAudioRawFrame(
                bytes(rate_hz * _NOTHING_MS // 1000 * 2), rate_hz, 1, context_id=context_id
            )
            return
        try:
            async with aclosing(speak(self._options, self._context, text)) as pieces:
                async for pcm in pieces:
                    await self.stop_ttfb_metrics()
                    yield TTSAudioRawFrame(pcm, rate_hz, 1, context_id=context_id)
        except FAILURES as error:
            yield ErrorFrame(
                error=described(_TITLE, "tts", error),
                exception=error,
                category=category_of(error),
            )


def build_tts(options: OpenAITTSOptions, context: ServiceContext) -> OpenAITTSService:
    """A synthesiser for one call."""
    return OpenAITTSService(options, context)


async def render(options: OpenAITTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: OpenAI refused, gave nothing or could not be reached.
    """
    try:
        return b"".join([pcm async for pcm in speak(options, context, text)])
    except FAILURES as error:
        failed: ProviderError = provider_error("openai", _TITLE, "tts", error)
        raise failed from error


async def speak(
    options: OpenAITTSOptions, context: ServiceContext, text: str
) -> AsyncGenerator[bytes, None]:
    """16-bit samples at the line's rate, as they come.

    Raises:
        Exception: One of ``FAILURES``.
    """
    client = clients.get(normalised(context.base_url), key_of(context) or NO_KEY)
    given = {"instructions": options.instructions, "speed": options.speed}
    request = client.audio.speech.with_streaming_response.create(
        input=text.strip(),
        model=options.model,
        voice=options.voice,
        response_format="pcm",
        timeout=options.timeout_seconds,
        extra_body={name: value for name, value in given.items() if value is not None},
    )
    resampler = Resampler(OPENAI_RATE_HZ, context.rate_hz)
    heard = 0
    async with request as answer:
        pieces = answer.iter_bytes(_CHUNK_BYTES)
        while True:
            async with asyncio.timeout(options.timeout_seconds):
                piece = await anext(pieces, b"")
            if not piece:
                break
            if pcm := resampler.take(piece):
                heard += len(pcm)
                yield pcm
    if pcm := resampler.rest():
        yield pcm
    if not heard:
        raise BrokenAnswerError("the answer has no audio")
