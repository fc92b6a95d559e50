"""The end of the pipeline: what is spoken goes to the speaker, and frames follow what is heard.

Pipecat's own output releases frames when audio is *sent*. Here each frame that follows audio
waits until the caller has *heard* that audio, so that the conversation's memory holds what
was heard, also when the caller cuts the agent off.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
    SystemFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType

from bot.speaker import Speaker
from serializer.codecs import AudioFormat
from services.actions import CallActionFrame

OnAction = Callable[[CallActionFrame], Awaitable[None]]


@dataclass
class HeardTextFrame(TTSTextFrame, SystemFrame):
    """The heard part of a sentence that was cut off.

    A system frame, so that it reaches the conversation's memory before the interruption
    that follows it; as a data frame it would be dropped by that interruption.
    """


class CallOutput(FrameProcessor):
    """Feeds the speaker from the pipeline, and the pipeline from what was heard.

    Args:
        speaker: The agent's mouth, which outlives the pipeline's start and end.
        wire: Codec of the line; the pipeline's output rate equals its rate.
        provider: Name of the synthesiser, for the record.
        on_action: Awaited when an end or a transfer is due, after its words were heard.
    """

    def __init__(
        self, speaker: Speaker, *, wire: AudioFormat, provider: str, on_action: OnAction
    ) -> None:
        super().__init__(name="CallOutput")
        self._speaker = speaker
        self._wire = wire
        self._provider = provider
        self._on_action = on_action
        self._first_audio_ns: int | None = None
        self._handlers: dict[type[Frame], Callable[[Frame], None]] = {
            TTSStartedFrame: self._begin,
            AggregatedTextFrame: self._announce,
            TTSTextFrame: self._take_words,
            TTSStoppedFrame: self._end,
            CallActionFrame: self._act,
        }

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
        elif isinstance(frame, OutputAudioRawFrame):
            self._take_audio(frame)
        elif direction is FrameDirection.UPSTREAM or isinstance(
            frame, (SystemFrame, EndFrame, CancelFrame)
        ):
            await self.push_frame(frame, direction)
        else:
            self._handlers.get(type(frame), self._after_heard)(frame)

    def _take_audio(self, frame: OutputAudioRawFrame) -> None:
        if self._first_audio_ns is None:
            self._first_audio_ns = self.get_clock().get_time()
        self._speaker.audio(self._wire.encode(frame.audio))

    def _begin(self, frame: Frame) -> None:
        self._first_audio_ns = None
        self._speaker.begin(self._provider)
        self._after_heard(frame)

    def _announce(self, frame: Frame) -> None:
        assert isinstance(frame, AggregatedTextFrame)
        if frame.will_be_spoken:
            self._speaker.announce(frame.text)
        self._after_heard(frame)

    def _take_words(self, frame: Frame) -> None:
        """Push spoken words on when heard: by word time where the synthesiser gives one."""
        assert isinstance(frame, TTSTextFrame)
        if not frame.pts or self._first_audio_ns is None:
            self._after_heard(frame)
            return
        offset_ms = (frame.pts - self._first_audio_ns) / 1e6
        self._speaker.word(frame.text, offset_ms, lambda: self.push_frame(frame))

    def _end(self, frame: Frame) -> None:
        self._speaker.end(lambda: self.push_frame(frame))

    def _act(self, frame: Frame) -> None:
        assert isinstance(frame, CallActionFrame)
        self._speaker.playout.mark(lambda: self._on_action(frame))

    def _after_heard(self, frame: Frame) -> None:
        self._speaker.playout.mark(lambda: self.push_frame(frame))

    async def _interrupt(self) -> None:
        """Cut the agent off, and let the conversation remember the part that was heard."""
        cut = await self._speaker.interrupt()
        self._first_audio_ns = None
        if cut.heard_text and not cut.word_times:
            await self.push_frame(HeardTextFrame(cut.heard_text, text_type=TextType.SENTENCE))

    async def _tell_speaking(self, speaking: bool) -> None:
        frame = BotStartedSpeakingFrame if speaking else BotStoppedSpeakingFrame
        await self.broadcast_frame(frame)
