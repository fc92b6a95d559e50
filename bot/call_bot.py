"""One call's agent: hears, decides, speaks. A session owns it and gives it a line."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from loguru import logger
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from bot.builder import BuiltCall, build_call
from bot.ear import Ear
from bot.media import MediaSink
from bot.phrases import PhraseCache
from bot.pipeline_run import PipelineRun
from bot.playout import Playout
from bot.reporter import CallReporter, Emit
from bot.speaker import Speaker
from bot.turns import VAD_START_MS, VAD_STOP_MS, vad_params
from bot.vad import VadEngine, VoiceActivity
from config.agent import AgentConfig
from config.providers import ProviderKind
from serializer.codecs import AudioFormat
from services.actions import CallActionFrame
from services.factory import ServiceFactory

#: How long an answer or a farewell may still play when the call is to end.
MAX_GOODBYE_SECONDS = 20.0
KEYS = frozenset(entry.value for entry in KeypadEntry)

OnEnd = Callable[[str, str | None], None]
STAGES: tuple[tuple[type[FrameProcessor], ProviderKind], ...] = (
    (STTService, "stt"),
    (LLMService, "llm"),
    (TTSService, "tts"),
)


@runtime_checkable
class AnswersSilence(Protocol):
    """A model that has its own answer to a silent caller."""

    async def on_no_input(self) -> None:
        """The caller has said nothing for the agent's ``turns.no_input_seconds``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotParts:
    """What all calls of a process share.

    Attributes:
        factory: Builds services.
        vad: The shared voice activity engine, running.
        phrases: Greetings and fallback phrases.
    """

    factory: ServiceFactory
    vad: VadEngine
    phrases: PhraseCache


