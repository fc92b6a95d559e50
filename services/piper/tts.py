"""Piper as a Pipecat synthesiser, and for single phrases outside calls."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory
from piper import SynthesisConfig

from config.errors import ConfigError, ProviderError
from services.context import ServiceContext
from services.failures import category
from services.piper import VOICES, PiperTTSOptions
from services.piper.voices import file_of, loaded, speak

#: What stands for a text with nothing to say, since a turn without audio counts as a failure.
_NOTHING_MS = 20
#: Audio leaves in pieces of this length, so that an interruption finds little under way.
_PIECE_MS = 200


class PiperTTSService(TTSService):
    """Speaks each sentence as it comes.

    Not Pipecat's class of this name: that one reads the voice from disk, or from the internet, on
    the event loop for every call, and logs what it says.

    Args:
        file: The voice.
        manner: Speaker and speed.
        rate_hz: Rate of the audio frames.
        timeout_seconds: Limit for each sentence.
        language: Ours, for the settings.
    """

    def __init__(
        self,
        file: Path,
        manner: SynthesisConfig,
        *,
        rate_hz: int,
        timeout_seconds: float,
        language: str,
    ) -> None:
        super().__init__(
            sample_rate=rate_hz,
            push_start_frame=True,
            push_stop_frames=True,
            # What comes after Pipecat has ended a silent utterance is lost: wait for longer
            # than a sentence may take.
            stop_frame_timeout_s=timeout_seconds + 1.0,
            # Each failure is reported as such.
            max_consecutive_zero_audio_contexts=0,
            settings=TTSSettings(model=None, voice=file.stem, language=language),
        )
        self._file = file
        self._manner = manner
        self._timeout_seconds = timeout_seconds

    def can_generate_metrics(self) -> bool:
        """True: time to first audio and characters spoken are reported."""
        return True

    async def flush_audio(self, context_id: str | None = None) -> None:
        """End an utterance whose last sentence failed; Pipecat ends only those that sounded."""
        if context_id is not None and self.audio_context_available(context_id):
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak ``text``.

        Yields:
            Audio frames, or an error frame that carries what went wrong.
        """
        await self.start_tts_usage_metrics(text)
        if not any(character.isalnum() for character in text):
            yield self._frame(bytes(self.sample_rate * _NOTHING_MS // 1000 * 2), context_id)
            return
        size = self.sample_rate * _PIECE_MS // 1000 * 2
        try:
            voice = await loaded(self._file)
            spoken = speak(voice, text, self._manner, self.sample_rate, self._timeout_seconds)
            async with aclosing(spoken):
                async for pcm in spoken:
                    for start in range(0, len(pcm), size):
                        yield self._frame(pcm[start : start + size], context_id)
        except ProviderError as error:
            yield ErrorFrame(error=error.message, exception=error, category=category(error))
        except ConfigError as error:
            yield ErrorFrame(
                error=error.message, exception=error, category=ErrorCategory.INVALID_REQUEST
            )

    def _frame(self, pcm: bytes, context_id: str) -> TTSAudioRawFrame:
        return TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)


def build_tts(options: PiperTTSOptions, context: ServiceContext) -> PiperTTSService:
    """A synthesiser for one call."""
    return PiperTTSService(
        _file(options, context),
        _manner(options),
        rate_hz=context.rate_hz,
        timeout_seconds=options.timeout_seconds,
        language=context.language,
    )


async def prepare(options: PiperTTSOptions, context: ServiceContext) -> None:
    """Read the voice when an agent is loaded.

    Raises:
        ConfigError: It is not there, or none.
    """
    await loaded(_file(options, context))


async def render(options: PiperTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: The voice failed.
        ConfigError: It is not there, or none.
    """
    voice = await loaded(_file(options, context))
    spoken = speak(voice, text, _manner(options), context.rate_hz, options.timeout_seconds)
    return b"".join([pcm async for pcm in spoken])


def _file(options: PiperTTSOptions, context: ServiceContext) -> Path:
    name = options.voice or context.vendor_language or VOICES["en-IN"]
    return file_of(name, options.voices_folder)


def _manner(options: PiperTTSOptions) -> SynthesisConfig:
    return SynthesisConfig(speaker_id=options.speaker_id, length_scale=1 / options.speed)
