"""The server is killed at random moments of calls; the long form is ``make soak``."""

from pathlib import Path

import pytest

from tests.integration.short_soak import short_soak


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
async def test_kills_lose_nothing_but_the_last_moment(tmp_path: Path, sealed: bool) -> None:
    """One record, recording and transcript for each answered call, and all told to the backend."""
    _, seen = await short_soak(tmp_path, kills=5, sealed=sealed)
    course, books = seen.course, seen.books
    assert course.faults["SIGKILL"] == 5 and sum(course.live_at_kills) > 0
    assert books.found >= books.expected > 0
    # Who hung up in the moment of the kill is measured too, whichever of the two came first.
    ended_well = books.causes["caller_hangup"]
    assert 0 < books.crashed <= len(books.lost_caller_ms) <= books.crashed + ended_well
    assert books.duplicates == 0
