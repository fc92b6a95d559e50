"""Between recogniser and turn-taking: reports what the caller said."""

from collections.abc import Callable

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bot.reporter import CallReporter
from config.languages import is_language, resolve_language
from services.offline.frames import UnrecognizedSpeechFrame

OnFinal = Callable[[str, str | None], None]


class CallerTap(FrameProcessor):
    """Passes every frame on and reports transcripts. Runs inline: no queue, no task.

    Args:
        reporter: Told of each interim and final text.
        provider: Tells the name of the recogniser, for the record.
        language: Tells which language it listens for.
        on_final: Called with each final text and the language that the recogniser found itself.
        noise_counts: Whether speech that nobody understood counts while the agent speaks;
            where it takes words to interrupt, a cough must not be answered either.
    """

    def __init__(
        self,
        reporter: CallReporter,
        provider: Callable[[], str],
        *,
        noise_counts: bool = True,
        language: Callable[[], str | None] = lambda: None,
        on_final: OnFinal = lambda text, language: None,
    ) -> None:
        super().__init__(name="CallerTap", enable_direct_mode=True)
        self._reporter = reporter
        self._provider = provider
        self._noise_counts = noise_counts
        self._language = language
        self._on_final = on_final
        self._bot_speaking = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Report transcripts; pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, (TranscriptionFrame, InterimTranscriptionFrame)):
            if text := frame.text.strip():
                self._report(frame, text)
        elif isinstance(frame, BotStartedSpeakingFrame):
            self._bot_speaking = True
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self._bot_speaking = False
        elif isinstance(frame, UnrecognizedSpeechFrame) and self._is_noise():
            return
        await self.push_frame(frame, direction)

    def _is_noise(self) -> bool:
        return self._bot_speaking and not self._noise_counts

    def _report(self, frame: TranscriptionFrame | InterimTranscriptionFrame, text: str) -> None:
        found = _ours(frame.language)
        if isinstance(frame, TranscriptionFrame):
            self._on_final(text, found)
        self._reporter.caller_said(
            text,
            final=isinstance(frame, TranscriptionFrame),
            provider=self._provider(),
            confidence=_confidence(frame),
            language=found or self._language(),
        )


def _ours(language: object) -> str | None:
    """Our code of the language that a recogniser names; None for one that is not ours."""
    text = str(language) if language else ""
    return resolve_language(text) if is_language(text) else None


def _confidence(frame: TranscriptionFrame | InterimTranscriptionFrame) -> float | None:
    """The recogniser's own estimate, where its result carries one."""
    result = getattr(frame, "result", None)
    confidence = getattr(result, "confidence", None)
    if confidence is None:
        alternatives = getattr(getattr(result, "channel", None), "alternatives", None)
        confidence = getattr(alternatives[0], "confidence", None) if alternatives else None
    return float(confidence) if isinstance(confidence, (int, float)) else None
