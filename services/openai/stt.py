"""One utterance to text in one request, through Pipecat's services for Whisper's protocol."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.whisper.base_stt import BaseWhisperSTTService
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601

from services.context import ServiceContext
from services.offline.frames import UnrecognizedSpeechFrame
from services.openai.addresses import normalised
from services.openai.clients import NO_KEY, clients, http_client, key_of
from services.openai.failures import FAILURES, BrokenAnswerError, category_of, described
from services.openai.options import OpenAISTTOptions, WhisperSTTOptions
from services.openai.span import Span

_WAV_HEADER_BYTES = 44
_PCM_BYTES = 2
#: Longer speech is read in pieces.
MAX_SPEECH_SECONDS = 30.0
#: Utterances that may wait for their texts.
MAX_OUTSTANDING = 6


class WhisperSTTService(BaseWhisperSTTService):
    """What a call needs besides Pipecat's service for a vendor; goes before it in the bases.

    Pipecat's asks twice more by itself, waits up to ten minutes, and reports every failure
    without its exception; and an utterance without words ends in nothing at all there. Here each
    ends in a ``TranscriptionFrame`` or an ``UnrecognizedSpeechFrame``.

    Args:
        context: Of the call.
        timeout_seconds: Limit for one utterance.
        settings: How to listen.

    Attributes:
        title: The vendor, for messages.
    """

    title = "OpenAI"

    def __init__(self, context: ServiceContext, *, timeout_seconds: float, settings: Any) -> None:
        key = key_of(context) or NO_KEY
        base_url = normalised(context.base_url)
        super().__init__(
            api_key=key,
            base_url=base_url,
            # Saves reading certificates for the client that Pipecat makes and the next line drops.
            http_client=http_client(),
            sample_rate=context.rate_hz,
            audio_passthrough=False,
            settings=settings,
        )
        self._client = clients.get(base_url, key)
        self._timeout_seconds = timeout_seconds
        self._given_bytes = 0
        self._speech_began: int | None = None
        self._spans: deque[Span] = deque()

    def language_to_service_language(self, language: Language) -> str | None:
        """The code as it is: ours are checked when an agent is loaded, and are Whisper's."""
        return language.value.partition("-")[0]

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        """Count what comes."""
        self._given_bytes += len(frame.audio)
        await super().process_audio_frame(frame, direction)
        began = self._speech_began
        if began is not None and self._given_bytes - began >= self._most_bytes:
            # A noise that does not end, or somebody who does not: read so far, and on from there.
            self._note_span(began)
            self._speech_began = self._given_bytes
            await self._handle_user_stopped_speaking(VADUserStoppedSpeakingFrame())
            await self._handle_user_started_speaking(VADUserStartedSpeakingFrame())

    @property
    def _most_bytes(self) -> int:
        return int(MAX_SPEECH_SECONDS * self.sample_rate) * _PCM_BYTES

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins and ends."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._speech_began = self._given_bytes
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            began = self._given_bytes if self._speech_began is None else self._speech_began
            self._speech_began = None
            self._note_span(began)
        await super().process_frame(frame, direction)
        if len(self._spans) > MAX_OUTSTANDING:
            await self.push_error(
                f"{self.title} stt: speech is read too slowly", category=ErrorCategory.CONNECTIVITY
            )

    def _note_span(self, began: int) -> None:
        said = self._given_bytes - began
        self._spans.append(Span.of(self._given_bytes, said, self.sample_rate))

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Pipecat's marks every text as final, also one behind which the caller has gone on."""
        await super(SegmentedSTTService, self).push_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        """Have one utterance read.

        Args:
            audio: A WAV file.
        """
        await self.start_processing_metrics()
        span = self._spans.popleft() if self._spans else None
        text = ""
        try:
            text = await self._text_of(audio)
        except FAILURES as error:
            yield ErrorFrame(
                error=described(self.title, "stt", error),
                exception=error,
                category=category_of(error),
            )
        await self.stop_processing_metrics()
        if text:
            is_last = self._speech_began is None and not self._spans
            yield TranscriptionFrame(
                text, self._user_id, time_now_iso8601(), result=span, finalized=is_last
            )
        else:
            samples = (len(audio) - _WAV_HEADER_BYTES) // _PCM_BYTES
            yield UnrecognizedSpeechFrame(duration_seconds=samples / self.sample_rate)

    async def _text_of(self, audio: bytes) -> str:
        async with asyncio.timeout(self._timeout_seconds):
            answer = await self._transcribe(audio)
        text = getattr(answer, "text", None)
        if not isinstance(text, str):
            raise BrokenAnswerError("the answer has no text")
        return text.strip()


class SharedClientSTTService(WhisperSTTService, OpenAISTTService):
    """OpenAI's."""


def build_stt(options: OpenAISTTOptions, context: ServiceContext) -> SharedClientSTTService:
    """A recogniser for one call."""
    return SharedClientSTTService(
        context,
        timeout_seconds=options.timeout_seconds,
        settings=OpenAISTTService.Settings(**heard(options, context, options.model)),
    )


def heard(options: WhisperSTTOptions, context: ServiceContext, model: str) -> dict[str, Any]:
    """The settings of Pipecat's services that an agent's file gives."""
    return {
        "model": model,
        "language": context.vendor_language,
        "prompt": options.prompt,
        "temperature": options.temperature,
    }
