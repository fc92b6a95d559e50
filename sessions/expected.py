"""Calls that a carrier has announced by webhook and whose media stream is still to come."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from sessions.facts import CallFacts

MAX_EXPECTED = 10_000
EXPIRES_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """What the answer webhook told; the stream itself carries no numbers (vobiz.md 4.1).

    Attributes:
        agent_id: Whom the webhook chose.
        from_number: E.164, None where hidden.
        to_number: E.164.
    """

    call_id: str
    agent_id: str
    from_number: str | None
    to_number: str | None
    direction: Literal["inbound", "outbound"]

    def facts(self, stream_id: str | None = None) -> CallFacts:
        """The same, as a session wants it."""
        return CallFacts(
            direction=self.direction,
            carrier_call_id=self.call_id,
            carrier_stream_id=stream_id,
            from_number=self.from_number,
            to_number=self.to_number,
        )


class ExpectedCalls:
    """Remembers announced calls for a while, a bounded number of them."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[float, ExpectedCall]] = OrderedDict()

    def announce(self, call: ExpectedCall) -> None:
        """Remember a call; a second announcement replaces the first."""
        now = asyncio.get_running_loop().time()
        self._calls[call.call_id] = (now, call)
        self._calls.move_to_end(call.call_id)
        while self._calls:
            oldest_id, (since, _) = next(iter(self._calls.items()))
            if len(self._calls) <= MAX_EXPECTED and now - since < EXPIRES_SECONDS:
                break
            del self._calls[oldest_id]

    def find(self, call_id: str | None) -> ExpectedCall | None:
        """What was announced for a carrier's call id. One call may open several streams."""
        found = self._calls.get(call_id) if call_id is not None else None
        return found[1] if found is not None else None
