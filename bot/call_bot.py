"""One call's agent: hears, decides, speaks. A session owns it and gives it a line."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from loguru import logger
from pipecat.frames.frames import ErrorFrame, InterruptionFrame, LLMMessagesAppendFrame

from bot.announcer import Announcer
from bot.builder import BuiltCall, build_call
from bot.building import BuildingTurns
from bot.ending import Ending
from bot.hearing import Hearing
from bot.hold import HoldKeeper
from bot.keypad import Keypad
from bot.language import Outcome
from bot.media import Lateness, MediaSink, nobody_minds
from bot.phrases import PhraseCache
from bot.pipeline_run import PipelineRun
from bot.playout import Playout
from bot.reporter import CallReporter, Emit, OnDropped
from bot.rescue import Rescue
from bot.speaker import Speaker
from bot.stages import Stages
from bot.vad import VadEngine
from config.agent import AgentConfig
from config.languages import is_language, resolve_language
from serializer.codecs import AudioFormat
from services.breakers import BreakerBoard
from services.factory import ServiceFactory

#: How long to wait for an interruption to have gone through the pipeline.
INTERRUPT_SECONDS = 0.5
#: How long building the services waits for the greeting's first packet.
FIRST_PACKET_SECONDS = 0.1
#: How long the next call waits for the start of one's pipeline, which takes some 10 ms.
PIPELINE_START_SECONDS = 0.2

OnEnd = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BotParts:
    """What all calls of a process share.

    Attributes:
        factory: Builds services.
        vad: The shared voice activity engine, running.
        phrases: Greetings and fallback phrases.
        breakers: Which vendors are in trouble.
        building: Whose turn it is to have its services built.
        on_sent: Told how late each packet left for its caller.
        on_dropped: Told the name of a queue for each thing that did not fit in.
    """

    factory: ServiceFactory
    vad: VadEngine
    phrases: PhraseCache
    breakers: BreakerBoard = field(default_factory=BreakerBoard)
    building: BuildingTurns = field(default_factory=BuildingTurns)
    on_sent: Lateness = nobody_minds
    on_dropped: OnDropped = lambda queue: None


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
        self._factory = parts.factory
        self._wire = spoken_format
        variables = dict(variables)
        self.reporter = reporter = CallReporter(agent.language, session_id, parts.on_dropped)
        self.playout = Playout(
            bytes_per_ms=spoken_format.bytes_per_ms,
            silence=spoken_format.silence_byte,
            lead_ms=lead_ms,
            on_sent=parts.on_sent,
        )
        self._speaker = speaker = Speaker(self.playout, reporter)
        self._announcer = Announcer(
            agent, parts.phrases, speaker, reporter, wire=spoken_format, variables=variables
        )
        self._hold = HoldKeeper(
            self.playout, agent.turns.hold_after_seconds, self._announcer.say_hold
        )
        self._hearing = Hearing(heard_format, parts.vad, speaker, reporter)
        self._built: BuiltCall | None = None
        self._run: PipelineRun | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._on_end: OnEnd | None = None
        self._paused = False
        self._stopped = False
        self._keypad = Keypad(agent, self._hearing, reporter, interrupt=self.interrupt)
        self._ending = Ending(
            self._announcer,
            self.playout,
            reporter,
            interrupt=self.interrupt,
            speaks=lambda: self._run is not None and self._run.running,
            end=self._end,
        )
        self._rescue = Rescue(
            agent,
            self._announcer,
            reporter,
            self._hold,
            built=lambda: self._connected()[0],
            last_words=self._ending.last_words,
            end=self._end,
        )
        self._building = parts.building
        self._stages = Stages(
            agent=agent,
            factory=parts.factory,
            breakers=parts.breakers,
            session_id=session_id,
            variables=variables,
            reporter=reporter,
            on_exhausted=self._rescue.give_up,
        )

    def connect(self) -> None:
        """Build the services and let them connect; a second call does nothing.

        Raises:
            ConfigError: A service cannot be built.
        """
        if self._built is not None:
            return
        built = build_call(
            self._stages,
            rate_in_hz=self._hearing.rate_hz,
            wire=self._wire,
            speaker=self._speaker,
            hold=self._hold,
            on_action=self._ending.act,
            on_unheard=self._rescue.ask_for_words,
        )
        built.user.add_event_handler("on_user_turn_idle", self._break_silence)
        built.user.add_event_handler("on_user_turn_started", self._forget_silences)
        self._announcer.connect(built.user, built.context)
        self._hearing.connect(built.front)
        self._built = built
        self._run = PipelineRun(
            built.pipeline,
            rate_in_hz=self._hearing.rate_hz,
            rate_out_hz=self._wire.rate_hz,
            on_error=self._note_error,
        )
        self._run.start()

    async def connect_in_turn(self) -> None:
        """The same, one call after the other: that takes the loop for milliseconds.

        Where many calls begin at once, those that live have the loop between two of them, and
        whoever asks at a door has it before.

        Raises:
            ConfigError: A service cannot be built.
        """
        await self._building.take(
            self._connect_wholly, needed=lambda: self._built is None and not self._stopped
        )

    async def _connect_wholly(self) -> None:
        """Connect; the pipeline has started by the end, and its vendors are being connected to."""
        self.connect()
        if self._run is not None:
            await self._run.settled(PIPELINE_START_SECONDS)

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
        self._tasks.append(asyncio.create_task(self.playout.run(), name="playout"))
        self.reporter.state("listening")
        greeting = self._announcer.text("greeting")
        if greeting and self.agent.turns.ignore_speech_before_greeting:
            self._hearing.wait_for_greeting()
        ready = self._announcer.say_ready(greeting)
        if ready and self._built is None:
            # Building services takes tens of milliseconds; the greeting is on its way first.
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_PACKET_SECONDS):
                    await self.playout.first_packet.wait()
        if self._built is None:
            # Keys that the backend keeps, in time or not; the greeting plays meanwhile.
            await self._factory.ready(self.agent)
            await self.connect_in_turn()
        if self._stopped:
            return
        if greeting and not ready:
            await self._announcer.say_live(greeting)
        self._tasks.append(asyncio.create_task(self._watch_pipeline(), name="pipeline-watch"))
        self._ending.answered()

    async def hear(self, payload: bytes) -> None:
        """Take the caller's audio, in ``heard_format``."""
        if not self._paused:
            await self._hearing.take(payload)

    async def press(self, digit: str) -> None:
        """The caller pressed a key: for the model, or else for another language."""
        self._rescue.heard_from_caller()
        await self._keypad.press(digit, self._built)

    async def switch_language(self, language: str) -> Outcome:
        """Go on in another language, after what is being said.

        Args:
            language: A code of ours.

        Returns:
            ``ready`` where it will be; ``already``, ``not_spoken`` or ``unavailable``.
        """
        if self._stopped or self._built is None:
            return "unavailable"
        return await self._built.languages.request(language, "api")

    async def read(self, text: str) -> None:
        """The caller typed instead of speaking; cuts the agent off and is answered."""
        if self._stopped:
            return
        self._rescue.heard_from_caller()
        await self.interrupt()
        self.reporter.caller_said(text, final=True, provider="client", source="text")
        await self._connected()[0].user.queue_frame(
            LLMMessagesAppendFrame([{"role": "user", "content": text}], run_llm=True)
        )

    async def say(self, text: str) -> None:
        """Have the agent speak ``text`` as it is, after what is being said."""
        if not self._stopped:
            await self._announcer.say(text)

    async def ask_who_is_there(self) -> None:
        """Prompt a caller of whom nothing comes any more, not even silence."""
        if not (self._stopped or self._rescue.over):
            await self._announcer.say(self._announcer.text("no_input"))

    def choose_language(self, language: str) -> bool:
        """As :meth:`switch_language`, without waiting for it.

        Args:
            language: A code or a name.

        Returns:
            Whether the agent speaks it.
        """
        if self._stopped or self._built is None:
            return False
        code = resolve_language(language) if is_language(language) else None
        if code not in self.agent.spoken_languages:
            return False
        self._built.languages.spawn(self._built.languages.request(code, "api"))
        return True

    async def interrupt(self) -> None:
        """Silence the agent at once, as if the caller had spoken over it.

        Returns when the conversation holds what had been heard, so that what the caller says
        next stands behind it.
        """
        built, run = self._connected()
        if not run.started.is_set():
            await self._speaker.interrupt()
            return
        speaking = self._speaker.speaking or self.playout.playing
        run.interrupted.clear()
        await built.user.queue_frame(InterruptionFrame())
        if speaking:
            # Never comes where the agent may not be interrupted.
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERRUPT_SECONDS):
                    await run.interrupted.wait()

    def pause(self, paused: bool) -> None:
        """Stop hearing and speaking, or go on."""
        self._paused = paused
        self.playout.pause(paused)
        self.reporter.paused(paused)

    async def goodbye(self, phrase: str | None = None) -> bool:
        """Let what is being said be heard, and a phrase after it.

        Args:
            phrase: One of the agent's phrases, such as ``farewell``; None adds nothing.

        Returns:
            Whether it was heard to its end.
        """
        return await self._ending.goodbye(phrase)

    async def stop(self) -> None:
        """End everything this bot runs; safe to call twice."""
        if not self._stopped:
            self._stopped = True
            if self._built is not None:
                self._built.languages.close()
            self._hold.end()
            self._rescue.close()
            self._hearing.close()
            await self._speaker.hang_up()
        if self._run is not None:
            await self._run.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def let_go(self) -> None:
        """Drop all it has, once it has stopped and nobody hears or speaks through it any more.

        See :mod:`bot.letting_go`.
        """
        if self._run is not None:
            self._run.let_go()
        if self._built is not None:
            vars(self._hearing).clear()
        vars(self).clear()
        self._stopped, self._built, self._run, self._tasks = True, None, None, []

    async def _watch_pipeline(self) -> None:
        """A pipeline that ends before its call ends the call, with an apology."""
        await self._connected()[1].finished()
        if self._stopped:
            return
        logger.error("a call's pipeline ended before the call")
        self.reporter.degraded("pipeline", "ended", "the pipeline ended before the call")
        await self._ending.break_off()

    def _connected(self) -> tuple[BuiltCall, PipelineRun]:
        assert self._built is not None and self._run is not None, "start() comes first"
        return self._built, self._run

    def _end(self, cause: str, target: str | None) -> None:
        self._rescue.over = True
        if self._on_end is not None:
            self._on_end(cause, target)

    async def _forget_silences(self, _aggregator: object, _strategy: object) -> None:
        self._rescue.heard_from_caller()

    async def _break_silence(self, _aggregator: object) -> None:
        await self._rescue.break_silence()

    async def _note_error(self, frame: ErrorFrame) -> None:
        """Vendors' errors are their chain's affair; this one is of a processor of ours."""
        kind = frame.category.value if frame.category is not None else "error"
        self.reporter.degraded("pipeline", kind, frame.error)
