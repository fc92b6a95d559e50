"""Who is let in: by free lines, by whether the server keeps up, and by room on the disk."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from config.errors import AdmissionError
from sessions import metrics
from sessions.facts import Direction

RefusalReason = Literal[
    "draining", "server_full", "inbound_reserve", "loop_late", "frames_late", "disk_full"
]

#: When to come again, in seconds: a line becomes free sooner than another server.
RETRY_AFTER_SECONDS = 5

_MESSAGES: dict[RefusalReason, str] = {
    "draining": "the server is shutting down and takes no new calls",
    "server_full": "all lines are busy; try again later",
    "inbound_reserve": "the lines that are left are kept for incoming calls; try again later",
    "loop_late": "the server is at its limit; try again in a few seconds",
    "frames_late": "the server is at its limit; try again in a few seconds",
    "disk_full": "the server has no room to record calls; try again later",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """How many calls there may be.

    Attributes:
        most: Calls at once.
        inbound_reserve: Of these, lines that outbound calls and client programs never get.
    """

    most: int
    inbound_reserve: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """The lines as they are now.

    Attributes:
        live: Calls that are served.
        promised: Calls that were answered and whose stream is still to come.
    """

    live: int
    promised: int


class Admission:
    """Says yes or no at every door; nothing that is served already is ever touched.

    Args:
        lines: How many calls there may be.
        trouble: What keeps the server from serving one more call well: ``loop_late``,
            ``frames_late``, ``disk_full``, or None.
    """

    def __init__(self, lines: Lines, trouble: Callable[[], RefusalReason | None]) -> None:
        self._lines = lines
        self._trouble = trouble
        self.draining = False

    def refusal(self, now: Occupancy, direction: Direction) -> RefusalReason | None:
        """Why a new call would be refused; None where it is welcome."""
        if self.draining:
            return "draining"
        taken = now.live + now.promised
        if taken >= self._lines.most:
            return "server_full"
        if direction != "inbound" and taken >= self._lines.most - self._lines.inbound_reserve:
            return "inbound_reserve"
        return self._trouble()

    def refusal_of_promised(self, now: Occupancy) -> RefusalReason | None:
        """The same for a call that was told to come; only a lack of lines turns it away."""
        return "server_full" if now.live >= self._lines.most else None

    def refusal_of_unknown(self, now: Occupancy) -> RefusalReason | None:
        """The same for a socket that has not said yet who it is."""
        if now.promised:
            return self.refusal_of_promised(now)
        return self.refusal(now, "inbound")


def count_refusal(reason: RefusalReason) -> None:
    """Count a call that was turned away, at whichever door."""
    metrics.ADMISSION_REFUSED.labels(reason).inc()


def refused(reason: RefusalReason) -> AdmissionError:
    """The error for a refusal, counted; its code is one that client programs know."""
    count_refusal(reason)
    code = "draining" if reason == "draining" else "server_full"
    return AdmissionError(code, refusal_message(reason))


def refusal_message(reason: RefusalReason) -> str:
    """A refusal for a person."""
    return _MESSAGES[reason]
