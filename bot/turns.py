"""When the caller has begun, interrupted or finished: the strategies of one call.

The stock strategies do the work; what is added here is that speech which the recogniser heard
but did not understand ends a turn too, so that the agent can ask again, and that a turn waits
for what has to be heard once more because a recogniser failed.
"""

from pipecat.frames.frames import Frame
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_mute import AlwaysUserMuteStrategy
from pipecat.turns.user_mute.base_user_mute_strategy import BaseUserMuteStrategy
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    MinWordsUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from bot.chains.frames import HearingBehindFrame, HearingCaughtUpFrame
from bot.vad import VadParams
from config.agent_call import TurnsConfig
from services.offline.frames import UnrecognizedSpeechFrame

#: Silence after which voice activity says that speech has ended. Pipecat's table of STT
#: latencies (``services/stt_latency.py``) assumes these 200 ms.
VAD_STOP_MS = 200
VAD_START_MS = 160


class CallerTurnStop(SpeechTimeoutUserTurnStopStrategy):
    """Ends a turn after silence and a transcript, or after speech that nobody understood.

    While a part of what the caller said has still to be heard, by a recogniser in another's
    place, the turn does not end.
    """

    _behind = False

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Watch one frame of the caller's side."""
        if isinstance(frame, HearingBehindFrame):
            self._behind = True
        elif isinstance(frame, HearingCaughtUpFrame):
            self._behind = False
            await self._maybe_trigger_user_turn_stopped()
        if isinstance(frame, UnrecognizedSpeechFrame) and not self._text:
            await self.trigger_user_turn_stopped()
            return ProcessFrameResult.CONTINUE
        result: ProcessFrameResult = await super().process_frame(frame)
        return result

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        if not self._behind:
            await super()._maybe_trigger_user_turn_stopped()  # type: ignore[no-untyped-call]


def vad_params() -> VadParams:
    """Voice activity thresholds for telephone speech."""
    return VadParams(start_ms=VAD_START_MS, stop_ms=VAD_STOP_MS)


def turn_strategies(turns: TurnsConfig) -> UserTurnStrategies:
    """Start and stop strategies for what the operator asked."""
    interrupt = turns.interruptions
    start: list[BaseUserTurnStartStrategy]
    if turns.interruption_min_words > 1:
        start = [
            MinWordsUserTurnStartStrategy(
                min_words=turns.interruption_min_words, enable_interruptions=interrupt
            )
        ]
    else:
        start = [
            VADUserTurnStartStrategy(enable_interruptions=interrupt),
            TranscriptionUserTurnStartStrategy(enable_interruptions=interrupt),
        ]
    patience_seconds = max(0, turns.end_of_speech_ms - VAD_STOP_MS) / 1000
    return UserTurnStrategies(
        start=start, stop=[CallerTurnStop(user_speech_timeout=patience_seconds)]
    )


def mute_strategies(turns: TurnsConfig) -> list[BaseUserMuteStrategy]:
    """With interruptions off, nothing the caller says while the agent speaks counts."""
    return [] if turns.interruptions else [AlwaysUserMuteStrategy()]


def noise_counts(turns: TurnsConfig) -> bool:
    """Whether speech that nobody understood counts while the agent speaks.

    It does where any voice cuts the agent off: then somebody has to answer it.
    """
    return turns.interruptions and turns.interruption_min_words == 1
