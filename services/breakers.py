"""Remembers which vendors fail, so that not every call has to find out by waiting.

A breaker is *closed* while its vendor works. Failures open it: new work then goes to the next
vendor of a chain. After a while it is *half open*: one call may probe; if that goes well it
closes, else it stays open for twice as long.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens, and for how long.

    Attributes:
        failures: How many within ``window_seconds`` open it.
        window_seconds: How long a failure counts.
        open_seconds: How long it stays open the first time.
        max_open_seconds: It stays open twice as long each time a probe fails, up to this.
        probe_seconds: A probe that has not told how it went by then is taken for lost.
        rejected_seconds: How long a vendor that refuses the key or the request is left alone.
    """

    failures: int = 2
    window_seconds: float = 30.0
    open_seconds: float = 10.0
    max_open_seconds: float = 120.0
    probe_seconds: float = 30.0
    rejected_seconds: float = 60.0


class Breaker:
    """What is known of one account with one vendor.

    Args:
        policy: When it opens.
        clock: Seconds, monotonic.
    """

    def __init__(self, policy: BreakerPolicy, clock: Clock = monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._failures: list[float] = []
        self._open_until: float | None = None
        self._open_seconds = policy.open_seconds
        self._probe_until: float | None = None
        self.last_failure: str | None = None

    @property
    def state(self) -> BreakerState:
        """Closed, open or half open."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half_open"

    def allows(self) -> bool:
        """Whether work may be given to the vendor now."""
        if self.state == "half_open":
            return self._probe_until is None or self._clock() >= self._probe_until
        return self.state == "closed"

    def begin(self) -> None:
        """Work is given to it; when half open this is the probe, and nobody else may."""
        if self.state == "half_open":
            self._probe_until = self._clock() + self._policy.probe_seconds

    def succeeded(self) -> None:
        """It did its work."""
        if self.state == "open":
            return  # Work that was begun before it failed for others.
        self._failures.clear()
        self._open_until = self._probe_until = self.last_failure = None
        self._open_seconds = self._policy.open_seconds

    def failed(
        self, kind: str, *, rejected: bool = False, retry_after_seconds: float = 0.0
    ) -> None:
        """It failed.

        Args:
            kind: How, for people.
            rejected: It refuses the key or the request: nothing changes by itself.
            retry_after_seconds: How long it asked to be left alone.
        """
        now = self._clock()
        was_probe = self.state == "half_open"
        self.last_failure = kind
        self._failures = [at for at in self._failures if now - at < self._policy.window_seconds]
        self._failures.append(now)
        open_seconds = 0.0
        if was_probe:
            self._open_seconds = min(2 * self._open_seconds, self._policy.max_open_seconds)
            open_seconds = self._open_seconds
        elif len(self._failures) >= self._policy.failures:
            open_seconds = self._open_seconds
        if rejected:
            open_seconds = max(open_seconds, self._policy.rejected_seconds)
        open_seconds = max(open_seconds, retry_after_seconds)
        if open_seconds:
            self._open_until = max(self._open_until or 0.0, now + open_seconds)
        self._probe_until = None


class BreakerBoard:
    """The breakers of a process: one for each stage, provider and account.

    Args:
        policy: For all of them.
        clock: Seconds, monotonic.
    """

    def __init__(self, policy: BreakerPolicy | None = None, clock: Clock = monotonic) -> None:
        self._policy = policy or BreakerPolicy()
        self._clock = clock
        self._breakers: dict[tuple[str, str, str], Breaker] = {}

    def of(self, kind: str, provider: str, account: str) -> Breaker:
        """The breaker of one account, made when first asked for."""
        key = (kind, provider, account)
        if key not in self._breakers:
            self._breakers[key] = Breaker(self._policy, self._clock)
        return self._breakers[key]

    def troubled(self) -> Iterator[tuple[str, str, Breaker]]:
        """Stage, provider and breaker of every account that is not closed."""
        for (kind, provider, _), breaker in self._breakers.items():
            if breaker.state != "closed":
                yield kind, provider, breaker
