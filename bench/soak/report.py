"""The report of a soak, as markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.soak.books import Books
from bench.soak.calls import PlacedCall
from bench.soak.figures import histogram, spread
from bench.soak.plan import Course, SoakPlan
from bench.soak.told import ToldBooks
from bench.soak.watch import Watch

_MOST_LISTED: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that a soak found."""

    plan: SoakPlan
    course: Course
    books: Books
    told: ToldBooks
    placed: Sequence[PlacedCall]
    watch: Watch

    @property
    def wrong(self) -> list[str]:
        """What should not be, in words."""
        return [*self.course.wrong, *self.books.wrong, *self.told.wrong]


def report(header: str, command: str, seen: Seen) -> str:
    """All that was seen.

    Args:
        header: What it was measured on.
        command: Does the same again.
    """
    books, wrong = seen.books, seen.wrong
    lost = [
        ("caller, per kill", books.lost_caller_ms),
        ("of it unread by the server", books.unread_ms),
        ("agent, per kill", books.lost_agent_ms),
        ("caller, server asked to end", books.stopped_ms),
        ("caller, calls not disturbed by an end of the server", books.missing_ms),
    ]
    lines = [
        "# Soak",
        f"\n{header}\n\nSeed {seen.plan.seed}. Again: `{command}`\n",
        "| what | seen |",
        "|---|---|",
        *(f"| {what} | {found} |" for what, found in _rows(seen)),
        "\n| fault | times |",
        "|---|---:|",
        *(f"| {kind} | {times} |" for kind, times in sorted(seen.course.faults.items())),
        "\n| end of a call | records |",
        "|---|---:|",
        *(f"| `{cause}` | {number} |" for cause, number in books.causes.most_common()),
        "\n| sound lost, ms | calls | p50 | p95 | p99 | max |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {leg} | {spread(values)} |" for leg, values in lost),
        "",
        *_histograms(books),
        "**Nothing was lost.**" if not wrong else f"**{len(wrong)} things are wrong:**\n",
        *(f"- {each}" for each in wrong[:_MOST_LISTED]),
        *(["\nWorth a look:\n"] if books.remarks else []),
        *(f"- {each}" for each in books.remarks[:_MOST_LISTED]),
    ]
    return "\n".join(lines)


def _rows(seen: Seen) -> list[tuple[str, object]]:
    course, books, told, placed = seen.course, seen.books, seen.told, seen.placed
    refused = sum(bool(call.refused) for call in placed)
    gaps = [gap for call in placed for gap in call.gaps_ms if call.killed_at_ms is None]
    statuses = ", ".join(f"{n} × {status}" for status, n in sorted(course.exit_statuses.items()))
    return [
        ("calls placed", len(placed)),
        ("not answered (the server was full, or dead)", refused),
        ("faults injected", sum(course.faults.values())),
        ("records expected, found", f"{books.expected}, {books.found}"),
        ("recordings, transcripts", f"{books.recordings}, {books.transcripts}"),
        ("files whose hash is that of their record", books.hashes_equal),
        ("duplicates", books.duplicates),
        ("calls live when the server was killed", sum(course.live_at_kills)),
        ("of which with the cause `crash`", books.crashed),
        ("calls live when it was asked to end", sum(course.live_at_drains)),
        ("calls that it ended with a farewell", books.farewells),
        ("status when asked to end", statuses),
        (
            "calls while the disk took nothing, of which say that sound is missing",
            f"{books.disk_failed}, {books.disk_incomplete}",
        ),
        ("told that there is no line, ms: calls, p50, p95, p99, max", _inline(course.told_ms)),
        (
            "calls that waited for the store, away for",
            f"{course.waited_for_store}, {course.away_minutes:.1f} min",
        ),
        (
            "all stored after its return",
            "-" if course.caught_up_seconds is None else f"{course.caught_up_seconds:.1f} s",
        ),
        (
            "reports that the backend took, came again under their key, of busy calls",
            f"{told.reports}, {told.repeated}, {told.busy}",
        ),
        ("calls in the list of calls", told.listed),
        ("worst loop lag, at most", f"{seen.watch.worst_lag_seconds * 1000:.0f} ms"),
        (
            "longest full garbage collection, at most",
            f"{seen.watch.longest_collection_seconds * 1000:.0f} ms",
        ),
        ("gaps in the agent's speech, longest", f"{len(gaps)}, {max(gaps, default=0.0):.0f} ms"),
        ("starts of the server, longest", _starts(course.start_seconds)),
        *(
            (f"{name}, first and last quarter", f"{first:.0f}, {last:.0f}")
            for name, (first, last) in seen.watch.growth().items()
        ),
    ]


def _inline(values: Sequence[float]) -> str:
    return spread(values).replace(" |", ",")


def _starts(seconds: Sequence[float]) -> str:
    return f"{len(seconds)}, {max(seconds, default=0.0):.1f} s"


def _histograms(books: Books) -> list[str]:
    """Sound lost in kills, in bins of 10 ms."""
    legs = (("caller", books.lost_caller_ms), ("agent", books.lost_agent_ms))
    lines: list[str] = []
    for leg, values in legs:
        if values:
            lines += [f"Of the {leg}'s sound, ms lost per kill and call:\n", "```"]
            lines += [*histogram(values), "```", ""]
    return lines
