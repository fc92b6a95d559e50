"""``make soak`` in short: odd callers amid faults, then an end in the middle of calls."""

from pathlib import Path

from tests.integration.short_soak import short_soak


async def test_faults_and_odd_callers_lose_nothing(tmp_path: Path) -> None:
    text, seen = await short_soak(tmp_path, at_once=8, minutes=0.1, drains=1)
    odd = sum(times for kind, times in seen.course.faults.items() if kind.startswith("caller "))
    around = sum(seen.course.faults.values()) - odd
    assert odd > 0 and around > 1
    assert seen.books.found >= seen.books.expected > 4
    assert seen.told.listed == seen.books.found
    assert seen.told.reports >= 3 * seen.books.found
    assert "**Nothing was lost.**" in text
