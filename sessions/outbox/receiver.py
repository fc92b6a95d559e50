"""What a receiver of reports is to the rest: what it wants to hear, and how it is told."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sessions.keeper import StoredCall
from sessions.outbox.report import Report
from sessions.outbox.told import CallEnd, ToldCall


class Draft(NamedTuple):
    """A report and its step, such as ``1-created``; the digit keeps a call's reports in order."""

    step: str
    report: Report


class Receiver(Protocol):
    """Somebody who is told of calls.

    Attributes:
        name: For log lines; holds no secret.
        kind: For metrics: ``backend`` or ``webhook``.
        folder: Name of its folder.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def folder(self) -> str: ...

    def started(self, call: ToldCall) -> Sequence[Draft]:
        """What to say when a call begins."""
        ...

    def ended(self, call: ToldCall, end: CallEnd) -> Sequence[Draft]:
        """What to say when it has ended."""
        ...

    def stored(self, call: ToldCall, end: CallEnd, stored: StoredCall) -> Sequence[Draft]:
        """What to say when its parts are safe."""
        ...

    def busy(self, call: ToldCall) -> Sequence[Draft]:
        """What to say of a call for which there was no line."""
        ...

    async def deliver(self, report: Report) -> None:
        """Make one try.

        Raises:
            DeliveryError: It was not taken.
        """
        ...
