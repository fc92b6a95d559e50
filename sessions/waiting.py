"""The calls that could not be stored yet: when each is tried again, and how long it has waited.

While the store is away, one call after the other is tried, with pauses that grow, however many
wait; the first success brings all forward. No step looks at all that wait but that one.
"""

import random
import time
from collections import Counter
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from pathlib import Path
from typing import Literal

from loguru import logger

#: After so many failures in a row the store is taken to be away.
OUTAGE_FAILURES = 4
#: Places of calls that are gone which a queue may hold, besides as many as there are calls.
_SLACK = 100
_LONG_AGO_SECONDS = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait between tries.

    Attributes:
        first_seconds: Before the second try; each further pause is twice as long.
        longest_seconds: Pauses grow no longer than this. Half as much is added or taken by
            chance, so that calls that failed together do not come back together.
    """

    first_seconds: float = 2.0
    longest_seconds: float = 60.0

    def pause(self, tries: int) -> float:
        """Seconds to wait after so many tries."""
        pause = min(self.first_seconds * 2.0 ** min(tries, 20), self.longest_seconds)
        return pause * random.uniform(0.5, 1.5)


@dataclass(frozen=True, slots=True)
class Lock:
    """Why a call cannot be read by this process.

    Attributes:
        kind: Sealed with a key that is not known, or written by a newer version of the server.
        name: Of the key, or the number of the form.
    """

    kind: Literal["key", "version"]
    name: str


@dataclass(slots=True)
class _Waiting:
    """One call.

    Attributes:
        since: When it began to wait (monotonic), before the start of this process where it was
            left by an earlier one.
        stamp: Of its only valid place in a queue; 0 while it is worked on, or cannot be.
        failed_at: When it failed last (monotonic).
        lock: Why this process cannot read it; None where it can.
    """

    since: float
    stamp: int = 0
    tries: int = 0
    failed_at: float = 0.0
    lock: Lock | None = None


class _Queue:
    """Calls in the order of a time; those that have been put elsewhere since are passed over."""

    def __init__(self, calls: dict[Path, _Waiting]) -> None:
        self._calls = calls
        self._heap: list[tuple[float, Path, int]] = []

    def put(self, at: float, stamp: int, folder: Path) -> None:
        heappush(self._heap, (at, folder, stamp))
        if len(self._heap) > _SLACK + 2 * len(self._calls):
            valid = [place for place in self._heap if self._is_valid(place[2], place[1])]
            heapify(valid)
            self._heap = valid

    def clear(self) -> None:
        """Nobody waits: every place is one that is passed over."""
        self._heap.clear()

    def first(self) -> tuple[float, Path] | None:
        """The time of the first, and which it is."""
        while self._heap:
            at, folder, stamp = self._heap[0]
            if self._is_valid(stamp, folder):
                return at, folder
            heappop(self._heap)
        return None

    def _is_valid(self, stamp: int, folder: Path) -> bool:
        item = self._calls.get(folder)
        return item is not None and item.stamp == stamp


class WaitingCalls:
    """Who waits, oldest first.

    Args:
        backoff: Pauses between tries.
        alert_seconds: Once the oldest has waited for so long, the log says so, again after each
            further time of that length.
    """

    def __init__(self, backoff: Backoff, alert_seconds: float) -> None:
        self._backoff = backoff
        self._alert_seconds = alert_seconds
        self._calls: dict[Path, _Waiting] = {}
        self._stamps = count(1)
        #: Whose turn it is, by age and by their last try; who waits for the store; who fails
        #: while others are stored.
        self._ripe = _Queue(self._calls)
        self._rested = _Queue(self._calls)
        self._later = _Queue(self._calls)
        self._alone = _Queue(self._calls)
        self._ages: list[tuple[float, Path]] = []
        self._locks: Counter[Lock] = Counter()
        self._failures = 0
        self._gate = float("-inf")
        self._stored_at = float("-inf")
        self._alert_at = float("-inf")

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, folder: Path) -> bool:
        return folder in self._calls

    @property
    def is_outage(self) -> bool:
        """Nothing was stored lately, however often it was tried: one try at a time is enough."""
        return self._failures >= OUTAGE_FAILURES

    @property
    def unknown_keys(self) -> dict[str, int]:
        """Names of keys that nobody has here, and how many calls are sealed with each."""
        return self._locked("key")

    @property
    def unknown_versions(self) -> dict[str, int]:
        """Forms of journals that are too new to be read here, and how many calls have them."""
        return self._locked("version")

    def found(self, folder: Path, ended_at: float) -> None:
        """A journal that nobody finishes: it is due at once.

        Args:
            ended_at: Wall clock of its last sound.
        """
        if folder not in self._calls:
            # A clock that was set back makes nobody younger than now.
            since = time.monotonic() - max(0.0, time.time() - ended_at)
            self._put_ripe(folder, self._item(folder, since))

    def take(self) -> Path | None:
        """The oldest whose turn it is, which is worked on from now on; None where there is none.

        While nothing can be stored it is the one whose last try is the longest ago: the oldest
        may be the one that will never be stored.
        """
        now = time.monotonic()
        if now < self._gate:
            return None
        self._ripen(now)
        if (first := (self._rested if self.is_outage else self._ripe).first()) is None:
            return None
        self.began(first[1])
        return first[1]

    def began(self, folder: Path) -> None:
        """It is worked on, whether it waited or not."""
        if (item := self._calls.get(folder)) is not None:
            item.stamp = 0

    def failed(self, folder: Path, error: object, began: float, *, store: bool = True) -> None:
        """Try it again later.

        Args:
            error: Why, for the log.
            began: When the try began (monotonic).
            store: The store has failed, not something of this call's own.
        """
        now = time.monotonic()
        item = self._item(folder, now)
        self._unlock(item, folder)
        # Stored while it failed, or between two failures of its own: that others are is no
        # news to it.
        others = self._stored_at > began or (
            item.tries > 0 and self._stored_at > item.failed_at and not self.is_outage
        )
        self._put(
            self._alone if others else self._later,
            now + self._backoff.pause(item.tries),
            folder,
            item,
        )
        # The first failure is news, the hundredth is not.
        level = "DEBUG" if item.tries else "WARNING"
        item.tries += 1
        item.failed_at = now
        if store:
            self._failures += 1
            if self.is_outage:
                self._gate = now + self._backoff.pause(self._failures - OUTAGE_FAILURES)
        logger.log(level, "call {} waits to be stored: {}", folder.name, error)

    def locked(self, folder: Path, error: object, lock: Lock) -> None:
        """This process cannot read it: it waits for another start."""
        now = time.monotonic()
        item = self._item(folder, now)
        self._unlock(item, folder)
        item.stamp, item.lock = 0, lock
        self._locks[lock] += 1
        logger.warning("call {} waits for its {}: {}", folder.name, lock.kind, error)

    def stored(self, folder: Path) -> None:
        """It is safe: the store works, so that those who waited for it are due."""
        self.gone(folder)
        self._stored_at = time.monotonic()
        self._failures, self._gate = 0, float("-inf")
        while (first := self._later.first()) is not None:
            item = self._calls[first[1]]
            item.tries = 0
            self._put_ripe(first[1], item)

    def gone(self, folder: Path) -> None:
        """There is nothing of it to be stored."""
        if (item := self._calls.pop(folder, None)) is None:
            return
        self._unlock(item, folder)
        if not self._calls:  # As many places as waited at most would stay until the next outage.
            for queue in (self._ripe, self._rested, self._later, self._alone):
                queue.clear()
            self._ages.clear()

    def next_due(self) -> float | None:
        """When the next is due that is not being worked on (monotonic)."""
        now = time.monotonic()
        if self._ripe.first() is not None:
            return max(now, self._gate)
        firsts = [first for queue in (self._later, self._alone) if (first := queue.first())]
        return max(min(firsts)[0], self._gate) if firsts else None

    def oldest_seconds(self) -> float:
        """How long the first has waited; 0 where nobody waits who can be read."""
        while self._ages:
            since, folder = self._ages[0]
            item = self._calls.get(folder)
            if item is not None and item.since == since and item.lock is None:
                return time.monotonic() - since
            heappop(self._ages)
        return 0.0

    def watch(self) -> None:
        """Say in the log that the oldest has waited too long; to be called now and then."""
        oldest, now = self.oldest_seconds(), time.monotonic()
        if oldest < self._alert_seconds or now < self._alert_at:
            return
        self._alert_at = now + self._alert_seconds
        logger.error(
            "ALERT: {} calls wait to be stored, the oldest for {:.0f} s: is the store away?",
            *(len(self._calls), oldest),
        )

    def _item(self, folder: Path, since: float) -> _Waiting:
        item = self._calls.get(folder)
        if item is None:
            item = self._calls[folder] = _Waiting(since)
            self._age(item, folder)
        return item

    def _age(self, item: _Waiting, folder: Path) -> None:
        heappush(self._ages, (item.since, folder))
        if len(self._ages) > _SLACK + 2 * len(self._calls):
            self._ages = [(it.since, at) for at, it in self._calls.items() if it.lock is None]
            heapify(self._ages)

    def _put(self, queue: _Queue, at: float, folder: Path, item: _Waiting) -> None:
        item.stamp = next(self._stamps)
        queue.put(at, item.stamp, folder)

    def _put_ripe(self, folder: Path, item: _Waiting) -> None:
        self._put(self._ripe, item.since, folder, item)
        # Those that were never tried come before all others, oldest first.
        rested_since = item.failed_at or item.since - _LONG_AGO_SECONDS
        self._rested.put(rested_since, item.stamp, folder)

    def _ripen(self, now: float) -> None:
        for queue in (self._later, self._alone):
            while (first := queue.first()) is not None and first[0] <= now:
                self._put_ripe(first[1], self._calls[first[1]])

    def _locked(self, kind: str) -> dict[str, int]:
        return {lock.name: number for lock, number in self._locks.items() if lock.kind == kind}

    def _unlock(self, item: _Waiting, folder: Path) -> None:
        """It can be read by now, or is no longer asked for."""
        if (lock := item.lock) is None:
            return
        item.lock = None
        self._locks[lock] -= 1
        if not self._locks[lock]:
            del self._locks[lock]
        self._age(item, folder)
