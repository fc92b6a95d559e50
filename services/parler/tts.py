"""Indic Parler in a call: a Pipecat synthesiser that speaks sentence by sentence."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

from pipecat.frames.frames import (
    AggregatedTextFrame,
    CancelFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameCallback, FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language
from pipecat.utils.types import NOT_GIVEN, NotGiven, assert_given

from config.errors import ConfigError, ProviderError
from config.languages import resolve_language
from services.failures import category
from services.parler.speech import Sentence, Synthesiser

#: Sentences that wait to be spoken and are known beforehand.
MAX_UPCOMING = 64
#: What stands for a text with nothing to say, since a turn without audio counts as a failure.
_NOTHING_MS = 20


@dataclass
class ParlerTTSSettings(TTSSettings):
    """What may be changed during a call.

    Attributes:
        description: How to speak, in English words.
    """

    description: str | NotGiven = field(default_factory=lambda: NOT_GIVEN)


@dataclass(slots=True)
class _Early:
    """A sentence whose request is being made while the one before it is still spoken."""

    text: str
    opening: "asyncio.Task[Sentence | None]"

    async def drop(self) -> None:
        """Want no more of it, or stop asking."""
        self.opening.cancel()
        await asyncio.wait([self.opening])
        sentence = None if self.opening.cancelled() else self.opening.result()
        if sentence is not None:
            await sentence.close()


class ParlerTTSService(TTSService):
    """Speaks sentence by sentence, each in a request of its own.

    Sentences come out in order and without overlap: one is read at a time. The next one's
    request is made when the present one's first audio is there, so that the server begins with it
    early, and is left unread until its turn. An interruption closes both at once.

    Args:
        synthesiser: The server; its rate is that of the audio frames.
        languages: Our code to the server's.
        described: What the server wants to be told of who speaks, and how.
        settings: How to speak; all of its fields are given.
    """

    Settings = ParlerTTSSettings
    _settings: ParlerTTSSettings

    def __init__(
        self,
        synthesiser: Synthesiser,
        *,
        languages: Mapping[str, str],
        described: Callable[[str | None, str], str],
        settings: ParlerTTSSettings,
    ) -> None:
        # Before the base class is made, which asks for the language.
        self._languages = languages
        limits = (synthesiser.connect_timeout_seconds, synthesiser.stall_timeout_seconds)
        super().__init__(
            sample_rate=synthesiser.rate_hz,
            push_start_frame=True,
            push_stop_frames=True,
            # Pipecat ends an utterance that has been silent for so long. What comes after that
            # is lost, so it must be longer than a sentence may take to begin.
            stop_frame_timeout_s=sum(limits) + 1.0,
            # Each failure is reported as such; a server that is away for a while may come back.
            max_consecutive_zero_audio_contexts=0,
            settings=settings,
        )
        self._synthesiser = synthesiser
        self._described = described
        self._upcoming: deque[str] = deque(maxlen=MAX_UPCOMING)
        self._early: _Early | None = None

    def can_generate_metrics(self) -> bool:
        """True: time to first audio and characters spoken are reported."""
        return True

    def language_to_service_language(self, language: Language) -> str | None:
        """The server's code; what it does not speak is passed on as it is written."""
        try:
            return self._languages.get(resolve_language(language.value), language.value)
        except ConfigError:
            return language.value

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Take a frame; notes sentences, which wait here while another one is spoken."""
        if isinstance(frame, AggregatedTextFrame) and direction is FrameDirection.DOWNSTREAM:
            self._upcoming.append(frame.text.strip())
        await super().queue_frame(frame, direction, callback)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Handle one frame; an interruption forgets what was to be said."""
        if isinstance(frame, (InterruptionFrame, CancelFrame)):
            self._upcoming.clear()
            await self._drop_early()
        await super().process_frame(frame, direction)

    async def cleanup(self) -> None:
        """Leave no request open."""
        await self._drop_early()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def flush_audio(self, context_id: str | None = None) -> None:
        """End an utterance whose last sentence failed; Pipecat ends only those that sounded."""
        if context_id is not None and self.audio_context_available(context_id):
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak ``text``.

        Yields:
            Audio frames as they come, or an error frame that carries the ``ProviderError``.
        """
        await self.start_tts_usage_metrics(text)
        if not any(character.isalnum() for character in text):
            yield self._frame(bytes(self.sample_rate * _NOTHING_MS // 1000 * 2), context_id)
            return
        sentence: Sentence | None = None
        try:
            sentence = await self._begin(text)
            async for pcm in sentence.audio():
                yield self._frame(pcm, context_id)
                self._begin_next()
        except ProviderError as error:
            yield ErrorFrame(error=error.message, exception=error, category=category(error))
        finally:
            if sentence is not None:
                await sentence.close()

    async def _begin(self, text: str) -> Sentence:
        """The sentence that was begun early, if it is this one; else a new one."""
        wanted = text.strip()
        if wanted in self._upcoming:
            while self._upcoming.popleft() != wanted:
                pass
        early = self._early
        if early is not None and early.text not in self._upcoming:
            self._early = None
            if early.text == wanted:
                if (sentence := await self._taken(early)) is not None:
                    return sentence
            else:
                await early.drop()
        return await self._open(wanted)

    async def _taken(self, early: _Early) -> Sentence | None:
        """The early sentence; None if the server would not begin it early."""
        try:
            return await early.opening
        except asyncio.CancelledError:
            await early.drop()
            raise

    def _begin_next(self) -> None:
        """Ask for the sentence that waits, once."""
        if self._early is None and self._upcoming:
            text = self._upcoming[0]
            self._early = _Early(text, self.create_task(self._open_early(text), "early"))

    async def _open_early(self, text: str) -> Sentence | None:
        try:
            return await self._open(text)
        except ProviderError:
            return None

    async def _open(self, text: str) -> Sentence:
        now = self._settings
        return await self._synthesiser.begin(
            text,
            description=self._described(assert_given(now.voice), assert_given(now.description)),
            language=str(assert_given(now.language)),
        )

    async def _drop_early(self) -> None:
        early, self._early = self._early, None
        if early is not None:
            await early.drop()

    def _frame(self, pcm: bytes, context_id: str) -> TTSAudioRawFrame:
        return TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)
