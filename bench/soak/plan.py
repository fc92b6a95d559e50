"""How much of everything a soak does, and how it went."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """How much of everything.

    Attributes:
        calls: Short calls of the churn.
        at_once: The rated load: calls at the same time.
        minutes: Length of the rated load, with faults and odd callers all along.
        bursts: How often twice the rated load calls at once.
        drains: How often the server is asked to end, every third time twice.
        kills: How often the server is killed.
        kill_calls: Calls begun before each of these ends.
        away_calls: Calls that end while the store is away.
        away_minutes: How long it is away; the calls come at random moments of that time.
        away_seconds: Longest time that they may take to be stored when it is back.
        s3: The store is MinIO, not a folder.
        sealed: What waits on disk is encrypted (``JOURNAL_KEY``).
    """

    seed: int
    calls: int = 2000
    at_once: int = 20
    minutes: float = 30.0
    bursts: int = 10
    drains: int = 20
    kills: int = 200
    kill_calls: int = 4
    away_calls: int = 500
    away_minutes: float = 60.0
    away_seconds: float = 600.0
    s3: bool = True
    sealed: bool = False


@dataclass(slots=True)
class Course:
    """How it went.

    Attributes:
        faults: Injected, by kind.
        live_at_kills: Calls live at each kill; ``live_at_drains`` when the server was to end.
        told_ms: How long it took to tell callers that there is no line.
        away_minutes: How long the store was away for them who waited for it.
        caught_up_seconds: From the store's return until nothing waited; None where not tried.
        exit_statuses: Of each end that was asked for, by status.
        start_seconds: Of each start, until calls were taken.
    """

    faults: Counter[str] = field(default_factory=Counter)
    live_at_kills: list[int] = field(default_factory=list)
    live_at_drains: list[int] = field(default_factory=list)
    told_ms: list[float] = field(default_factory=list)
    caught_up_seconds: float | None = None
    waited_for_store: int = 0
    away_minutes: float = 0.0
    exit_statuses: Counter[int] = field(default_factory=Counter)
    start_seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
