"""The calls that could not be stored yet: when each is tried again, and how long it has waited."""

import random
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from loguru import logger


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


@dataclass(slots=True)
class _Waiting:
    """One call.

    Attributes:
        since: When it began to wait (monotonic), before the start of this process where it was
            left by an earlier one.
        due: When it is tried next (monotonic).
        own_fault: Others were stored while it failed: that the store works is no news to it.
    """

    since: float
    due: float
    tries: int = 0
    own_fault: bool = False


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
        self._stored_at = float("-inf")
        self._alert_at = float("-inf")

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, folder: Path) -> bool:
        return folder in self._calls

    def found(self, folder: Path, ended_at: float) -> None:
        """A journal that nobody finishes: it is due at once.

        Args:
            ended_at: Wall clock of its last sound.
        """
        now = time.monotonic()
        # A clock that was set back makes nobody younger than now.
        since = now - max(0.0, time.time() - ended_at)
        self._calls.setdefault(folder, _Waiting(since=since, due=now))

    def failed(self, folder: Path, error: object, began: float) -> None:
        """Try it again later.

        Args:
            error: Why, for the log.
            began: When the try began (monotonic).
        """
        now = time.monotonic()
        item = self._calls.setdefault(folder, _Waiting(since=now, due=now))
        item.due = now + self._backoff.pause(item.tries)
        item.tries += 1
        item.own_fault = self._stored_at > began
        # The first failure is news, the hundredth is not.
        level = "WARNING" if item.tries == 1 else "DEBUG"
        logger.log(level, "call {} waits to be stored: {}", folder.name, error)

    def stored(self, folder: Path) -> None:
        """It is safe: the store works, so that those who waited for it are due."""
        self._calls.pop(folder, None)
        self._stored_at = now = time.monotonic()
        for item in self._calls.values():
            if not item.own_fault:
                item.due = min(item.due, now)
                item.tries = 0

    def gone(self, folder: Path) -> None:
        """There is nothing of it to be stored."""
        self._calls.pop(folder, None)

    def due(self) -> list[Path]:
        """Whose turn it is now, oldest first."""
        now = time.monotonic()
        ripe = [(item.since, folder) for folder, item in self._calls.items() if item.due <= now]
        return [folder for _, folder in sorted(ripe)]

    def next_due(self, working: Collection[Path]) -> float | None:
        """When the next is due that is not being worked on (monotonic)."""
        times = [item.due for folder, item in self._calls.items() if folder not in working]
        return min(times, default=None)

    def oldest_seconds(self) -> float:
        """How long the first has waited; 0 where nobody waits."""
        since = min((item.since for item in self._calls.values()), default=None)
        return 0.0 if since is None else time.monotonic() - since

    def watch(self) -> None:
        """Say in the log that the oldest has waited too long; to be called now and then."""
        oldest, now = self.oldest_seconds(), time.monotonic()
        if oldest < self._alert_seconds or now < self._alert_at:
            return
        self._alert_at = now + self._alert_seconds
        logger.error(
            "{} calls wait to be stored, the oldest for {:.0f} s: is the store away?",
            *(len(self._calls), oldest),
        )
