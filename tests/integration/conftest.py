"""Fixtures of tests that place real calls."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulators.speech import Speech
from tests.integration.server import BRISK_AGENT, RunningServer, running_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    """A server with the keyless test agent."""
    async with running_server(tmp_path, {"brisk": BRISK_AGENT}, {"DEFAULT_AGENT": "brisk"}) as it:
        yield it


@pytest.fixture(scope="session")
def speech() -> Speech:
    """The callers' voices, rendered once for all tests."""
    return Speech()
