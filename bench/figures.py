"""The figures of a run, and what follows from them: table, ratios, verdicts. No I/O."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

OURS: Final = "this server"
PLAIN: Final = "plain Pipecat bot"
ECHO: Final = "bare echo"

#: What is to hold at so many calls, with recording and journal on, all on two cores.
TARGET_CALLS: Final = 24
TARGET_CORES_PER_CALL: Final = 0.025
TARGET_MIB_PER_CALL: Final = 4.0
TARGET_GREETING_MS: Final = 100.0
MISSED: Final = "missed"
#: Share of the time without a core from which a run says so.
CROWDED: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one system did with so many calls at once. None: could not be measured.

    Attributes:
        response_p50_ms: From the last sample of speech sent to the first of the reply received.
        gaps: Breaks within replies, as the caller heard them.
        cores_per_call: CPU of the server process while all calls were live, by call.
        whole_cores_per_call: The same from before the first call until everything was stored,
            by second of call; short calls make it large.
        mib_per_call: Resident memory that each call added.
        steady: Whether all calls were live for the whole of the measured window.
        other_cores: CPU that simulators and callers used meanwhile, in all.
        waited: Share of that time for which the server could have run and had no core.
        caller_late_ms: How late the caller's own clock was at worst; gaps up to this may be
            its doing.
    """

    system: str
    calls: int
    completed: int
    turns: int
    unanswered: int
    response_p50_ms: float | None
    response_p95_ms: float | None
    gaps: int
    longest_gap_ms: float
    cores_per_call: float | None
    whole_cores_per_call: float | None
    mib_per_call: float | None
    steady: bool
    other_cores: float
    waited: float | None
    caller_late_ms: float
    violations: Mapping[str, int]
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Greeting:
    """When the first audio came after ``start``, with vendors that were slow to accept.

    Attributes:
        accept_ms: How long each vendor took to accept a connection.
        first_ms: For each call; None where nothing came.
    """

    system: str
    accept_ms: float
    calls: int
    p50_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, and whether it was met.

    Attributes:
        met: None where there is no figure.
    """

    what: str
    target: str
    found: str
    met: bool | None

    def line(self) -> str:
        """As it is printed."""
        word = MISSED if not self.met else "met"
        return f"- {self.what}: {self.found} (target {self.target}): {word}"


def figures_from(
    system: str,
    summary: Mapping[str, Any],
    *,
    cores: float,
    whole_cpu_seconds: float,
    mib_per_call: float | None,
    steady: bool,
    other_cores: float,
    waited: float | None,
) -> Figures:
    """Join a summary of the load generator with what the server cost.

    Args:
        summary: As ``simulators.caller.load`` prints it.
        cores: CPU of the server in the steady window.
        whole_cpu_seconds: CPU that the server spent on the run in all.
    """
    calls, call_seconds = summary["calls"], summary["call_seconds"]
    return Figures(
        system=system,
        calls=calls,
        completed=summary["completed"],
        turns=summary["turns"],
        unanswered=summary["unanswered"],
        response_p50_ms=summary["response_ms"]["p50"],
        response_p95_ms=summary["response_ms"]["p95"],
        gaps=summary["gaps"]["count"],
        longest_gap_ms=summary["gaps"]["longest_ms"],
        cores_per_call=cores / calls if steady else None,
        whole_cores_per_call=whole_cpu_seconds / call_seconds if call_seconds else None,
        mib_per_call=mib_per_call if steady else None,
        steady=steady,
        other_cores=other_cores,
        waited=waited,
        caller_late_ms=summary["caller_late_ms"],
        violations=summary["violations"],
        failures=summary["failures"],
    )


def added_mib_per_call(calls: int, live_mib: float, one_live_mib: float, idle_mib: float) -> float:
    """Memory by call.

    Args:
        calls: How many were live.
        live_mib: Resident with them.
        one_live_mib: Resident with one call live, in the same process, earlier.
        idle_mib: Resident before its first call.

    Returns:
        With one call: what the first call made the process take, models and all. With more:
        what each further one added.
    """
    if calls == 1:
        return live_mib - idle_mib
    return (live_mib - one_live_mib) / (calls - 1)


def ratio(value: float | None, base: float | None) -> float | None:
    """``value`` over ``base``; None where either is missing, or nothing can be said."""
    if value is None or base is None or base <= 0 or value < 0:
        return None
    return value / base


def percentile(values: Iterable[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing.

    >>> percentile([4, 1, 3, 2], 0.5)
    2
    """
    known = sorted(values)
    if not known:
        return None
    return known[max(0, math.ceil(share * len(known)) - 1)]


