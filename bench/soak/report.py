"""The report of a soak, as markdown."""

import math
from collections.abc import Sequence

from bench.soak.books import Books
from bench.soak.calls import PlacedCall
from bench.soak.storms import Course, SoakPlan
from bench.soak.watch import Watch

_MOST_LISTED = 40


def report(
    header: str,
    plan: SoakPlan,
    course: Course,
    books: Books,
    placed: Sequence[PlacedCall],
    watch: Watch,
) -> str:
    """All that was seen."""
    refused = sum(bool(call.refused) for call in placed)
    gaps = [gap for call in placed for gap in call.gaps_ms if call.killed_at_ms is None]
    waited = course.caught_up_seconds
    rows = [
        ("calls placed", len(placed)),
        ("not answered (the server was full, or dead)", refused),
        ("faults", ", ".join(f"{n} × {kind}" for kind, n in course.faults.items()) or "none"),
        ("calls live when their server was killed", sum(course.live_at_kills)),
        ("records expected, found", f"{books.expected}, {books.found}"),
        ("of which with the cause `crash`", books.crashed),
        ("recordings, transcripts", f"{books.recordings}, {books.transcripts}"),
        ("files whose hash is that of their record", books.hashes_equal),
        ("duplicates", books.duplicates),
        (
            "calls that waited for the store, away for",
            f"{course.waited_for_store}, {course.away_minutes:.1f} min",
        ),
        ("all stored after its return", "-" if waited is None else f"{waited:.1f} s"),
        ("worst loop lag, at most", f"{watch.worst_lag_seconds * 1000:.0f} ms"),
        (
            "gaps in the agent's speech, longest",
            f"{len(gaps)}, {max(gaps, default=0.0):.0f} ms",
        ),
        ("status after SIGTERM", course.exit_status),
        *(
            (f"{name}, first and last quarter", f"{first:.0f}, {last:.0f}")
            for name, (first, last) in watch.growth().items()
        ),
    ]
    lost = [
        ("caller, per kill", books.lost_caller_ms),
        ("agent, per kill", books.lost_agent_ms),
        ("caller, calls not killed", books.missing_ms),
    ]
    wrong = [*course.wrong, *books.wrong]
    lines = [
        "# Soak",
        f"\n{header}\n\nSeed {plan.seed}.\n",
        "| what | seen |",
        "|---|---|",
        *(f"| {what} | {seen} |" for what, seen in rows),
        "\n| sound lost, ms | calls | p50 | p95 | max |",
        "|---|---:|---:|---:|---:|",
        *(f"| {leg} | {spread(values)} |" for leg, values in lost),
        "",
        "**Nothing was lost.**" if not wrong else f"**{len(wrong)} things are wrong:**\n",
        *(f"- {each}" for each in wrong[:_MOST_LISTED]),
    ]
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Count, median, 95th percentile and maximum, as cells."""
    if not values:
        return "0 | - | - | -"
    ordered = sorted(values)

    def rank(share: float) -> str:
        return f"{ordered[max(0, math.ceil(share * len(ordered)) - 1)]:.0f}"

    return f"{len(ordered)} | {rank(0.5)} | {rank(0.95)} | {ordered[-1]:.0f}"
