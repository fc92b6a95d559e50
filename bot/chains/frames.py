"""What a chain tells the processors behind it, and lets its recognisers know."""

from dataclasses import dataclass, field
from typing import Final

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ControlFrame,
    InterruptionFrame,
    LLMContextAssistantTurnFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    SystemFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

#: What a recogniser may have use for, besides audio. The rest only passes by: an error of
#: another stage, for one, would be taken for its own.
FOR_RECOGNISERS: Final = (
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InterruptionFrame,
    LLMContextAssistantTurnFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
)


@dataclass
class HearingBehindFrame(SystemFrame):
    """The caller has said something that nobody has heard yet: their turn cannot end now."""


@dataclass
class HearingCaughtUpFrame(ControlFrame):
    """All that the caller has said was heard; stands behind its last text."""

    interruptible: bool = field(default=False, init=False)


@dataclass
class PieceCutFrame(ControlFrame):
    """Only a part of an announced sentence was spoken; the rest will be.

    Attributes:
        segment_id: Of the announcement.
        text: The part.
    """

    segment_id: int
    text: str
