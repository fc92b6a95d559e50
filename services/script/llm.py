"""The script as Pipecat's language model: contexts and keys in, streamed replies out.

What stands behind it (sentence cutter, synthesiser, recorder) sees the same frames as from a
vendor's model: ``LLMFullResponseStartFrame``, ``LLMTextFrame`` pieces,
``LLMFullResponseEndFrame``, then a ``CallActionFrame`` where the call is to end or be handed
over.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService

from services.actions import CallActionFrame
from services.context import ServiceContext
from services.offline.frames import UnrecognizedSpeechFrame
from services.plain_llm import PlainAdapter, settled
from services.script.engine import Dialogue, Reply
from services.script.options import ScriptOptions

#: Where a reply is cut into pieces: behind the marks that end a sentence in India's scripts.
_SENTENCE_END = re.compile(r"(?<=[.!?।॥؟۔])\s+")


class ScriptLLMService(LLMService[PlainAdapter]):
    """Answers from a script.

    Args:
        dialogue: This call's dialogue.
        key_timeout_seconds: A pause this long ends a number being keyed in.
        transfer_target: Where a transfer goes that names no target.
        phrases: The agent's own ``no_input`` and ``farewell`` in a language.
    """

    adapter_class = PlainAdapter

    def __init__(
        self,
        dialogue: Dialogue,
        *,
        key_timeout_seconds: float = 3.0,
        transfer_target: str | None = None,
        phrases: Callable[[str], Mapping[str, str]] = lambda language: {},
    ) -> None:
        super().__init__(settings=settled("script"))
        self._dialogue = dialogue
        self._key_timeout_seconds = key_timeout_seconds
        self._transfer_target = transfer_target
        self._phrases = phrases
        self._key_timer: asyncio.Task[None] | None = None
        self._answered: object = None
        #: Counts replies; a reply that is no longer the newest stops streaming.
        self._newest = 0

    @property
    def dialogue(self) -> Dialogue:
        """The dialogue, for its state and what it has collected."""
        return self._dialogue

    def can_generate_metrics(self) -> bool:
        """Times are measured as of any model."""
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer contexts, keys and unrecognised speech; pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer_context(frame.context)
            return
        if isinstance(frame, (InterruptionFrame, EndFrame, CancelFrame)):
            self._newest += 1
            if not isinstance(frame, InterruptionFrame):
                await self._stop_key_timer()
        await self.push_frame(frame, direction)
        if isinstance(frame, InputDTMFFrame):
            await self.press(frame.button.value)
        elif isinstance(frame, UnrecognizedSpeechFrame):
            await self._say(self._dialogue.on_unrecognized())

    async def press(self, digit: str) -> None:
        """Take one key: a menu is answered at once, over whatever is being said."""
        await self._stop_key_timer()
        was_keying = self._dialogue.awaits_more_keys
        reply = self._dialogue.on_digit(digit)
        if reply is not None or not was_keying:
            await self.broadcast_interruption()  # type: ignore[no-untyped-call]
        if reply is not None:
            await self._say(reply)
        elif self._dialogue.awaits_more_keys:
            self._key_timer = self.create_task(self._wait_for_keys(), name="key_timer")

    def claims_key(self, digit: str) -> bool:
        """Whether the script has a use for a key where it is now."""
        return self._dialogue.claims(digit)

    def change_language(self, language: str) -> None:
        """Take each text from now on in ``language``, where the script has it there."""
        words = self._phrases(language)
        self._dialogue.change_language(
            language, waiting=words.get("no_input", ""), farewell=words.get("farewell", "")
        )

    async def on_no_input(self) -> None:
        """Tell the script that the caller has been silent for long."""
        await self._stop_key_timer()
        await self._say(self._dialogue.on_no_input())

    async def run_inference(
        self,
        context: LLMContext,
        max_tokens: int | None = None,
        system_instruction: str | None = None,
        response_schema: dict[str, Any] | None = None,
    ) -> str | None:
        """None: a script has nothing to say outside its dialogue."""
        return None

    async def cleanup(self) -> None:
        """Release the timer with everything else."""
        await self._stop_key_timer()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _answer_context(self, context: LLMContext) -> None:
        await self._stop_key_timer()
        await self.start_processing_metrics()
        await self.start_ttfb_metrics()
        message = _last_spoken(context)
        if message is None or message.get("role") != "user":
            reply = self._dialogue.start()
        elif message is self._answered:
            reply = None
        else:
            self._answered = message
            reply = self._dialogue.on_text(_text_of(message))
        if reply is not None:
            await self._say(reply)
        await self.stop_processing_metrics()

    async def _wait_for_keys(self) -> None:
        await asyncio.sleep(self._key_timeout_seconds)
        self._key_timer = None
        reply = self._dialogue.on_digits_end()
        if reply is not None:
            await self._say(reply)

    async def _stop_key_timer(self) -> None:
        timer, self._key_timer = self._key_timer, None
        if timer is not None:
            await self.cancel_task(timer)

    async def _say(self, reply: Reply) -> None:
        self._newest += 1
        mine = self._newest
        if reply.text:
            await self.push_frame(LLMFullResponseStartFrame())
            for piece in _pieces(reply.text):
                if mine != self._newest:
                    return
                await self.stop_ttfb_metrics()
                await self._push_llm_text(piece)
            if mine != self._newest:
                return
            await self.push_frame(LLMFullResponseEndFrame())
        action = self._action(reply)
        if action is not None and mine == self._newest:
            await self.push_frame(action)

    def _action(self, reply: Reply) -> CallActionFrame | None:
        if reply.transfer is not None:
            target = reply.transfer.target or self._transfer_target
            return CallActionFrame(action="transfer", target=target, reason=reply.transfer.reason)
        return CallActionFrame(action="end", reason="script") if reply.end else None


def build_llm(options: ScriptOptions, context: ServiceContext) -> ScriptLLMService:
    """The script of ``context.agent`` for one call.

    ``{{name}}`` stands for the agent's variables, the call's, and what the caller tells.
    """
    agent = context.agent

    def phrases_in(language: str) -> dict[str, str]:
        texts = agent.phrases(language if language in agent.spoken_languages else None)
        return {name: agent.render(text, context.variables) for name, text in texts.items()}

    phrases = phrases_in(context.language)
    dialogue = Dialogue(
        options,
        agent.values(context.variables),
        context.language,
        opening=agent.render(agent.greeting, context.variables),
        waiting=phrases["no_input"],
        farewell=phrases["farewell"],
    )
    return ScriptLLMService(
        dialogue,
        key_timeout_seconds=options.key_timeout_seconds,
        transfer_target=next(iter(agent.call.transfer_to), None),
        phrases=phrases_in,
    )


def _pieces(text: str) -> list[str]:
    """Sentences with their spaces: joined, they are ``text``."""
    sentences = _SENTENCE_END.split(text)
    return [f"{sentence} " for sentence in sentences[:-1]] + sentences[-1:]


def _last_spoken(context: LLMContext) -> Mapping[str, Any] | None:
    """The newest message of caller or agent; instructions in between do not count."""
    for message in reversed(context.messages):
        if isinstance(message, dict) and message.get("role") in ("user", "assistant"):
            return message
    return None


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [p.get("text") for p in parts if isinstance(p, dict) and p.get("type") == "text"]
    return " ".join(text for text in texts if isinstance(text, str))
