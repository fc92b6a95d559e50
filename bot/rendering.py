"""Speaks one phrase outside a call: the vendor's own way, or a pipeline of one service."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    OutputAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bot.audio_rate import RateMatcher
from bot.chains.pieces import Piece
from bot.pipeline_run import PipelineRun
from config.agent import AgentConfig
from config.errors import ProviderError
from services.candidates import Candidate
from services.factory import ServiceFactory


class _Collector(FrameProcessor):
    """Keeps the audio of one utterance, at one rate."""

    def __init__(self, rate_hz: int, text: str) -> None:
        super().__init__(name="PhraseCollector", enable_direct_mode=True)
        self._max_bytes = int(Piece(text, "").longest_ms * rate_hz // 1000) * 2
        self.too_long = False
        self._rates = RateMatcher(rate_hz)
        self.pcm = bytearray()
        self.done = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputAudioRawFrame):
            if not self.too_long:
                self.pcm += self._rates.take(frame.audio, frame.sample_rate, frame.num_channels)
            if len(self.pcm) > self._max_bytes:
                self.too_long = True
                self.pcm.clear()
                self.done.set()
        elif isinstance(frame, (TTSStoppedFrame, EndFrame, CancelFrame)):
            self.pcm += self._rates.flush()
            self.done.set()
        if not isinstance(frame, OutputAudioRawFrame):
            await self.push_frame(frame, direction)


async def render_phrase(
    factory: ServiceFactory,
    agent: AgentConfig,
    text: str,
    rate_hz: int,
    candidate: Candidate | None = None,
) -> bytes:
    """Synthesise ``text`` in one of the agent's voices.

    Args:
        candidate: Whose voice, and in which language; by default the agent's first.

    Returns:
        16-bit little-endian mono samples at ``rate_hz``, never empty.

    Raises:
        ProviderError: The vendor failed or gave no audio.
    """
    await factory.ready(agent, ["tts"])
    if factory.can_render(agent, candidate):
        pcm = await factory.render(agent, text, rate_hz, candidate)
    else:
        pcm = await _render_by_pipeline(factory, agent, text, rate_hz, candidate)
    if not pcm:
        spec, _ = factory.chosen("tts", agent, candidate)
        raise ProviderError(
            "tts_no_audio",
            f"{spec.title} gave no audio for a phrase of agent {agent.agent_id}",
            provider=spec.name,
            stage="tts",
            retryable=True,
        )
    return pcm


async def _render_by_pipeline(
    factory: ServiceFactory,
    agent: AgentConfig,
    text: str,
    rate_hz: int,
    candidate: Candidate | None,
) -> bytes:
    spec, _ = factory.chosen("tts", agent, candidate)
    collector = _Collector(rate_hz, text)
    service = factory.build("tts", agent, rate_hz=rate_hz, candidate=candidate)
    errors: list[str] = []

    async def note(error: ErrorFrame) -> None:
        errors.append(error.error)
        collector.done.set()

    run = PipelineRun(
        Pipeline([service, collector]), rate_in_hz=rate_hz, rate_out_hz=rate_hz, on_error=note
    )
    run.start()
    try:
        await run.queue(TTSSpeakFrame(text, append_to_context=False))
        await _first_of(collector.done.wait(), run.finished())
    finally:
        await run.stop()
    if collector.too_long:
        errors.append("it gave far more sound than that takes")
    if errors and not collector.pcm:
        raise ProviderError(
            "tts_failed",
            f"{spec.title} could not speak a phrase: {errors[0]}",
            provider=spec.name,
            stage="tts",
            retryable=True,
        )
    return bytes(collector.pcm)


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one is over, and give up the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
