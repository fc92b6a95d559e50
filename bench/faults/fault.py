"""What a vendor does wrong, and what must then be heard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from simulators.behaviour import WELL_BEHAVED, Behaviour

#: ``call``: before the call. ``speech``: in the middle of the caller's question.
When = Literal["call", "speech"]
#: What is heard of the answer: ``answer``, whole and once; ``apology``; ``either``, where it is
#: the vendor's luck whether it is there again in time: any of these; ``prompt``: the caller is
#: asked again, since what was not understood may have been a noise.
Heard = Literal["answer", "apology", "either", "prompt"]

HANGS_MS: Final = 60_000.0
UNAVAILABLE: Final = Behaviour(refuse_status=503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a vendor does wrong.

    Attributes:
        row: Names it in the table.
        kinds: One of these must be recorded for the vendor; none: nothing need be.
        next: How its next connections are treated, one after the other.
        then: How those after them are.
        live: How those are that are open at that moment.
        reply: What is wrong with a chat model's replies.
        broken_replies: How many of them.
        when: When it begins.
        behind: What is heard where somebody stands behind the vendor.
        alone: What is heard where nobody does.
        limit_seconds: The longest silence that there may be, with somebody behind.
        heals: The vendor is well again for a second question, which must be answered.
    """

    row: str
    kinds: tuple[str, ...] = ()
    next: tuple[Behaviour, ...] = ()
    then: Behaviour = WELL_BEHAVED
    live: Behaviour | None = None
    reply: Mapping[str, Any] = field(default_factory=dict)
    broken_replies: int = 0
    when: When = "call"
    behind: Heard = "answer"
    alone: Heard = "apology"
    limit_seconds: float = 2.0
    heals: bool = False


#: How a vendor's being away is recorded, or its breaking off; the first who notices says it.
AWAY: Final = ("server", "dropped", "error", "rate_limit")
DROPPED: Final = ("dropped", "server", "error", "stalled", "no_result")


def refusals(auth_status: int = 401) -> list[Fault]:
    """What any vendor may say at its door."""
    return [
        Fault(
            row=f"{auth_status}",
            kinds=("auth", "server"),
            then=Behaviour(refuse_status=auth_status),
        ),
        Fault(
            row="429, for a minute",
            kinds=("rate_limit",),
            then=Behaviour(refuse_status=429, retry_after_seconds=60),
        ),
        Fault(row="503", kinds=AWAY, then=UNAVAILABLE),
    ]


BACK: Final = Fault(
    row="503, and well again for the next question", kinds=AWAY, then=UNAVAILABLE, heals=True
)
