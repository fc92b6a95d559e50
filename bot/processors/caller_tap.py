"""Between recogniser and turn-taking: reports what the caller said."""

from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bot.reporter import CallReporter


class CallerTap(FrameProcessor):
    """Passes every frame on and reports transcripts. Runs inline: no queue, no task.

    Args:
        reporter: Told of each interim and final text.
        provider: Name of the recogniser, for the record.
    """

    def __init__(self, reporter: CallReporter, provider: str) -> None:
        super().__init__(name="CallerTap", enable_direct_mode=True)
        self._reporter = reporter
        self._provider = provider

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Report transcripts; pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, (TranscriptionFrame, InterimTranscriptionFrame)) and frame.text:
            self._reporter.caller_said(
                frame.text.strip(),
                final=isinstance(frame, TranscriptionFrame),
                provider=self._provider,
                confidence=_confidence(frame),
            )
        await self.push_frame(frame, direction)


def _confidence(frame: TranscriptionFrame | InterimTranscriptionFrame) -> float | None:
    """The recogniser's own estimate, where its result carries one."""
    result = getattr(frame, "result", None)
    confidence = getattr(result, "confidence", None)
    if confidence is None:
        alternatives = getattr(getattr(result, "channel", None), "alternatives", None)
        confidence = getattr(alternatives[0], "confidence", None) if alternatives else None
    return float(confidence) if isinstance(confidence, (int, float)) else None
