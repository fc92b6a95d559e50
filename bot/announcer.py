"""What the agent says beside the model's answers: greeting, prompts, farewell, apology."""

from collections.abc import Mapping

from pipecat.frames.frames import TTSSpeakFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor

from bot.marks import Mark
from bot.phrases import PhraseCache
from bot.processors.output import SpokenFrame
from bot.reporter import CallReporter
from bot.speaker import Speaker
from config.agent import AgentConfig
from serializer.codecs import AudioFormat


class Announcer:
    """Says an agent's phrases in one call: from the cache, else by its synthesiser.

    What was heard of them becomes part of the conversation.

    Args:
        agent: Whose phrases.
        phrases: The cache.
        speaker: The agent's mouth.
        reporter: Told what will be said.
        wire: Codec of the line.
        variables: The call's values for ``{{name}}``.
    """

    def __init__(
        self,
        agent: AgentConfig,
        phrases: PhraseCache,
        speaker: Speaker,
        reporter: CallReporter,
        *,
        wire: AudioFormat,
        variables: Mapping[str, str],
    ) -> None:
        self._agent = agent
        self._phrases = phrases
        self._speaker = speaker
        self._reporter = reporter
        self._wire = wire
        self._variables = variables
        self._door: FrameProcessor | None = None
        self._context: LLMContext | None = None
        self._said_early: list[str] = []

    def connect(self, door: FrameProcessor, context: LLMContext) -> None:
        """The pipeline has been built.

        Args:
            door: A processor before the synthesiser.
            context: The conversation.
        """
        self._door, self._context = door, context
        for text in self._said_early:
            self._remember(text)
        self._said_early.clear()

    def text(self, name: str) -> str:
        """A phrase of the agent in the present language, its values filled in; may be empty."""
        phrases = self._agent.phrases(self._reporter.language)
        return self._agent.render(phrases[name], self._variables)

    def say_hold(self, number: int) -> None:
        """Ask for patience, where the words are ready: the agent's hold messages in turn.

        They are no part of the conversation.
        """
        phrases = self._agent.phrases(self._reporter.language)
        names = [name for name in phrases if name.startswith("hold_")]
        if names:
            text = self.text(names[number % len(names)])
            payload = self._payload(text)
            if payload is not None:
                self._reporter.degraded("llm", "slow_answer", "the caller was asked to wait")
                self._speaker.say(text, payload, self._voice_of(text), is_answer=False)

    def say_ready(self, text: str, then: Mark | None = None) -> bool:
        """Speak from the cache, after what is being said.

        Args:
            text: The words.
            then: Awaited when they were heard to their end.

        Returns:
            False when they are not there (yet).
        """
        payload = self._payload(text)
        if payload is None:
            return False
        self._reporter.answer_text(text, final=True)
        provider = self._voice_of(text)
        self._speaker.say(text, payload, provider, then=then, remember=self._remember)
        return True

    async def say(self, text: str, then: Mark | None = None) -> None:
        """Speak, from the cache or live, after what is being said.

        Args:
            text: The words.
            then: Awaited when they were heard to their end; never when they are cut off.
        """
        if self.say_ready(text, then):
            return
        await self.say_live(text)
        if then is not None:
            assert self._door is not None
            await self._door.queue_frame(SpokenFrame(then))

    async def say_live(self, text: str) -> None:
        """Have the synthesiser speak."""
        assert self._door is not None, "connect() comes first"
        self._reporter.answer_text(text, final=True)
        await self._door.queue_frame(TTSSpeakFrame(text))

    async def mark_live(self, reached: Mark) -> None:
        """Await ``reached`` when all that was given to the synthesiser was heard or cut off."""
        assert self._door is not None, "connect() comes first"
        frame = SpokenFrame(reached)
        frame.interruptible = False
        await self._door.queue_frame(frame)

    def _payload(self, text: str) -> bytes | None:
        language = self._reporter.language
        return self._phrases.wire(self._agent, text, self._wire, language) if text else None

    def _voice_of(self, text: str) -> str:
        return self._phrases.speaker(self._agent, text, self._wire, self._reporter.language)

    def _remember(self, text: str) -> None:
        if self._context is None:
            self._said_early.append(text)
        else:
            self._context.add_message({"role": "assistant", "content": text})
