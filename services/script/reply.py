"""What a dialogue answers."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    """Hand the call to a person; ``target`` None means the agent's own."""

    target: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to say and do next.

    Attributes:
        text: To be spoken; empty where only ``end`` or ``transfer`` is left to do.
        state: State the dialogue is now in.
        intent: Name of the intent that was understood, or ``key:1``; None otherwise.
        end: End the call once ``text`` was heard.
        transfer: Hand the call over once ``text`` was heard.
        wait_for_digits: How many keys may come at most before the dialogue goes on; 0 where
            the keypad does nothing, 1 in a menu.
    """

    text: str
    state: str
    intent: str | None = None
    end: bool = False
    transfer: TransferRequest | None = None
    wait_for_digits: int = 0


@dataclass(slots=True)
class Turn:
    """What one input leads to, while it is being worked out.

    Attributes:
        parts: Texts to speak, in order.
        captured: Variables that the caller's words filled.
        remember: Whether ``repeat`` should say this again later.
        hops: States entered so far, against circles.
    """

    parts: list[str] = field(default_factory=list)
    captured: dict[str, str] = field(default_factory=dict)
    intent: str | None = None
    end: bool = False
    transfer: TransferRequest | None = None
    remember: bool = True
    hops: int = 0

    @property
    def is_final(self) -> bool:
        """Whether the call ends or is handed over."""
        return self.end or self.transfer is not None
