"""What a chain tells the processors behind it."""

from dataclasses import dataclass, field

from pipecat.frames.frames import ControlFrame, SystemFrame


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
