"""Bhashini text-to-speech: a Pipecat synthesiser for calls, and single phrases outside them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language
from pipecat.utils.types import NOT_GIVEN, NotGiven, assert_given

from config.errors import ConfigError, ProviderError
from config.languages import resolve_language
from services.bhashini import TTS_LANGUAGES, BhashiniTTSOptions, tts_service_for
from services.bhashini.addresses import pipeline_address
from services.bhashini.pipeline import Pipeline
from services.context import ServiceContext
from services.failures import category

#: What stands for a text with nothing to say, since a turn without audio counts as a failure.
_NOTHING_MS = 20
#: Audio leaves in pieces of this length, so that an interruption finds little under way.
_PIECE_MS = 200


@dataclass
class BhashiniTTSSettings(TTSSettings):
    """What may be changed during a call; ``voice`` is ``female`` or ``male``.

    Attributes:
        speed: Speaking rate.
    """

    speed: float | NotGiven = field(default_factory=lambda: NOT_GIVEN)


class BhashiniTTSService(TTSService):
    """Speaks sentence by sentence: one request each, whose audio comes in one piece.

    Args:
        pipeline: The server.
        rate_hz: Rate of the audio frames.
        service_id: Of the synthesiser; None for the one of the language.
        settings: How to speak; all of its fields are given.
    """

    Settings = BhashiniTTSSettings
    _settings: BhashiniTTSSettings

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        rate_hz: int,
        service_id: str | None,
        settings: BhashiniTTSSettings,
    ) -> None:
        super().__init__(
            sample_rate=rate_hz,
            push_start_frame=True,
            push_stop_frames=True,
            # What comes after Pipecat has ended a silent utterance is lost: wait for longer
            # than a sentence may take.
            stop_frame_timeout_s=pipeline.timeout_seconds + 1.0,
            # Each failure is reported as such; a server that is away for a while may come back.
            max_consecutive_zero_audio_contexts=0,
            settings=settings,
        )
        self._pipeline = pipeline
        self._service_id = service_id

    def can_generate_metrics(self) -> bool:
        """True: time to first audio and characters spoken are reported."""
        return True

    def language_to_service_language(self, language: Language) -> str | None:
        """The server's code; what it does not speak is passed on as it is written."""
        try:
            return TTS_LANGUAGES.get(resolve_language(language.value), language.value)
        except ConfigError:
            return language.value

    async def flush_audio(self, context_id: str | None = None) -> None:
        """End an utterance whose last sentence failed; Pipecat ends only those that sounded."""
        if context_id is not None and self.audio_context_available(context_id):
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak ``text``.

        Yields:
            Audio frames, or an error frame that carries the ``ProviderError``.
        """
        await self.start_tts_usage_metrics(text)
        if not any(character.isalnum() for character in text):
            yield self._frame(bytes(self.sample_rate * _NOTHING_MS // 1000 * 2), context_id)
            return
        now = self._settings
        language = str(assert_given(now.language))
        try:
            pcm = await self._pipeline.speak(
                text.strip(),
                rate_hz=self.sample_rate,
                language=language,
                service_id=self._service_id or tts_service_for(language),
                gender=str(assert_given(now.voice)),
                speed=assert_given(now.speed),
            )
        except ProviderError as error:
            yield ErrorFrame(error=error.message, exception=error, category=category(error))
            return
        size = self.sample_rate * _PIECE_MS // 1000 * 2
        for start in range(0, len(pcm), size):
            yield self._frame(pcm[start : start + size], context_id)

    def _frame(self, pcm: bytes, context_id: str) -> TTSAudioRawFrame:
        return TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)


def build_tts(options: BhashiniTTSOptions, context: ServiceContext) -> BhashiniTTSService:
    """A synthesiser for one call.

    Raises:
        ConfigError: The address is none.
    """
    settings = BhashiniTTSSettings(
        model=None,
        voice=options.gender,
        language=context.vendor_language,
        speed=options.speed,
    )
    return BhashiniTTSService(
        _pipeline(options, context),
        rate_hz=context.rate_hz,
        service_id=options.service_id,
        settings=settings,
    )


async def render(options: BhashiniTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: The server failed or gave no audio.
        ConfigError: The address is none.
    """
    language = context.vendor_language or "hi"
    return await _pipeline(options, context).speak(
        text,
        rate_hz=context.rate_hz,
        language=language,
        service_id=options.service_id or tts_service_for(language),
        gender=options.gender,
        speed=options.speed,
    )


def _pipeline(options: BhashiniTTSOptions, context: ServiceContext) -> Pipeline:
    return Pipeline(
        http=context.http,
        url=pipeline_address(context.base_url, "tts"),
        key=context.api_key.get_secret_value() if context.api_key else "",
        stage="tts",
        timeout_seconds=options.timeout_seconds,
    )
