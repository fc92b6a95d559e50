"""What an agent decides beside talking, as a frame that the bot acts on."""

from dataclasses import dataclass
from typing import Literal

from pipecat.frames.frames import ControlFrame

CallAction = Literal["end", "transfer"]


@dataclass
class CallActionFrame(ControlFrame):
    """End the call or hand it over, once everything before this frame was heard.

    It follows the words of its answer in order, behind ``LLMFullResponseEndFrame``. Like them
    it is dropped when the caller interrupts: who speaks over a farewell wants to go on.

    Attributes:
        action: ``end`` or ``transfer``.
        target: Where to hand the call: a name from the agent's ``call.transfer_to``, or a
            number; None leaves it to the agent's setting.
        reason: For the call record; never spoken.
    """

    action: CallAction
    target: str | None = None
    reason: str | None = None
