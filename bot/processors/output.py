"""The end of the pipeline: what is spoken goes to the speaker, and frames follow what is heard.

Pipecat's own output releases frames when audio is *sent*. Here each frame that follows audio
waits until the caller has *heard* that audio, so that the conversation's memory holds what
was heard, also when the caller cuts the agent off.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ControlFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    OutputAudioRawFrame,
    StartFrame,
    SystemFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType

from bot.audio_rate import RateMatcher
from bot.chains.frames import PieceCutFrame
from bot.chains.language import LanguageSwitchFrame
from bot.hold import HoldKeeper
from bot.reporter import CallReporter
from bot.speaker import Speaker
from serializer.codecs import AudioFormat
from services.actions import CallActionFrame

OnAction = Callable[[CallActionFrame], Awaitable[None]]
OnLanguage = Callable[[LanguageSwitchFrame], Awaitable[None]]


async def _ignore(_frame: LanguageSwitchFrame) -> None:
    """For whoever has one language only."""


#: Synthesiser contexts that were cut off and whose late frames are still told apart.
REMEMBERED_CUTS = 16


@dataclass
class HeardTextFrame(TTSTextFrame, SystemFrame):
    """The heard part of a sentence that was cut off.

    A system frame, so that it reaches the conversation's memory before the interruption
    that follows it; as a data frame it would be dropped by that interruption.
    """


@dataclass
class SpokenFrame(ControlFrame):
    """Follows words through the pipeline; ``reached`` is awaited when they have been heard.

    An interruption drops it with them, unless ``interruptible`` is set to False.
    """

    reached: Callable[[], Awaitable[None]]


class CallOutput(FrameProcessor):
    """Feeds the speaker from the pipeline, and the pipeline from what was heard.

    Args:
        speaker: The agent's mouth, which outlives the pipeline's start and end.
        reporter: Told of audio at an unexpected rate, once.
        wire: Codec of the line; the pipeline's output rate equals its rate.
        provider: Tells the name of the synthesiser, for the record.
        hold: Told when an answer is complete or cut.
        on_action: Awaited when an end or a transfer is due, after its words were heard.
        on_language: Awaited when all that stood before a change of the language was heard.
    """

    def __init__(
        self,
        speaker: Speaker,
        reporter: CallReporter,
        *,
        wire: AudioFormat,
        provider: Callable[[], str],
        hold: HoldKeeper,
        on_action: OnAction,
        on_language: OnLanguage = _ignore,
    ) -> None:
        super().__init__(name="CallOutput")
        self._speaker = speaker
        self._reporter = reporter
        self._wire = wire
        self._rates = RateMatcher(wire.rate_hz)
        self._provider = provider
        self._hold = hold
        self._on_action = on_action
        self._on_language = on_language
        self._context_id: str | None = None
        self._cut_contexts: deque[str] = deque(maxlen=REMEMBERED_CUTS)
        self._told_rate = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Route one frame; see the module's description."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            self._speaker.on_speaking = self._tell_speaking
            if self._speaker.speaking:
                await self._tell_speaking(True)
        elif isinstance(frame, InterruptionFrame):
            await self._interrupt()
            await self.push_frame(frame, direction)
        elif direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, OutputAudioRawFrame):
            self._take_audio(frame)
        elif isinstance(frame, (SystemFrame, EndFrame)):
            await self.push_frame(frame, direction)
        elif not self._was_cut(frame):
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        """A frame that is to follow what was queued before it."""
        match frame:
            case TTSStartedFrame():
                self._begin(frame)
            case TTSTextFrame():
                self._take_words(frame)
            case AggregatedTextFrame():
                self._announce(frame)
            case PieceCutFrame():
                self._speaker.amend(frame.segment_id, frame.text)
            case TTSStoppedFrame():
                self._end(frame)
            case LanguageSwitchFrame():
                self._close()
                self._speaker.playout.mark(lambda: self._on_language(frame), keep=True)
            case CallActionFrame():
                self._hold.end()
                self._speaker.playout.mark(lambda: self._on_action(frame))
            case SpokenFrame():
                self._speaker.playout.mark(frame.reached, keep=not frame.interruptible)
            case LLMFullResponseEndFrame():
                # Behind all contexts of the answer: one that was not stopped is over.
                self._close()
                if self._reporter.answered:
                    # Else a tool was called, and the answer is still to come.
                    self._hold.end()
                self._after_heard(frame)
            case _:
                self._after_heard(frame)

    def _take_audio(self, frame: OutputAudioRawFrame) -> None:
        if self._was_cut(frame):
            return
        context_id: str | None = getattr(frame, "context_id", None)
        if not self._speaker.open:
            # Audio that goes on after its context had timed out.
            self._context_id = context_id
            self._speaker.begin(self._provider(), context_id=context_id)
        if frame.sample_rate != self._wire.rate_hz and not self._told_rate:
            self._told_rate = True
            detail = f"{frame.sample_rate} Hz came, {self._wire.rate_hz} Hz was asked for"
            self._reporter.degraded("tts", "wrong_rate", detail, self._provider())
        pcm = self._rates.take(frame.audio, frame.sample_rate, frame.num_channels)
        self._speaker.audio(self._wire.encode(pcm))

    def _begin(self, frame: TTSStartedFrame) -> None:
        if not self._speaker.open or frame.context_id != self._context_id:
            self._close()
            self._context_id = frame.context_id
        self._speaker.begin(
            self._provider(),
            context_id=frame.context_id,
            in_context=bool(frame.append_to_context),
        )
        self._after_heard(frame)

    def _announce(self, frame: AggregatedTextFrame) -> None:
        if frame.will_be_spoken:
            self._speaker.announce(frame.text, context_id=frame.context_id, segment_id=frame.id)
        self._after_heard(frame)

    def _take_words(self, frame: TTSTextFrame) -> None:
        """Push spoken words on when heard.

        A word has its time in ``pts``, nanoseconds from the utterance's first audio; a sentence
        has none.
        """
        if not frame.pts:
            self._speaker.sentence(frame.segment_id, lambda: self.push_frame(frame))
            return
        offset_ms, then = frame.pts / 1e6, lambda: self.push_frame(frame)
        self._speaker.word(frame.text, offset_ms, then, segment_id=frame.segment_id)

    def _end(self, frame: TTSStoppedFrame) -> None:
        self._close()
        self._after_heard(frame)

    def _close(self) -> None:
        """The open utterance, if any, is complete."""
        self._context_id = None
        self._speaker.audio(self._wire.encode(self._rates.flush()))
        self._speaker.end()

    def _after_heard(self, frame: Frame) -> None:
        self._speaker.playout.mark(lambda: self.push_frame(frame), keep=not frame.interruptible)

    def _was_cut(self, frame: Frame) -> bool:
        """Whether the frame belongs to an utterance that the caller cut off."""
        context_id = getattr(frame, "context_id", None)
        return context_id is not None and context_id in self._cut_contexts

    async def _interrupt(self) -> None:
        """Cut the agent off, and let the conversation remember the part that was heard."""
        if self._context_id is not None:
            self._cut_contexts.append(self._context_id)
        self._context_id = None
        self._rates.reset()
        self._hold.end()
        cut = await self._speaker.interrupt()
        if cut.unremembered:
            await self.push_frame(HeardTextFrame(cut.unremembered, text_type=TextType.SENTENCE))

    async def _tell_speaking(self, speaking: bool) -> None:
        frame = BotStartedSpeakingFrame if speaking else BotStoppedSpeakingFrame
        await self.broadcast_frame(frame)