class CallBot:
    """The agent of one call.

    Args:
        agent: Frozen for the call.
        parts: What all calls share.
        sink: The line, for sending.
        heard_format: Codec of what :meth:`hear` is given.
        spoken_format: Codec of what the sink takes.
        emit: Takes every event of the call.
        on_end: Called with an end cause, and a transfer target or None, when the agent
            wants the call to end and its last words were heard.
        started_at: Loop time of the session's beginning.
        session_id: The session's own id.
        variables: The call's values for ``{{name}}``.
        lead_ms: How far ahead of real time audio is sent.
    """

    def __init__(
        self,
        agent: AgentConfig,
        parts: BotParts,
        sink: MediaSink,
        *,
        heard_format: AudioFormat,
        spoken_format: AudioFormat,
        emit: Emit,
        on_end: OnEnd,
        started_at: float,
        session_id: str,
        variables: Mapping[str, str],
        lead_ms: int = 300,
    ) -> None:
        self._agent = agent
        self._parts = parts
        self._heard_format = heard_format
        self._wire = spoken_format
        self._on_end = on_end
        self._variables = dict(variables)
        self.reporter = CallReporter(emit, started_at=started_at, language=agent.language)
        self.playout = Playout(
            sink,
            bytes_per_ms=spoken_format.bytes_per_ms,
            silence=spoken_format.silence_byte,
            lead_ms=lead_ms,
        )
        self._speaker = Speaker(self.playout, self.reporter)
        self._ear = Ear(heard_format)
        self._activity = VoiceActivity(self._ear.rate_hz, self._voice_changed, vad_params())
        self._built: BuiltCall = build_call(
            agent,
            parts.factory,
            rate_in_hz=self._ear.rate_hz,
            wire=spoken_format,
            speaker=self._speaker,
            reporter=self.reporter,
            on_action=self._act,
            session_id=session_id,
            variables=self._variables,
        )
        self._run = PipelineRun(
            self._built.pipeline,
            rate_in_hz=self._ear.rate_hz,
            rate_out_hz=spoken_format.rate_hz,
            on_error=self._note_error,
        )
        self._playing: asyncio.Task[None] | None = None
        self._deaf = agent.turns.ignore_speech_before_greeting and bool(agent.greeting)
        self._paused = False
        self._silences = 0
        self._built.user.add_event_handler("on_user_turn_idle", self._break_silence)
        self._built.user.add_event_handler("on_user_turn_started", self._forget_silences)

    async def start(self) -> None:
        """Put the greeting on the line, then let the vendors connect."""
        self._playing = asyncio.create_task(self.playout.run(), name="playout")
        self.reporter.state("listening")
        greeting = self._agent.render(self._agent.greeting, self._variables)
        if greeting:
            await self._greet(greeting)
        self._run.start()

    async def hear(self, payload: bytes) -> None:
        """Take the caller's audio, in ``heard_format``."""
        if self._paused:
            return
        pcm = self._ear.take(payload)
        if not pcm:
            return
        if self._deaf:
            self._deaf = self.playout.playing
            pcm = bytes(len(pcm))
        self._parts.vad.feed(self._activity, pcm)
        await self._built.front.queue_frame(InputAudioRawFrame(pcm, self._ear.rate_hz, 1))

    async def press(self, digit: str) -> None:
        """The caller pressed a key."""
        self._silences = 0
        self.reporter.pressed(digit)
        if digit in KEYS:
            await self._built.front.queue_frame(InputDTMFFrame(button=KeypadEntry(digit)))

    async def read(self, text: str) -> None:
        """The caller typed instead of speaking; cuts the agent off and is answered."""
        self._silences = 0
        await self.interrupt()
        self.reporter.caller_said(text, final=True, provider="client", source="text")
        await self._built.user.queue_frame(
            LLMMessagesAppendFrame([{"role": "user", "content": text}], run_llm=True)
        )

    async def say(self, text: str) -> None:
        """Have the agent speak ``text`` as it is."""
        await self._built.user.queue_frame(TTSSpeakFrame(text))

    async def interrupt(self) -> None:
        """Silence the agent at once, as if the caller had spoken over it."""
        if self._run.started.is_set():
            await self._built.user.queue_frame(InterruptionFrame())
        else:
            await self._speaker.interrupt()

    def pause(self, paused: bool) -> None:
        """Stop hearing and speaking, or go on."""
        self._paused = paused
        self.playout.pause(paused)
        self.reporter.state("paused" if paused else "listening")

    async def goodbye(self, phrase: str | None = None) -> bool:
        """Let what is being said be heard, and a phrase after it.

        Args:
            phrase: One of the agent's phrases, such as ``farewell``; None adds nothing.

        Returns:
            Whether it was heard to its end.
        """
        text = self._agent.render(self._agent.phrases()[phrase], self._variables) if phrase else ""
        if text:
            self._say_ready(text)
        return await self.playout.drained(MAX_GOODBYE_SECONDS)

    async def stop(self) -> None:
        """End everything this bot runs; safe to call twice."""
        self._parts.vad.forget(self._activity)
        self._speaker.on_speaking = None
        await self._run.stop()
        if self._playing is not None:
            self._playing.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._playing

    async def _greet(self, greeting: str) -> None:
        self._built.context.add_message({"role": "assistant", "content": greeting})
        if not self._say_ready(greeting):
            self._deaf = False
            await self._run.queue(TTSSpeakFrame(greeting, append_to_context=False))

    def _say_ready(self, text: str) -> bool:
        """Speak a phrase from the cache; False when it is not there yet."""
        payload = self._parts.phrases.wire(self._agent, text, self._wire)
        if payload is None:
            return False
        self._speaker.say(text, payload, self._agent.tts.provider)
        return True

    async def _voice_changed(self, speaking: bool) -> None:
        frame: Frame
        if speaking:
            self.reporter.caller_started(VAD_START_MS)
            frame = VADUserStartedSpeakingFrame(start_secs=VAD_START_MS / 1000)
        else:
            self.reporter.caller_stopped(VAD_STOP_MS)
            frame = VADUserStoppedSpeakingFrame(stop_secs=VAD_STOP_MS / 1000)
        await self._built.front.queue_frame(frame)

    async def _act(self, frame: CallActionFrame) -> None:
        """The agent decided something, and its words have been heard."""
        if frame.action == "end":
            self._on_end("agent_hangup", None)
        else:
            self._on_end("transferred", frame.target)

    async def _forget_silences(self, _aggregator: object, _strategy: object) -> None:
        self._silences = 0

    async def _break_silence(self, _aggregator: object) -> None:
        """The caller has been silent for too long: ask, and after some times say goodbye."""
        self._silences += 1
        llm = self._built.llm
        if isinstance(llm, AnswersSilence):
            await llm.on_no_input()
        elif self._silences > self._agent.turns.max_no_input:
            await self.goodbye("farewell")
            self._on_end("silence", None)
        else:
            text = self._agent.render(self._agent.phrases()["no_input"], self._variables)
            if not self._say_ready(text):
                await self.say(text)

    async def _note_error(self, frame: ErrorFrame) -> None:
        stage = next((kind for base, kind in STAGES if isinstance(frame.processor, base)), None)
        provider = self._agent.section(stage).provider if stage else None
        logger.warning(f"{stage or 'pipeline'} error in a call: {frame.error}")
        kind = frame.category.value if frame.category is not None else "error"
        self.reporter.degraded(stage or "pipeline", kind, frame.error, provider)