def table(rows: Sequence[Figures]) -> str:
    """All runs as a Markdown table, each with its ratios to the plain bot at as many calls."""
    plain = {row.calls: row for row in rows if row.system == PLAIN}
    head = (
        "| system | calls | answer p50 ms | p95 ms | gaps | longest ms | core/call | MiB/call "
        "| p50 ÷ plain | CPU ÷ plain | memory ÷ plain |"
    )
    lines = [head, "|---|" + "---:|" * 10]
    for row in sorted(rows, key=lambda row: row.calls):
        base = plain.get(row.calls)
        cells = [
            row.system,
            str(row.calls),
            _number(row.response_p50_ms, 0),
            _number(row.response_p95_ms, 0),
            str(row.gaps),
            _number(row.longest_gap_ms, 0),
            _number(row.cores_per_call, 4),
            _number(row.mib_per_call, 1),
            *(_times(each) for each in _ratios(row, base)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratios(row: Figures, base: Figures | None) -> tuple[float | None, ...]:
    if base is None:
        return (None, None, None)
    return (
        ratio(row.response_p50_ms, base.response_p50_ms),
        ratio(row.cores_per_call, base.cores_per_call),
        ratio(row.mib_per_call, base.mib_per_call),
    )


def notes(rows: Sequence[Figures]) -> list[str]:
    """What a reader of the table must know: what failed, and what may not be the server's."""
    found = []
    for row in rows:
        name = f"{row.system}, {row.calls} calls"
        if row.completed < row.calls:
            causes = "; ".join(f"{count} × {text}" for text, count in row.failures.items())
            found.append(f"- {name}: {row.calls - row.completed} calls failed: {causes}")
        if row.unanswered and row.system != ECHO:
            found.append(f"- {name}: {row.unanswered} of {row.turns} turns were not answered")
        if not row.steady:
            found.append(f"- {name}: not all calls were live while cost was measured: {MISSED}")
        if row.violations:
            worst = max(row.violations, key=lambda text: row.violations[text])
            found.append(
                f"- {name}: {sum(row.violations.values())} messages that the carrier does not "
                f"know, such as {worst!r}"
            )
        if row.waited is not None and row.waited > CROWDED:
            found.append(
                f"- {name}: ready to run but without a core for {row.waited * 100:.0f} % of the "
                "time; latencies and gaps are partly the machine's"
            )
        if row.gaps and row.caller_late_ms > row.longest_gap_ms / 2:
            found.append(
                f"- {name}: the callers' own clock was up to {row.caller_late_ms:.0f} ms late, "
                "so that some of the gaps may be theirs"
            )
    return found


def verdicts(rows: Sequence[Figures], greetings: Sequence[Greeting]) -> list[Verdict]:
    """The targets for this server, against the run with the most calls."""
    ours = [row for row in rows if row.system == OURS]
    found = []
    if ours:
        row = max(ours, key=lambda row: row.calls)
        at = f"at {row.calls} calls"
        failed = row.calls - row.completed
        found = [
            _at_most(f"core per call {at}", row.cores_per_call, TARGET_CORES_PER_CALL, 4),
            _at_most(f"MiB per call {at}", row.mib_per_call, TARGET_MIB_PER_CALL, 1),
            _at_most(f"gaps heard {at}", row.gaps, 0, 0),
            _at_most(f"calls failed, turns unanswered {at}", failed + row.unanswered, 0, 0),
        ]
    for greeting in greetings:
        if greeting.system == OURS:
            what = f"first greeting audio, ms, with vendors {greeting.accept_ms:.0f} ms away"
            found.append(_at_most(what, greeting.max_ms, TARGET_GREETING_MS, 0))
    return found


def greeting_lines(greetings: Sequence[Greeting]) -> list[str]:
    """What the greetings took, for every system that was asked."""
    return [
        f"- {each.system}: {_ms(each.p50_ms)} (worst {_ms(each.max_ms)}, {each.calls} calls)"
        for each in greetings
    ]


def report(header: str, rows: Sequence[Figures], greetings: Sequence[Greeting]) -> str:
    """Everything, as it is printed."""
    parts = [header, table(rows)]
    remarks = notes(rows)
    if remarks:
        parts.append("Notes:\n\n" + "\n".join(remarks))
    if greetings:
        parts.append(
            f"First audio after `start`, vendors taking {greetings[0].accept_ms:.0f} ms to accept "
            "a connection:\n\n" + "\n".join(greeting_lines(greetings))
        )
    judged = verdicts(rows, greetings)
    if judged:
        title = f"Targets of this server (set for {TARGET_CALLS} calls):"
        parts.append(title + "\n\n" + "\n".join(verdict.line() for verdict in judged))
    return "\n\n".join(parts)


def as_json(
    header: Mapping[str, Any], rows: Sequence[Figures], greetings: Sequence[Greeting]
) -> dict[str, Any]:
    """The same for programs."""
    return {
        "machine": dict(header),
        "runs": [asdict(row) for row in rows],
        "greetings": [asdict(each) for each in greetings],
        "verdicts": [asdict(verdict) for verdict in verdicts(rows, greetings)],
    }


def _at_most(what: str, value: float | None, limit: float, digits: int) -> Verdict:
    target = "none" if limit == 0 else f"{limit:g} or less"
    met = None if value is None else value <= limit
    return Verdict(what, target, _number(value, digits), met)


def _number(value: float | None, digits: int) -> str:
    return MISSED if value is None else f"{value:.{digits}f}"


def _ms(value: float | None) -> str:
    return MISSED if value is None else f"{value:.0f} ms"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
