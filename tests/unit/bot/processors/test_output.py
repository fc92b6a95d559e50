"""Frames follow what is heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ControlFrame,
    DataFrame,
    Frame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType

from bot.hold import HoldKeeper
from bot.pipeline_run import PipelineRun
from bot.processors.output import CallOutput, HeardTextFrame
from serializer.codecs import MULAW_8K
from services.actions import CallActionFrame
from tests.unit.bot.fakes import Mouth, make_mouth
from tests.virtual_time import running_loop, virtual_time


class Collector(FrameProcessor):
    """Keeps what comes out, with the time."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[float, Frame]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep it."""
        await super().process_frame(frame, direction)
        self.frames.append((running_loop().time(), frame))
        await self.push_frame(frame, direction)

    def of(self, kind: type[Frame]) -> list[Frame]:
        """Those of one kind."""
        return [frame for _, frame in self.frames if isinstance(frame, kind)]


@dataclass
class Output:
    """An output in a running pipeline."""

    run: PipelineRun
    mouth: Mouth
    before: Collector
    after: Collector
    actions: list[CallActionFrame]

    async def send(self, *frames: Frame) -> None:
        """Push frames, and let them arrive."""
        for frame in frames:
            await self.run.queue(frame)
        await asyncio.sleep(0.001)


@asynccontextmanager
async def make_output() -> AsyncIterator[Output]:
    """Run it for the length of a block."""
    mouth = make_mouth()
    actions: list[CallActionFrame] = []

    async def act(frame: CallActionFrame) -> None:
        actions.append(frame)

    hold = HoldKeeper(mouth.playout, 0, lambda _number: None)
    output = CallOutput(
        mouth.speaker, mouth.reporter, wire=MULAW_8K, provider=lambda: "p", hold=hold, on_action=act
    )
    before, after = Collector(), Collector()
    run = PipelineRun(Pipeline([before, output, after]), rate_in_hz=8000, rate_out_hz=8000)
    playing = asyncio.create_task(mouth.playout.run())
    run.start()
    await run.started.wait()
    try:
        yield Output(run, mouth, before, after, actions)
    finally:
        await mouth.speaker.hang_up()
        await run.stop()
        playing.cancel()
        await asyncio.wait([playing])


def sound(context_id: str | None, duration_ms: int = 1000) -> TTSAudioRawFrame:
    """Audio of a context."""
    return TTSAudioRawFrame(b"\x00\x20" * (8 * duration_ms), 8000, 1, context_id=context_id)


def words(text: str, context_id: str) -> TTSTextFrame:
    """Spoken words without times."""
    return TTSTextFrame(text, text_type=TextType.SENTENCE, context_id=context_id)


@virtual_time
async def test_words_and_frames_come_out_when_they_were_heard() -> None:
    async with make_output() as output:
        began = running_loop().time()
        await output.send(TTSStartedFrame(context_id="a"), sound("a"), words("hello", "a"))
        await output.send(TTSStoppedFrame(context_id="a"), LLMFullResponseEndFrame())
        await asyncio.sleep(0.9)
        assert output.after.of(TTSTextFrame) == []
        await asyncio.sleep(0.2)
        times = {type(f): t - began for t, f in output.after.frames}
        assert abs(times[TTSTextFrame] - 1.0) < 0.01
        kinds = [type(frame) for _, frame in output.after.frames]
        order = [TTSTextFrame, TTSStoppedFrame, LLMFullResponseEndFrame]
        assert [kind for kind in kinds if kind in order] == order
        for kind in (BotStartedSpeakingFrame, BotStoppedSpeakingFrame):
            assert len(output.after.of(kind)) == len(output.before.of(kind)) == 1


