"""The mark in the stream of frames behind which everything is in another language."""

from dataclasses import dataclass, field

from pipecat.frames.frames import ControlFrame


@dataclass
class LanguageSwitchFrame(ControlFrame):
    """What follows is in another language; what stands before it is spoken in the old one.

    It outlives interruptions: a caller who speaks over the old language still gets the new one.

    Attributes:
        language: Our code.
        reason: Why, for the record: ``tool``, ``key``, ``api`` or ``speech``.
        asked_at: Loop time of the request.
    """

    language: str
    reason: str
    asked_at: float
    interruptible: bool = field(default=False, init=False)
