"""The offline recogniser as a Pipecat service."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol, runtime_checkable

from loguru import logger
from pipecat.frames.frames import ErrorFrame, Frame, InputAudioRawFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601

from config.agent import AgentConfig
from config.errors import ProviderError
from services.context import ServiceContext
from services.offline import LANGUAGES, OfflineSTTOptions
from services.offline.frames import UnrecognizedSpeechFrame
from services.offline.process import RecognizerProcess, shared_process
from services.offline.slots import yes_no_phrases
from services.offline.vocabulary import Vocabulary, check_phrases
from services.offline.wire import Recognition

#: The search wants a little silence behind the last word; voice activity leaves about 200 ms.
_TRAILING_SILENCE_SECONDS = 0.1
#: From the end of speech to the transcript: the wait for voice activity and a long utterance.
_P99_SECONDS = 0.35


@runtime_checkable
class HasVocabulary(Protocol):
    """Options of a dialogue that knows what callers may say."""

    def vocabulary(self) -> tuple[str, ...]:
        """Phrases, which may hold slots in braces."""


class OfflineSTTService(SegmentedSTTService):
    """Recognises each utterance when voice activity says that it has ended.

    What matches a phrase becomes a finalized ``TranscriptionFrame`` whose ``result`` is the
    :class:`~services.offline.wire.Recognition`; anything else an ``UnrecognizedSpeechFrame``,
    so that every utterance ends its turn. Audio stops here.

    Args:
        vocabulary: What may be said.
        options: What the operator wrote.
        rate_hz: Sample rate of the audio frames.
        process: Does the work.
    """

    _settings: STTSettings

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        options: OfflineSTTOptions,
        rate_hz: int,
        process: RecognizerProcess,
    ) -> None:
        super().__init__(
            sample_rate=rate_hz,
            audio_passthrough=False,
            trailing_silence_secs=_TRAILING_SILENCE_SECONDS,
            ttfs_p99_latency=_P99_SECONDS,
            settings=STTSettings(model=None, language=None),
        )
        self._vocabulary = vocabulary
        self._options = options
        self._process = process
        self._preparing: asyncio.Task[None] | None = None
        # A second for what is kept from before speech, and the trailing silence.
        self._max_bytes = int((options.max_speech_seconds + 1.5) * rate_hz) * 2

    @property
    def wants_wav_segments(self) -> bool:
        """False: plain samples."""
        return False

    def can_generate_metrics(self) -> bool:
        """True: time to the transcript and of the search are reported."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to compile the vocabulary while the greeting is spoken."""
        await super().setup(setup)
        self._preparing = self.create_task(self._prepare(), name="prepare")

    async def cleanup(self) -> None:
        """Stop waiting for the vocabulary; the process goes on for other calls."""
        if self._preparing is not None:
            await self.cancel_task(self._preparing)
            self._preparing = None
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        """Keep the frame, unless the caller has been speaking for too long to be understood."""
        if len(self._audio_buffer) <= self._max_bytes:
            await super().process_audio_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Recognise one utterance.

        Yields:
            A transcription, or word that there is none; before that an error frame with the
            ``ProviderError`` if the recogniser failed.
        """
        seconds = len(audio) / 2 / self.sample_rate
        if len(audio) > self._max_bytes:
            yield UnrecognizedSpeechFrame(duration_seconds=seconds)
            return
        await self.start_processing_metrics()
        try:
            heard = await self._process.recognize(
                self._vocabulary,
                audio,
                rate_hz=self.sample_rate,
                sensitivity=self._options.sensitivity,
            )
        except ProviderError as error:
            category = ErrorCategory.SERVER if error.retryable else ErrorCategory.INVALID_REQUEST
            yield ErrorFrame(error=error.message, exception=error, category=category)
            yield UnrecognizedSpeechFrame(duration_seconds=seconds)
            return
        finally:
            await self.stop_processing_metrics()
        if heard.accepted and heard.speech_seconds >= self._options.min_speech_seconds:
            yield self._transcription(heard)
        else:
            await self.cancel_ttfb_metrics()  # type: ignore[no-untyped-call]
            yield UnrecognizedSpeechFrame(
                confidence=heard.confidence, duration_seconds=heard.speech_seconds
            )

    def _transcription(self, heard: Recognition) -> TranscriptionFrame:
        return TranscriptionFrame(
            heard.text, self._user_id, time_now_iso8601(), result=heard, finalized=True
        )

    async def _prepare(self) -> None:
        try:
            await self._process.prepare(self._vocabulary)
        except ProviderError as error:
            # The first utterance will meet the same error and report it.
            logger.warning("offline recogniser is not ready: {}", error.message)


def build_stt(options: OfflineSTTOptions, context: ServiceContext) -> OfflineSTTService:
    """A recogniser for one call; agents with the same phrases share one compiled grammar.

    Raises:
        ConfigError: A phrase holds a slot that does not exist.
    """
    return OfflineSTTService(
        vocabulary=agent_vocabulary(options, context),
        options=options,
        rate_hz=context.rate_hz,
        process=shared_process(),
    )


async def prepare(options: OfflineSTTOptions, context: ServiceContext) -> None:
    """Compile an agent's vocabulary when it is loaded; its first caller finds it ready.

    Raises:
        ProviderError: The recogniser could not take it.
    """
    await shared_process().prepare(agent_vocabulary(options, context))


def agent_vocabulary(options: OfflineSTTOptions, context: ServiceContext) -> Vocabulary:
    """All phrases of an agent: its own, those of its dialogue, and yes and no.

    Raises:
        ConfigError: A phrase holds a slot that does not exist.
    """
    voice = context.vendor_language or LANGUAGES["en-IN"]
    phrases = [*options.phrases, *_dialogue_phrases(context.agent)]
    if options.yes_no:
        phrases += yes_no_phrases(voice)
    unique = tuple(dict.fromkeys(phrase.strip() for phrase in phrases))
    check_phrases(unique)
    return Vocabulary(phrases=unique, voice=voice)


def _dialogue_phrases(agent: AgentConfig) -> list[str]:
    phrases: list[str] = []
    for name in agent.llm.chain:
        if agent.has_options("llm", name):
            options = agent.provider_options("llm", name)
            if isinstance(options, HasVocabulary):
                phrases += options.vocabulary()
    return phrases
