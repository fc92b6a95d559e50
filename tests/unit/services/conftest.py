"""What the tests of the vendors share.

Importing Pipecat warns of what it deprecates itself; that is let pass.
"""

import secrets
import socket
import warnings
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import pipecat.services.tts_service
    import pipecat.tests.utils  # noqa: F401


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client session that every connection of must be returned to."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens; it is taken, so that nobody else can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def key() -> str:
    """A key made for this test."""
    return secrets.token_hex(16)
