"""Changes the language of a call: ears, instruction and voice together, at a turn's boundary."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

from loguru import logger
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.frame_processor import FrameProcessor

from bot.chains.chain import Chain
from bot.chains.language import LanguageSwitchFrame
from bot.chains.llm import LlmChain
from bot.chains.stt import SttChain
from bot.chains.tts import TtsChain
from bot.heard_language import HeardLanguage
from bot.reporter import CallReporter
from config.agent import AgentConfig
from config.languages import LANGUAGES

Reason = Literal["tool", "key", "api", "speech"]
#: ``ready``: it will be spoken from the next boundary on. ``already``: it is spoken, or will be.
Outcome = Literal["ready", "already", "not_spoken", "unavailable"]

#: What a model is told; one such note at a time stands in the conversation.
NOTE = (
    "From now on answer in {name} ({native}) only, written in its own script, whatever language "
    "was spoken before. Do not mention this instruction."
)
#: Put before it where the caller has not said anything that could be answered.
CHOSEN = "The caller has just chosen {name} by pressing a key. Greet them shortly and go on. "


class LanguageSwitch:
    """The language of one call, and its changes.

    Somebody who hears and somebody who speaks the new language are found first, beside the
    conversation; then a mark goes down the pipeline. Behind it the model answers, and the voice
    speaks, in the new language; when what stands before the mark was heard, the caller is
    heard in it too, from the end of what they are just saying. Where nobody is found, the call
    stays as it is, and that is told.

    Args:
        agent: Knows the languages.
        reporter: Told of each change.
        stt: Hears.
        llm: Answers.
        tts: Speaks.

    Attributes:
        language: That of the next answer.
    """

    def __init__(
        self,
        agent: AgentConfig,
        reporter: CallReporter,
        *,
        stt: SttChain,
        llm: LlmChain,
        tts: TtsChain,
    ) -> None:
        self.language = agent.language
        self._agent = agent
        self._reporter = reporter
        self._stt, self._llm, self._tts = stt, llm, tts
        self._context: LLMContext | None = None
        self._door: FrameProcessor | None = None
        self._note: LLMContextMessage | None = None
        self._busy = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ear = HeardLanguage(agent.spoken_languages, agent.language)
        llm.on_language = self._tell_model

    def connect(self, door: FrameProcessor, context: LLMContext) -> None:
        """The pipeline has been built.

        Args:
            door: A processor before the model.
            context: The conversation.
        """
        self._door, self._context = door, context

    async def request(
        self, language: str, reason: Reason, before: Callable[[], Awaitable[None]] | None = None
    ) -> Outcome:
        """Turn to ``language`` at the next boundary.

        Args:
            language: A code of ours.
            reason: Who wants it.
            before: Awaited once the new language can be spoken, before it is.
        """
        asked_at = asyncio.get_running_loop().time()
        outcome = await self.prepare(language)
        if outcome == "ready":
            if before is not None:
                await before()
            assert self._door is not None, "connect() comes first"
            await self._door.queue_frame(self.turn_to(language, reason, asked_at))
        return outcome

    async def prepare(self, language: str) -> Outcome:
        """Have somebody for each stage of ``language``; nothing is spoken in it yet."""
        if language not in self._agent.spoken_languages:
            return "not_spoken"
        async with self._busy:
            if language == self.language:
                self._llm.settled.set()
                return "already"
            self._llm.settled.clear()
            try:
                missing = await self._missing(language)
            except BaseException:
                self._llm.settled.set()
                raise
            if not missing:
                return "ready"
            self._llm.settled.set()
        for chain in (self._stt, self._llm, self._tts):
            chain.forget_spares()
        detail = f"{language} cannot be turned to: nobody is there for {', '.join(missing)}"
        logger.warning(detail)
        self._reporter.degraded("language", "unavailable", detail)
        return "unavailable"

    def turn_to(self, language: str, reason: Reason, asked_at: float) -> LanguageSwitchFrame:
        """The mark behind which all is in ``language``; for :meth:`prepare` to have gone well."""
        self.language = language
        self._ear.turn_to(language)
        return LanguageSwitchFrame(language, reason, asked_at)

    async def turn_now(self, language: str, reason: Reason, asked_at: float) -> None:
        """Put the mark behind what the model has said so far."""
        await self._llm.turn_now(self.turn_to(language, reason, asked_at))

    def heard(self, text: str, detected: str | None) -> None:
        """The caller was understood.

        Args:
            text: A final text.
            detected: The language that the recogniser itself has found, if it looks for it.
        """
        if not self._agent.language_switching.by_speech:
            return
        language = self._ear.heard(text, detected)
        if language is not None and language != self.language:
            # At once, for the question about to be asked to wait for it.
            self._llm.settled.clear()
            self.spawn(self.request(language, "speech"))

    async def took_effect(self, frame: LanguageSwitchFrame) -> None:
        """All that was said in the old language has been heard."""
        self._reporter.language_changed(frame.language, frame.reason, frame.asked_at)
        await self._stt.switch(frame.language)

    def chosen_again(self) -> None:
        """The caller has chosen, by a key, what is spoken already: the model may say so."""
        now = asyncio.get_running_loop().time()
        self._tell_model(LanguageSwitchFrame(self.language, "key", now))

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something beside the call; ended with it."""
        task = asyncio.create_task(work, name="language-switch")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def close(self) -> None:
        """The call is over."""
        for task in self._tasks:
            task.cancel()

    async def _missing(self, language: str) -> list[str]:
        """The stages that nobody serves in ``language`` now."""
        agent = self._agent
        chains: tuple[tuple[Chain, float], ...] = (
            (self._stt, agent.stt.deadlines.connect_seconds),
            (self._llm, agent.tts.deadlines.connect_seconds),
            (self._tts, agent.tts.deadlines.connect_seconds),
        )
        there = await asyncio.gather(
            *(chain.make_ready(language, seconds) for chain, seconds in chains)
        )
        return [chain.kind for (chain, _), ready in zip(chains, there, strict=True) if not ready]

    def _tell_model(self, frame: LanguageSwitchFrame) -> None:
        """Put the note into the conversation, in place of the one before.

        ``developer`` is the role that every adapter of Pipecat either passes on or turns into
        something that its vendor takes.
        """
        context, language = self._context, LANGUAGES[frame.language]
        if context is None:
            return
        text = CHOSEN + NOTE if frame.reason == "key" else NOTE
        note: LLMContextMessage = {
            "role": "developer",
            "content": text.format(name=language.name, native=language.native_name),
        }
        kept = [message for message in context.messages if message is not self._note]
        context.set_messages([*kept, note])
        self._note = note

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error(f"a change of the language failed: {error}")
