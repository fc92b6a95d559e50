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
#: How long building the services waits for the greeting's first packet.
FIRST_PACKET_SECONDS = 0.1
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

    Made while the phone rings where that is known, so that the vendors' connections are open
    when the call is answered: ``connect`` (optional), then ``start`` with the line.

    Args:
        agent: Frozen for the call.
        parts: What all calls share.
        heard_format: Codec of what :meth:`hear` is given.
        spoken_format: Codec of what the line takes.
        session_id: For log lines.
        variables: The call's values for ``{{name}}``.
        lead_ms: How far ahead of real time audio is sent.
    """

    def __init__(
        self,
        agent: AgentConfig,
        parts: BotParts,
        *,
        heard_format: AudioFormat,
        spoken_format: AudioFormat,
        session_id: str,
        variables: Mapping[str, str],
        lead_ms: int = 300,
    ) -> None:
        self.agent = agent
        self.formats = (heard_format, spoken_format)
        self._parts = parts
        self._wire = spoken_format
        self._session_id = session_id
        self._variables = dict(variables)
        self.reporter = CallReporter(agent.language)
        self.playout = Playout(
            bytes_per_ms=spoken_format.bytes_per_ms,
            silence=spoken_format.silence_byte,
            lead_ms=lead_ms,
        )
        self._speaker = Speaker(self.playout, self.reporter)
        self._ear = Ear(heard_format)
        self._activity = VoiceActivity(self._ear.rate_hz, self._voice_changed, vad_params())
        self._built: BuiltCall | None = None
        self._run: PipelineRun | None = None
        self._playing: asyncio.Task[None] | None = None
        self._on_end: OnEnd | None = None
        self._deaf = agent.turns.ignore_speech_before_greeting and bool(agent.greeting)
        self._paused = False
        self._silences = 0

    def connect(self) -> None:
        """Build the services and let them connect; a second call does nothing.

        Raises:
            ConfigError: A service cannot be built.
        """
        if self._built is not None:
            return
        built = build_call(
            self.agent,
            self._parts.factory,
            rate_in_hz=self._ear.rate_hz,
            wire=self._wire,
            speaker=self._speaker,
            reporter=self.reporter,
            on_action=self._act,
            session_id=self._session_id,
            variables=self._variables,
        )
        built.user.add_event_handler("on_user_turn_idle", self._break_silence)
        built.user.add_event_handler("on_user_turn_started", self._forget_silences)
        self._built = built
        self._run = PipelineRun(
            built.pipeline,
            rate_in_hz=self._ear.rate_hz,
            rate_out_hz=self._wire.rate_hz,
            on_error=self._note_error,
        )
        self._run.start()

    async def start(self, sink: MediaSink, *, emit: Emit, on_end: OnEnd, started_at: float) -> None:
        """Put the greeting on the line, then let the vendors connect if they have not.

        Args:
            sink: The line, for sending.
            emit: Takes every event of the call.
            on_end: Called with an end cause, and a transfer target or None, when the agent
                wants the call to end and its last words were heard.
            started_at: Loop time of the session's beginning.

        Raises:
            ConfigError: A service cannot be built.
        """
        self._on_end = on_end
        self.reporter.begin(emit, started_at)
        self.playout.sink = sink
        self._playing = asyncio.create_task(self.playout.run(), name="playout")
        self.reporter.state("listening")
        greeting = self.agent.render(self.agent.greeting, self._variables)
        ready = bool(greeting) and self._say_ready(greeting)
        if ready and self._built is None:
            # Building services takes tens of milliseconds; the greeting is on its way first.
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_PACKET_SECONDS):
                    await self.playout.first_packet.wait()
        self.connect()
        if greeting:
            await self._remember_greeting(greeting, spoken=ready)

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
        await self._connected()[0].front.queue_frame(InputAudioRawFrame(pcm, self._ear.rate_hz, 1))

    async def press(self, digit: str) -> None:
        """The caller pressed a key."""
        self._silences = 0
        self.reporter.pressed(digit)
        if digit in KEYS:
            await self._connected()[0].front.queue_frame(InputDTMFFrame(button=KeypadEntry(digit)))

    async def read(self, text: str) -> None:
        """The caller typed instead of speaking; cuts the agent off and is answered."""
        self._silences = 0
        await self.interrupt()
        self.reporter.caller_said(text, final=True, provider="client", source="text")
        await self._connected()[0].user.queue_frame(
            LLMMessagesAppendFrame([{"role": "user", "content": text}], run_llm=True)
        )

    async def say(self, text: str) -> None:
        """Have the agent speak ``text`` as it is."""
        await self._connected()[0].user.queue_frame(TTSSpeakFrame(text))

    async def interrupt(self) -> None:
        """Silence the agent at once, as if the caller had spoken over it."""
        _, run = self._connected()
        if run.started.is_set():
            await self._connected()[0].user.queue_frame(InterruptionFrame())
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
        text = self.agent.render(self.agent.phrases()[phrase], self._variables) if phrase else ""
        if text:
            self._say_ready(text)
        return await self.playout.drained(MAX_GOODBYE_SECONDS)

    async def stop(self) -> None:
        """End everything this bot runs; safe to call twice."""
        self._parts.vad.forget(self._activity)
        self._speaker.on_speaking = None
        if self._run is not None:
            await self._run.stop()
        if self._playing is not None:
            self._playing.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._playing

    async def _remember_greeting(self, greeting: str, *, spoken: bool) -> None:
        """Tell the model what was said first; have it spoken live where it was not ready."""
        built, run = self._connected()
        built.context.add_message({"role": "assistant", "content": greeting})
        if not spoken:
            self._deaf = False
            await run.queue(TTSSpeakFrame(greeting, append_to_context=False))

    def _connected(self) -> tuple[BuiltCall, PipelineRun]:
        assert self._built is not None and self._run is not None, "start() comes first"
        return self._built, self._run

    def _say_ready(self, text: str) -> bool:
        """Speak a phrase from the cache; False when it is not there yet."""
        payload = self._parts.phrases.wire(self.agent, text, self._wire)
        if payload is None:
            return False
        self.reporter.answer_text(text, final=True)
        self._speaker.say(text, payload, self.agent.tts.provider)
        return True

    async def _voice_changed(self, speaking: bool) -> None:
        frame: Frame
        if speaking:
            self.reporter.caller_started(VAD_START_MS)
            frame = VADUserStartedSpeakingFrame(start_secs=VAD_START_MS / 1000)
        else:
            self.reporter.caller_stopped(VAD_STOP_MS)
            frame = VADUserStoppedSpeakingFrame(stop_secs=VAD_STOP_MS / 1000)
        await self._connected()[0].front.queue_frame(frame)

    async def _act(self, frame: CallActionFrame) -> None:
        """The agent decided something, and its words have been heard."""
        if frame.action == "end":
            self._end("agent_hangup", None)
        else:
            self._end("transferred", frame.target)

    async def _forget_silences(self, _aggregator: object, _strategy: object) -> None:
        self._silences = 0

    async def _break_silence(self, _aggregator: object) -> None:
        """The caller has been silent for too long: ask, and after some times say goodbye."""
        self._silences += 1
        llm = self._connected()[0].llm
        if isinstance(llm, AnswersSilence):
            await llm.on_no_input()
        elif self._silences > self.agent.turns.max_no_input:
            await self.goodbye("farewell")
            self._end("silence", None)
        else:
            text = self.agent.render(self.agent.phrases()["no_input"], self._variables)
            if not self._say_ready(text):
                await self.say(text)

    def _end(self, cause: str, target: str | None) -> None:
        if self._on_end is not None:
            self._on_end(cause, target)

    async def _note_error(self, frame: ErrorFrame) -> None:
        stage = next((kind for base, kind in STAGES if isinstance(frame.processor, base)), None)
        provider = self.agent.section(stage).provider if stage else None
        logger.warning(f"{stage or 'pipeline'} error in a call: {frame.error}")
        kind = frame.category.value if frame.category is not None else "error"
        self.reporter.degraded(stage or "pipeline", kind, frame.error, provider)
