"""In which order, when and for how long vendors are tried while nobody hears the caller."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bot.chains.failures import Failure
from bot.chains.lineup import Clock, Lineup
from services.candidates import Candidate

#: When the same vendor is tried again, in seconds after its failure.
RETRY_AT_SECONDS: Final = (0.0, 0.25, 0.5)
#: When the next vendor has its turn at the latest.
NEXT_VENDOR_SECONDS: Final = 2.0
#: Once everybody was tried, how long it goes on; and how long in any case.
ALL_TRIED_SECONDS: Final = 4.0
GIVE_UP_SECONDS: Final = 6.0
#: Between two rounds through those that are left.
ROUND_SECONDS: Final = 0.5
#: No connection is tried for less.
MIN_WITHIN_SECONDS: Final = 0.2

#: What a new connection to the same vendor may well mend.
_MENDABLE: Final = frozenset({"dropped", "error", "server"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try.

    Attributes:
        candidate: Who.
        wait_seconds: To be waited first.
        within_seconds: How long it may take.
    """

    candidate: Candidate
    wait_seconds: float
    within_seconds: float


class Reopening:
    """Plans the tries after one failure, or for the first connection of a call.

    A vendor that was lost is tried again three times within half a second, and the next one
    follows, after two seconds at the latest; one that asks to be left alone for a moment is,
    if the moment is short enough. Whoever refuses the key or the request is not tried again.

    Args:
        lineup: Who may serve.
        clock: Seconds, monotonic.
        connect_seconds: How long a vendor may take.
        jitter: A random number from 0 to 1.
    """

    def __init__(
        self,
        lineup: Lineup,
        clock: Clock,
        connect_seconds: float,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._lineup = lineup
        self._clock = clock
        self._connect_seconds = connect_seconds
        self._jitter = jitter
        self._began: float | None = None
        self._home: Candidate | None = None
        self._failure: Failure | None = None
        self._retries = 0
        self._tried: set[Candidate] = set()
        self._not_before: dict[Candidate, float] = {}

    def failed(self, candidate: Candidate, failure: Failure) -> None:
        """A vendor failed: the one in use, or one that was tried."""
        if self._began is None:
            self._began = self._clock()
            self._home = candidate
        self._tried.add(candidate)
        if candidate == self._home:
            self._failure = failure
        if failure.retry_after_seconds:
            pause = failure.retry_after_seconds * (1 + self._jitter() / 4)
            self._not_before[candidate] = self._clock() + pause

    def next(self) -> Attempt | None:
        """The next try, or None when it is time to give up."""
        if self._began is None:
            first = self._lineup.pick()
            return None if first is None else Attempt(first, 0.0, self._connect_seconds)
        elapsed = self._clock() - self._began
        other = self._lineup.pick(self._tried)
        if self._prefers_other(other):
            self._retries = len(RETRY_AT_SECONDS)
        elif (again := self._same_again(elapsed, other is not None)) is not None:
            return again
        if other is not None:
            return self._attempt(other, 0.0, elapsed, GIVE_UP_SECONDS)
        return self._another_round(elapsed)

    def _prefers_other(self, other: Candidate | None) -> bool:
        """Who gave no text gets another chance only if nobody else is known to be well."""
        silent = self._failure is not None and self._failure.kind == "no_result"
        return silent and other is not None and self._lineup.fit(other)

    def _same_again(self, elapsed: float, has_other: bool) -> Attempt | None:
        """The vendor that failed first, once more."""
        home, failure = self._home, self._failure
        assert home is not None and failure is not None
        limit = NEXT_VENDOR_SECONDS if has_other else GIVE_UP_SECONDS
        if self._retries >= len(RETRY_AT_SECONDS):
            return None
        if failure.kind == "rate_limit" and failure.retry_after_seconds:
            self._retries = len(RETRY_AT_SECONDS)
            wait = self._not_before[home] - self._clock()
        elif failure.kind in _MENDABLE:
            wait = RETRY_AT_SECONDS[self._retries] - elapsed
            self._retries += 1
        elif failure.kind == "no_result":
            self._retries = len(RETRY_AT_SECONDS)
            wait = 0.0
        else:
            return None
        return self._attempt(home, max(0.0, wait), elapsed, limit)

    def _another_round(self, elapsed: float) -> Attempt | None:
        if elapsed >= ALL_TRIED_SECONDS:
            return None
        latest = self._clock() + GIVE_UP_SECONDS - elapsed
        self._tried = {c for c, at in self._not_before.items() if at > latest}
        candidate = self._lineup.pick(self._tried)
        if candidate is None:
            return None
        wait = max(ROUND_SECONDS, self._not_before.get(candidate, 0.0) - self._clock())
        return self._attempt(candidate, wait, elapsed, GIVE_UP_SECONDS)

    def _attempt(
        self, candidate: Candidate, wait: float, elapsed: float, limit: float
    ) -> Attempt | None:
        within = min(self._connect_seconds, limit - elapsed - wait)
        if within < min(MIN_WITHIN_SECONDS, self._connect_seconds):
            return None
        return Attempt(candidate, wait, within)
