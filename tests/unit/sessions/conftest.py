"""What the tests of sessions share: the day on which their calls are stored."""

from datetime import UTC, datetime

import pytest

from tests.unit.sessions.journals import STARTED_AT


@pytest.fixture(autouse=True)
def stored_on_their_own_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the tests run: the days to be deleted on are counted from it."""
    day = datetime.fromtimestamp(STARTED_AT, UTC).date()
    monkeypatch.setattr("sessions.record._today", lambda: day)
