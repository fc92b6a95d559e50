"""Calls that a carrier has announced by webhook and whose media stream is still to come."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from sessions import metrics
from sessions.facts import CallFacts
from sessions.journal_format import JournalHeader

MAX_EXPECTED = 10_000
EXPIRES_SECONDS = 600.0
#: A stream that has not begun by then never will; the call is recorded as one that did not start.
NO_START_SECONDS = 30.0
#: A call that a dead process answered may come to the new one, however long that took to start.
LEAST_SECONDS = 5.0
#: A caller may hang up while the stream opens: its first message, or its agent, is on the way.
OPENING_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """What the answer webhook told; the stream itself carries no numbers (vobiz.md 4.1).

    Attributes:
        header: Of its journal, should it never begin; its session id is the call's either way.
        cause: Of its end then: ``crash`` where the process that answered it is dead.
        hangup: What the carrier has told of the call's end, None before it has.
    """

    header: JournalHeader
    cause: Literal["no_start", "crash"] = "no_start"
    hangup: str | None = None

    @property
    def call_id(self) -> str:
        """The carrier's."""
        return self.header.carrier_call_id or ""

    @property
    def agent_id(self) -> str:
        """Whom the webhook chose."""
        return self.header.agent_id

    def facts(self, stream_id: str | None = None) -> CallFacts:
        """The same, as a session wants it."""
        return CallFacts(
            direction=self.header.direction,
            carrier_call_id=self.call_id,
            carrier_stream_id=stream_id,
            from_number=self.header.from_number,
            to_number=self.header.to_number,
        )

    def known_as(self, earlier: "ExpectedCall") -> "ExpectedCall":
        """The same under the id, and with the beginning, that it was given earlier."""
        known = earlier.header
        header = msgspec.structs.replace(
            self.header, session_id=known.session_id, started_at=known.started_at
        )
        return replace(self, header=header, hangup=earlier.hangup)


@dataclass(slots=True)
class _Announced:
    call: ExpectedCall
    since: float
    timer: asyncio.TimerHandle | None = None
    started: bool = False


def seconds_left(header: JournalHeader) -> float:
    """How long the stream of a call may still take that a dead process answered."""
    gone = time.time() - header.started_at
    return min(max(NO_START_SECONDS - gone, LEAST_SECONDS), NO_START_SECONDS)


class ExpectedCalls:
    """Remembers announced calls for a while, a bounded number of them.

    Args:
        on_no_start: Told, once, of a call that was answered and whose stream never began.
            It is also told of one that more than ``MAX_EXPECTED`` calls have pushed out.
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

    def announce(self, call: ExpectedCall, *, within_seconds: float | None = None) -> ExpectedCall:
        """Remember a call; a second announcement replaces the first, and keeps its session id.

        Args:
            within_seconds: How long this one's stream may take, where that differs.

        Returns:
            The call as it is remembered.
        """
        loop = asyncio.get_running_loop()
        before = self._calls.get(call.call_id)
        if before is not None and before.timer is not None:
            call = call.known_as(before.call)
        announced = _Announced(call, loop.time())
        if before is not None:
            self._cancel(before)
            announced.started = before.started
        if not announced.started:
            seconds = self._no_start_seconds if within_seconds is None else within_seconds
            announced.timer = loop.call_later(seconds, self._missed, call.call_id)
            self._waiting.add(call.call_id)
        self._calls[call.call_id] = announced
        self._calls.move_to_end(call.call_id)
        self._forget_old(loop.time())
        return call

    @property
    def waiting(self) -> int:
        """How many calls were answered and have neither begun to stream nor been given up."""
        return len(self._waiting)

    def awaits(self, call_id: str) -> bool:
        """Whether a call was answered and its stream is still to come."""
        return call_id in self._waiting

    def is_promised(self, call_id: str | None) -> bool:
        """Whether the stream of a call may still begin it.

        That is so, too, of one that was hung up while its stream opens, and which holds no line.
        """
        found = self._calls.get(call_id) if call_id is not None else None
        return found is not None and found.timer is not None

    def find(self, call_id: str | None) -> ExpectedCall | None:
        """What was announced for a carrier's call id. One call may open several streams."""
        found = self._calls.get(call_id) if call_id is not None else None
        return found.call if found is not None else None

    def started(self, call_id: str | None) -> ExpectedCall | None:
        """The call's stream has begun.

        Returns:
            The call where this is its first stream and comes in time.
        """
        found = self._calls.get(call_id) if call_id is not None else None
        if found is None:
            return None
        in_time = found.timer is not None
        found.started = True
        self._cancel(found)
        return found.call if in_time else None

    def hung_up(self, call_id: str, detail: str) -> bool:
        """The carrier says that a call is over, and how.

        One that has not begun holds no line any more. It is missed after ``OPENING_SECONDS``:
        until then its stream may turn out to be open.

        Returns:
            Whether it was waited for; then ``hangup`` is kept with the call.
        """
        found = self._calls.get(call_id)
        if found is None or found.timer is None:
            return False
        self._waiting.discard(call_id)
        if found.call.hangup is None:
            found.call = replace(found.call, hangup=detail)
            found.timer.cancel()
            loop = asyncio.get_running_loop()
            due = min(found.timer.when(), loop.time() + OPENING_SECONDS)
            found.timer = loop.call_at(due, self._missed, call_id)
        return True

    def close(self) -> None:
        """Wait for no stream any more: a call that was answered and has none is missed now."""
        for call_id in tuple(self._calls):
            self._missed(call_id)
        self._calls.clear()

    def _missed(self, call_id: str) -> None:
        announced = self._calls.get(call_id)
        if announced is not None and announced.timer is not None:
            self._cancel(announced)
            self._on_no_start(announced.call)

    def _forget_old(self, now: float) -> None:
        while self._calls:
            oldest_id, oldest = next(iter(self._calls.items()))
            if len(self._calls) <= MAX_EXPECTED and now - oldest.since < EXPIRES_SECONDS:
                break
            if not oldest.started and now - oldest.since < EXPIRES_SECONDS:
                metrics.dropped("announced")
            self._missed(oldest_id)
            del self._calls[oldest_id]

    def _cancel(self, announced: _Announced) -> None:
        self._waiting.discard(announced.call.call_id)
        if announced.timer is not None:
            announced.timer.cancel()
            announced.timer = None
