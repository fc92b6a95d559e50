"""The list of a call's processors, top to bottom."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregator,
    LLMUserAggregatorParams,
)

from bot.chains.llm import LlmChain
from bot.chains.stt import SttChain
from bot.chains.tts import TtsChain
from bot.hold import HoldKeeper
from bot.language import LanguageSwitch
from bot.processors.answer_cutter import AnswerCutter, TurnTap
from bot.processors.caller_tap import CallerTap
from bot.processors.output import CallOutput, OnAction
from bot.reporter import CallReporter
from bot.speaker import Speaker
from bot.stages import Stages
from bot.tools import agent_tools
from bot.turns import mute_strategies, noise_counts, turn_strategies
from config.agent import AgentConfig
from serializer.codecs import AudioFormat

#: A turn that nothing else ends, such as a cough that no vendor says anything of, ends after so
#: much silence. A vendor that fails must be replaced, and the next be heard, before that.
MAX_TURN_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class BuiltCall:
    """A call's pipeline and the parts that its bot talks to directly.

    Attributes:
        pipeline: All processors, in order.
        front: Where what the caller does enters: the recogniser.
        context: The conversation so far.
        user: The caller's half of the conversation, which notices their silence.
        llm: The models.
        tts: The synthesisers.
        languages: The call's language.
    """

    pipeline: Pipeline
    front: SttChain
    context: LLMContext
    user: LLMUserAggregator
    llm: LlmChain
    tts: TtsChain
    languages: LanguageSwitch


def build_call(
    stages: Stages,
    *,
    rate_in_hz: int,
    wire: AudioFormat,
    speaker: Speaker,
    hold: HoldKeeper,
    on_action: OnAction,
    on_unheard: Callable[[], Awaitable[None]],
) -> BuiltCall:
    """Wire one call.

    The caller's audio enters at the recogniser and stops there; voice activity has been found
    in front of it (``bot.vad``), so nothing behind needs the samples.

    Args:
        stages: Builds its chains; knows the agent and who is told.
        rate_in_hz: Of the caller's audio.
        wire: Codec of the line.
        speaker: The agent's mouth.
        hold: Asks for patience when an answer is late.
        on_action: Awaited when the agent has decided something, and its words were heard.
        on_unheard: Awaited when the caller spoke, and nobody gave a text of it.

    Raises:
        ConfigError: A provider cannot be built.
    """
    agent, reporter = stages.agent, stages.reporter
    stt = stages.stt(rate_in_hz, on_unheard)
    llm = stages.llm(rate_in_hz)
    llm.on_asked = partial(_ask, llm, hold, reporter)
    tts = stages.tts(wire.rate_hz, lambda: speaker.playout.backlog_ms)
    languages = LanguageSwitch(agent, reporter, stt=stt, llm=llm, tts=tts)
    context = LLMContext(tools=agent_tools(agent, languages))
    aggregators = _aggregators(agent, context)
    languages.connect(aggregators.user(), context)
    pipeline = Pipeline(
        [
            stt,
            CallerTap(
                reporter,
                lambda: stt.provider,
                noise_counts=noise_counts(agent.turns),
                language=lambda: stt.language,
                on_final=languages.heard,
            ),
            aggregators.user(),
            TurnTap(reporter),
            llm,
            AnswerCutter(reporter, hold),
            tts,
            CallOutput(
                speaker,
                reporter,
                wire=wire,
                provider=lambda: tts.provider,
                hold=hold,
                on_action=on_action,
                on_language=languages.took_effect,
            ),
            aggregators.assistant(),
        ]
    )
    return BuiltCall(pipeline, stt, context, aggregators.user(), llm, tts, languages)


def _ask(llm: LlmChain, hold: HoldKeeper, reporter: CallReporter) -> None:
    """The model was asked; one in this process answers at once, or has nothing to say."""
    if llm.remote:
        hold.begin(reporter.caller_silent_since)


def _aggregators(agent: AgentConfig, context: LLMContext) -> LLMContextAggregatorPair:
    """Both sides' halves of the conversation."""
    return LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            user_turn_strategies=turn_strategies(agent.turns),
            user_mute_strategies=mute_strategies(agent.turns),
            user_idle_timeout=agent.turns.no_input_seconds,
            user_turn_stop_timeout=MAX_TURN_WAIT_SECONDS,
            empty_user_turn=None,
        ),
    )