@virtual_time
async def test_late_frames_of_what_was_cut_are_not_spoken() -> None:
    async with make_output() as output:
        await output.send(TTSStartedFrame(context_id="a"), sound("a"))
        await asyncio.sleep(0.3)
        await output.send(InterruptionFrame())
        sent = output.mouth.line.sent_ms
        await output.send(sound("a"), words("late", "a"), TTSStoppedFrame(context_id="a"))
        await asyncio.sleep(2)
        assert output.mouth.line.sent_ms == sent
        assert output.after.of(TTSTextFrame) == []
        await output.send(TTSStartedFrame(context_id="b"), sound("b", 200))
        await output.send(TTSStoppedFrame(context_id="b"))
        await asyncio.sleep(2)
        assert output.mouth.line.sent_ms == sent + 200


@virtual_time
async def test_audio_that_goes_on_after_its_context_timed_out_is_spoken() -> None:
    async with make_output() as output:
        await output.send(TTSStartedFrame(context_id="a"), sound("a", 200))
        await output.send(TTSStoppedFrame(context_id="a"), sound("a", 400))
        await output.send(TTSStoppedFrame(context_id="a"))
        await asyncio.sleep(2)
        assert output.mouth.line.sent_ms == 600
        assert not output.mouth.speaker.speaking


@virtual_time
async def test_an_interruption_drops_what_waits_but_nothing_uninterruptible() -> None:
    @dataclass
    class Waiting(DataFrame):
        """Follows the audio."""

    async with make_output() as output:
        result = FunctionCallResultFrame("f", "1", {}, "done")
        assert not result.interruptible
        await output.send(TTSStartedFrame(context_id="a"), sound("a"))
        await output.send(result, Waiting(), CallActionFrame(action="end"))
        await asyncio.sleep(0.3)
        assert output.after.of(FunctionCallResultFrame) == []
        await output.send(InterruptionFrame())
        await asyncio.sleep(0.1)
        assert output.after.of(FunctionCallResultFrame) == [result]
        await asyncio.sleep(5)
        assert output.after.of(Waiting) == [] and output.actions == []


@virtual_time
async def test_an_action_waits_for_the_words_before_it() -> None:
    async with make_output() as output:
        await output.send(TTSStartedFrame(context_id="a"), sound("a"))
        await output.send(TTSStoppedFrame(context_id="a"), CallActionFrame(action="end"))
        await asyncio.sleep(0.9)
        assert output.actions == []
        await asyncio.sleep(0.2)
        assert [action.action for action in output.actions] == ["end"]


@virtual_time
async def test_the_heard_part_goes_ahead_of_the_interruption() -> None:
    async with make_output() as output:
        output.mouth.speaker.announce("one two three four five", context_id="a")
        await output.send(TTSStartedFrame(context_id="a", append_to_context=True), sound("a"))
        await asyncio.sleep(0.5)
        await output.send(InterruptionFrame())
        await asyncio.sleep(0.1)
        kinds = [type(frame) for _, frame in output.after.frames]
        assert kinds.index(HeardTextFrame) < kinds.index(InterruptionFrame)
        (heard,) = output.after.of(HeardTextFrame)
        assert isinstance(heard, HeardTextFrame) and heard.text == "one two"


@virtual_time
async def test_frames_of_no_utterance_pass_in_order() -> None:
    @dataclass
    class Note(ControlFrame):
        """Anything."""

        number: int

    async with make_output() as output:
        await output.send(*[Note(number) for number in range(20)])
        numbers = [frame.number for frame in output.after.of(Note) if isinstance(frame, Note)]
        assert numbers == list(range(20))


@virtual_time
async def test_bytes_cut_inside_a_sample_lose_nothing() -> None:
    async with make_output() as output:
        pcm = b"\x00\x20" * 1600
        await output.send(TTSStartedFrame(context_id="a"))
        for start in range(0, len(pcm), 501):
            frame = TTSAudioRawFrame(pcm[start : start + 501], 8000, 1, context_id="a")
            await output.send(frame)
        await output.send(TTSStoppedFrame(context_id="a"))
        await asyncio.sleep(1)
        joined = b"".join(payload for _, _, payload in output.mouth.line.packets)
        assert joined == MULAW_8K.encode(pcm)
