"""Who is next: an agent's chain for one stage, and who of it may be given work now."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from bot.chains.failures import Failure
from services.breakers import Breaker, BreakerBoard
from services.candidates import Candidate

Clock = Callable[[], float]

#: A vendor that failed in this call is not tried again by it for so long.
PENALTY_SECONDS = 10.0
#: A vendor that gave far too much so often in this call is not tried again by it.
MAX_FLOODS = 3


class Lineup:
    """The candidates of one stage of one call, best first.

    Args:
        candidates: In the operator's order; at least one.
        breakers: The process's.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, candidates: Sequence[Candidate], breakers: BreakerBoard, clock: Clock
    ) -> None:
        self._candidates = tuple(candidates)
        self._breakers = breakers
        self._clock = clock
        self._dead: set[Candidate] = set()
        self._penalty_until: dict[Candidate, float] = {}
        self._floods: Counter[Candidate] = Counter()

    def for_others(self, candidates: Sequence[Candidate]) -> "Lineup":
        """Other candidates of the same stage and call; what is known of each is shared."""
        other = Lineup(candidates, self._breakers, self._clock)
        other._dead, other._penalty_until = self._dead, self._penalty_until
        other._floods = self._floods
        return other

    def __contains__(self, candidate: object) -> bool:
        """Whether this one may serve."""
        return candidate in self._candidates

    @property
    def preferred(self) -> Candidate:
        """Who serves while nothing is wrong."""
        return self._candidates[0]

    def pick(self, tried: Collection[Candidate] = ()) -> Candidate | None:
        """Who should be tried next, or None when nobody is left.

        Who is known to be in trouble comes after who is not; who refuses the key or the
        request is not tried twice in a call.

        Args:
            tried: Who has been tried for the same piece of work.
        """
        left = [c for c in self._candidates if c not in tried and c not in self._dead]
        return next(filter(self.fit, left), left[0] if left else None)

    @property
    def hopeless(self) -> bool:
        """Whether nobody can serve, however often they are tried."""
        return self._dead.issuperset(self._candidates)

    def has_other(self, tried: Collection[Candidate]) -> bool:
        """Whether somebody is left besides those tried."""
        return self.pick(tried) is not None

    def fit(self, candidate: Candidate) -> bool:
        """Whether nothing speaks against giving ``candidate`` work now."""
        return (
            candidate not in self._dead
            and self._clock() >= self._penalty_until.get(candidate, 0.0)
            and self._breaker(candidate).allows()
        )

    def better_than(self, current: Candidate) -> Candidate | None:
        """Who stands before ``current`` and is fit again, or None.

        Anybody is better than who has no place here, as after a change of the language.
        """
        ahead = self._candidates
        if current in ahead:
            ahead = ahead[: ahead.index(current)]
        return next(filter(self.fit, ahead), None)

    def begin(self, candidate: Candidate) -> None:
        """``candidate`` is given work."""
        self._breaker(candidate).begin()

    def succeeded(self, candidate: Candidate) -> None:
        """``candidate`` did its work."""
        self._penalty_until.pop(candidate, None)
        self._breaker(candidate).succeeded()

    def failed(self, candidate: Candidate, failure: Failure) -> None:
        """``candidate`` failed."""
        self._floods[candidate] += failure.kind == "flood"
        if failure.permanent or self._floods[candidate] >= MAX_FLOODS:
            self._dead.add(candidate)
        wait = max(PENALTY_SECONDS, failure.retry_after_seconds)
        self._penalty_until[candidate] = self._clock() + wait
        if failure.kind != "config":
            self._breaker(candidate).failed(
                failure.kind,
                rejected=failure.permanent,
                retry_after_seconds=failure.retry_after_seconds,
            )

    def _breaker(self, candidate: Candidate) -> Breaker:
        return self._breakers.of(candidate.kind, candidate.provider, candidate.account)
