"""espeak-ng as a Pipecat synthesiser."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.types import NOT_GIVEN, NotGiven, assert_given

from config.errors import ConfigError, ProviderError
from config.languages import resolve_language
from services.context import ServiceContext
from services.espeak import VOICES, EspeakTTSOptions
from services.espeak.engine import FRAME_MS, Manner, speak

#: Pipecat hands over one sentence at a time and the library adds no pause behind it.
_SENTENCE_PAUSE_MS = 200
_CLAUSE_PAUSE_MS = 80
_SENTENCE_ENDS = ".?!।॥؟۔…"


@dataclass
class EspeakTTSSettings(TTSSettings):
    """What may be changed during a call; ``voice`` None means the language's own.

    Attributes:
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 to 99.
        volume: Per cent, 0 to 200.
    """

    rate_wpm: int | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    pitch: int | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    volume: int | NotGiven = field(default_factory=lambda: NOT_GIVEN)


class EspeakTTSService(TTSService):
    """Speaks each sentence as it comes, at the pipeline's rate.

    Args:
        settings: How to speak; all of its fields are given.
        rate_hz: Sample rate of the audio frames.
    """

    Settings = EspeakTTSSettings
    _settings: EspeakTTSSettings

    def __init__(self, *, settings: EspeakTTSSettings, rate_hz: int) -> None:
        super().__init__(
            sample_rate=rate_hz, push_start_frame=True, push_stop_frames=True, settings=settings
        )
        self._previous_context_id = ""
        self._previous_text = ""
        self._failed_context_id = ""

    def can_generate_metrics(self) -> bool:
        """True: time to first audio and characters spoken are reported."""
        return True

    def language_to_service_language(self, language: Language) -> str | None:
        """The voice for ``language``; what has none is passed on as it is written."""
        try:
            return VOICES.get(resolve_language(language.value), language.value)
        except ConfigError:
            return language.value

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak ``text``.

        Yields:
            Audio frames of whole 20 ms, as large as the library makes them; a text with
            nothing to say gives one silent frame, since a context without audio counts as a
            failure. Or an error frame that carries the ``ProviderError``.
        """
        await self.start_tts_usage_metrics(text)
        lead = self._pause_before(text, context_id)
        silent = True
        try:
            async with aclosing(speak(text, self._manner(), self.sample_rate)) as chunks:
                async for chunk in chunks:
                    yield self._frame(lead + chunk, context_id)
                    lead, silent = b"", False
            if silent:
                yield self._frame(self._silence(FRAME_MS), context_id)
        except ProviderError as error:
            category = ErrorCategory.SERVER if error.retryable else ErrorCategory.INVALID_REQUEST
            self._failed_context_id = context_id
            yield ErrorFrame(error=error.message, exception=error, category=category)

    async def flush_audio(self, context_id: str | None = None) -> None:
        """Close the context of a failed turn, for which Pipecat would wait another 3 s."""
        if context_id and context_id == self._failed_context_id:
            await self.remove_audio_context(context_id)

    def _manner(self) -> Manner:
        now = self._settings
        return Manner(
            voice=assert_given(now.voice) or str(assert_given(now.language)),
            rate_wpm=assert_given(now.rate_wpm),
            pitch=assert_given(now.pitch),
            volume=assert_given(now.volume),
        )

    def _pause_before(self, text: str, context_id: str) -> bytes:
        """The silence between the last sentence of the same turn and this one."""
        previous = self._previous_text if context_id == self._previous_context_id else ""
        self._previous_context_id, self._previous_text = context_id, text.rstrip()
        if not previous:
            return b""
        ended = previous[-1] in _SENTENCE_ENDS
        return self._silence(_SENTENCE_PAUSE_MS if ended else _CLAUSE_PAUSE_MS)

    def _silence(self, duration_ms: int) -> bytes:
        return bytes(self.sample_rate * duration_ms // 1000 * 2)

    def _frame(self, pcm: bytes, context_id: str) -> TTSAudioRawFrame:
        return TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)


def build_tts(options: EspeakTTSOptions, context: ServiceContext) -> EspeakTTSService:
    """A synthesiser for one call; the library loads in its own thread with the first sentence.

    Args:
        options: What the operator wrote.
        context: The call's facts; ``vendor_language`` is the voice where the options name none.
    """
    settings = EspeakTTSSettings(
        model=None,
        voice=options.voice,
        language=context.vendor_language or VOICES["en-IN"],
        rate_wpm=options.rate_wpm,
        pitch=options.pitch,
        volume=options.volume,
    )
    return EspeakTTSService(settings=settings, rate_hz=context.rate_hz)


async def render(options: EspeakTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono PCM at ``context.rate_hz``; empty where there is nothing to say.

    Raises:
        ProviderError: The library or the voice is missing.
    """
    manner = Manner(
        voice=options.voice or context.vendor_language or VOICES["en-IN"],
        rate_wpm=options.rate_wpm,
        pitch=options.pitch,
        volume=options.volume,
    )
    return b"".join([chunk async for chunk in speak(text, manner, context.rate_hz)])
