"""What the tests of the simulated vendors share."""

import secrets
from collections.abc import AsyncIterator

import aiohttp
import pytest


@pytest.fixture
def key() -> str:
    """A key made for this test."""
    return secrets.token_hex(16)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client."""
    async with aiohttp.ClientSession() as session:
        yield session
