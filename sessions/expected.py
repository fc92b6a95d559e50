"""Calls that a carrier has announced by webhook and whose media stream is still to come."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from config.agent import AgentConfig
from sessions.facts import CallFacts

MAX_EXPECTED = 10_000
EXPIRES_SECONDS = 600.0
#: A stream that has not begun by then never will; the call is recorded as one that did not start.
NO_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """What the answer webhook told; the stream itself carries no numbers (vobiz.md 4.1).

    Attributes:
        agent: Whom the webhook chose.
        from_number: E.164, None where hidden.
        to_number: E.164.
    """

    call_id: str
    agent: AgentConfig
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


@dataclass(slots=True)
class _Announced:
    call: ExpectedCall
    since: float
    timer: asyncio.TimerHandle | None = None
    started: bool = False


class ExpectedCalls:
    """Remembers announced calls for a while, a bounded number of them.

    Args:
        on_no_start: Told, once, of a call that was answered and whose stream never began.
        no_start_seconds: How long a stream may take.
    """

    def __init__(
        self,
        on_no_start: Callable[[ExpectedCall], None],
        *,
        no_start_seconds: float = NO_START_SECONDS,
    ) -> None:
        self._on_no_start = on_no_start
        self._no_start_seconds = no_start_seconds
        self._calls: OrderedDict[str, _Announced] = OrderedDict()
        self._waiting: set[str] = set()

    def announce(self, call: ExpectedCall) -> None:
        """Remember a call; a second announcement replaces the first."""
        loop = asyncio.get_running_loop()
        before = self._calls.get(call.call_id)
        announced = _Announced(call, loop.time())
        if before is not None:
            self._cancel(before)
            announced.started = before.started
        if not announced.started:
            announced.timer = loop.call_later(self._no_start_seconds, self._missed, call.call_id)
            self._waiting.add(call.call_id)
        self._calls[call.call_id] = announced
        self._calls.move_to_end(call.call_id)
        self._forget_old(loop.time())

    @property
    def waiting(self) -> int:
        """How many calls were answered and have neither begun to stream nor been given up."""
        return len(self._waiting)

    def awaits(self, call_id: str) -> bool:
        """Whether a call was answered and its stream is still to come."""
        return call_id in self._waiting

    def find(self, call_id: str | None) -> ExpectedCall | None:
        """What was announced for a carrier's call id. One call may open several streams."""
        found = self._calls.get(call_id) if call_id is not None else None
        return found.call if found is not None else None

    def started(self, call_id: str | None) -> None:
        """The call's stream has begun."""
        found = self._calls.get(call_id) if call_id is not None else None
        if found is not None:
            found.started = True
            self._cancel(found)

    def hung_up(self, call_id: str) -> None:
        """The call is over; one that has not begun is missed now."""
        found = self._calls.get(call_id)
        if found is not None and found.timer is not None:
            self._cancel(found)
            self._missed(call_id)

    def close(self) -> None:
        """Wait for no stream any more: a call that was answered and has none is missed now."""
        for call_id in tuple(self._waiting):
            self._missed(call_id)
        for announced in self._calls.values():
            self._cancel(announced)
        self._calls.clear()

    def _missed(self, call_id: str) -> None:
        announced = self._calls.get(call_id)
        if announced is not None:
            self._cancel(announced)
            if not announced.started:
                self._on_no_start(announced.call)

    def _forget_old(self, now: float) -> None:
        while self._calls:
            oldest_id, oldest = next(iter(self._calls.items()))
            if len(self._calls) <= MAX_EXPECTED and now - oldest.since < EXPIRES_SECONDS:
                break
            self._cancel(oldest)
            del self._calls[oldest_id]

    def _cancel(self, announced: _Announced) -> None:
        self._waiting.discard(announced.call.call_id)
        if announced.timer is not None:
            announced.timer.cancel()
            announced.timer = None
