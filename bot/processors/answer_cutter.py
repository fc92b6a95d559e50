"""Between model and synthesiser: cuts the streamed answer into speakable pieces."""

from pipecat.frames.frames import (
    AggregatedTextFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType

from bot.chains.language import LanguageSwitchFrame
from bot.hold import HoldKeeper
from bot.reporter import CallReporter
from bot.text.sentences import SentenceCutter
from bot.text.speakable import speakable
from services.actions import CallActionFrame


class AnswerCutter(FrameProcessor):
    """Turns the model's tokens into sentences, in the caller's language. Runs inline.

    The end of an answer is reported with its last words, or with none where they were a whole
    sentence that is already being spoken.

    Args:
        reporter: Told when the answer begins and what will be spoken.
        hold: Keeps the caller company from then on, if not before.
    """

    def __init__(self, reporter: CallReporter, hold: HoldKeeper) -> None:
        super().__init__(name="AnswerCutter", enable_direct_mode=True)
        self._reporter = reporter
        self._hold = hold
        self._cutter = SentenceCutter()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Cut text; pass everything else on in order."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, LLMTextFrame) and not frame.skip_tts:
            self._reporter.llm_answered()
            for piece in self._cutter.feed(frame.text):
                await self._speak(piece, final=False)
        elif isinstance(frame, LLMFullResponseEndFrame):
            await self._speak(self._cutter.flush() or "", final=True)
            await self.push_frame(frame, direction)
        elif isinstance(frame, (CallActionFrame, LanguageSwitchFrame)):
            # A model's tool may be called before its answer is closed: its words come first.
            await self._speak(self._cutter.flush() or "", final=False)
            await self.push_frame(frame, direction)
        else:
            if isinstance(frame, LLMFullResponseStartFrame):
                self._cutter.reset()
                self._reporter.answer_begins()
                self._hold.begin()
            elif isinstance(frame, (InterruptionFrame, EndFrame, CancelFrame)):
                self._cutter.reset()
            await self.push_frame(frame, direction)

    async def _speak(self, piece: str, *, final: bool) -> None:
        piece = speakable(piece)
        if piece or final:
            self._reporter.answer_text(piece, final=final)
        if piece:
            frame = AggregatedTextFrame(piece, TextType.SENTENCE, raw_text=piece)
            await self.push_frame(frame)


class TurnTap(FrameProcessor):
    """Between turn-taking and model: notes when the model is asked. Runs inline.

    Args:
        reporter: Told of each request.
    """

    def __init__(self, reporter: CallReporter) -> None:
        super().__init__(name="TurnTap", enable_direct_mode=True)
        self._reporter = reporter

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note requests; pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            self._reporter.asked_llm()
        await self.push_frame(frame, direction)
