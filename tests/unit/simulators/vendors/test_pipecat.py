"""Pipecat's own services, which the plain bot of the benchmark uses, against the simulators."""

import asyncio
from typing import Any

import pytest
from openai import AsyncOpenAI
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transcriptions.language import Language
from pipecat.workers.runner import WorkerRunner

from simulators.cartesia import CartesiaSimulator
from simulators.deepgram import DeepgramSimulator
from simulators.openai import OpenAISimulator
from tests.unit.simulators.vendors.sound import packets, silence, speech

#: Deepgram's SDK 7.17 imports names that websockets has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")


class Sink(FrameProcessor):
    """Keeps the frames that reach the end."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.arrived = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep it."""
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        self.arrived.set()
        await self.push_frame(frame, direction)

    async def until(self, kind: type[Frame]) -> None:
        """Wait for a frame of this kind."""
        async with asyncio.timeout(30):
            while not any(isinstance(frame, kind) for frame in self.frames):
                self.arrived.clear()
                await self.arrived.wait()


class ClosableLLMService(OpenAILLMService):
    """Keeps hold of its HTTP client, which Pipecat 1.14 leaves open at the end."""

    http: AsyncOpenAI

    def create_client(self, *arguments: Any, **named: Any) -> AsyncOpenAI:
        """Make the client."""
        self.http = super().create_client(*arguments, **named)  # type: ignore[no-untyped-call]
        return self.http


async def run(service: FrameProcessor, frames: list[Frame], wanted: type[Frame]) -> list[Frame]:
    """Send frames through one service until a frame of the wanted kind came out."""
    sink = Sink()
    worker = PipelineWorker(
        Pipeline([service, sink]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frames(frames)
    await sink.until(wanted)
    await worker.queue_frame(EndFrame())
    async with asyncio.timeout(30):
        await running
    return sink.frames


def of(frames: list[Frame], kind: type[Frame]) -> list[Any]:
    """The frames of one kind."""
    return [frame for frame in frames if isinstance(frame, kind)]


async def test_deepgram(key: str) -> None:
    async with DeepgramSimulator(utterances=["मुझे मदद चाहिए"]) as simulator:
        service = DeepgramSTTService(
            api_key=key,
            base_url=simulator.base_url,
            settings=DeepgramSTTService.Settings(model="nova-3-general", language=Language.HI),
        )
        audio = packets(speech(600) + silence(400))
        heard: list[Frame] = [InputAudioRawFrame(packet, 8000, 1) for packet in audio]
        frames = await run(service, [*heard, VADUserStoppedSpeakingFrame()], TranscriptionFrame)
        assert [frame.text for frame in of(frames, TranscriptionFrame)] == ["मुझे मदद चाहिए"]
        assert of(frames, InterimTranscriptionFrame)
        assert simulator.violations == []


async def test_openai(key: str) -> None:
    async with OpenAISimulator(replies=["नमस्ते जी"], api_key=key) as simulator:
        service = ClosableLLMService(api_key=key, base_url=simulator.base_url)
        context = LLMContext([{"role": "user", "content": "hello"}])
        frames = await run(service, [LLMContextFrame(context)], LLMTextFrame)
        await service.http.close()
        assert "".join(frame.text for frame in of(frames, LLMTextFrame)) == "नमस्ते जी"
        assert simulator.violations == []


async def test_cartesia(key: str) -> None:
    async with CartesiaSimulator(api_key=key) as simulator:
        service = CartesiaTTSService(
            api_key=key,
            url=simulator.tts_url,
            settings=CartesiaTTSService.Settings(voice="voice-1", language=Language.HI),
        )
        frames = await run(service, [TTSSpeakFrame("नमस्ते जी।")], TTSAudioRawFrame)
        pcm = b"".join(frame.audio for frame in of(frames, TTSAudioRawFrame))
        assert len(pcm) == round(simulator.spoken[0].duration_ms * 8) * 2
        assert simulator.violations == []
