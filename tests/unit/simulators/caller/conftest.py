"""What the tests of simulated callers share."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.simulators.caller.app import App


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """A scripted application that says nothing by itself."""
    async with App() as running:
        yield running
