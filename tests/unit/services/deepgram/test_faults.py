"""Whatever goes wrong with Deepgram is told once, at once and with its cause."""

import aiohttp
import pytest
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory

from bot.chains.failures import failure_of
from services.connections import sockets
from services.deepgram.stt import http_clients
from simulators.behaviour import Behaviour
from simulators.deepgram import DeepgramSimulator
from tests.unit.services.calls import Line, context, on_the_line
from tests.unit.services.deepgram.services import BUILDERS, work

#: Deepgram's SDK 7.17 imports names that websockets has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")
everyone = pytest.mark.parametrize("name", BUILDERS)


async def first_error(line: Line, name: str, *, with_work: bool = True) -> ErrorFrame:
    if with_work:
        await work(line, name)
    return await line.first(ErrorFrame)


@everyone
@pytest.mark.parametrize(
    ("status", "category"),
    [
        (400, ErrorCategory.INVALID_REQUEST),
        (401, ErrorCategory.AUTHENTICATION),
        (429, ErrorCategory.RATE_LIMIT),
        (503, ErrorCategory.SERVER),
    ],
)
async def test_a_refused_handshake(
    http: aiohttp.ClientSession, key: str, name: str, status: int, category: ErrorCategory
) -> None:
    refusing = Behaviour(refuse_status=status, retry_after_seconds=7)
    async with DeepgramSimulator(behaviour=refusing) as simulator:
        service = BUILDERS[name](context(http, simulator.base_url, key=key))
        async with on_the_line(service) as line:
            error = await first_error(line, name, with_work=False)
        assert len(simulator.connections) == 1
    assert error.category is category
    failure = failure_of(error)
    assert failure is not None
    assert failure.retry_after_seconds == 7
    assert key not in error.error
    await http_clients.close()


@everyone
async def test_nobody_listens_there(
    http: aiohttp.ClientSession, key: str, name: str, closed_port: int
) -> None:
    gone = DeepgramSimulator(port=closed_port).base_url
    async with on_the_line(BUILDERS[name](context(http, gone, key=key))) as line:
        error = await first_error(line, name, with_work=False)
    assert error.category is ErrorCategory.CONNECTIVITY
    await http_clients.close()


@everyone
async def test_a_handshake_that_hangs(
    http: aiohttp.ClientSession, key: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "CONNECT_SECONDS", 0.1)
    async with DeepgramSimulator(behaviour=Behaviour(accept_delay_ms=60_000)) as simulator:
        service = BUILDERS[name](context(http, simulator.base_url, key=key))
        async with on_the_line(service) as line:
            error = await first_error(line, name, with_work=False)
    assert error.category is ErrorCategory.CONNECTIVITY
    await http_clients.close()


@everyone
@pytest.mark.parametrize(
    ("behaviour", "category"),
    [
        (Behaviour(drop_after_bytes=3_000), ErrorCategory.CONNECTIVITY),
        (Behaviour(drop_after_bytes=3_000, drop_code=1011), ErrorCategory.SERVER),
        (Behaviour(drop_after_bytes=3_000, drop_code=1000), ErrorCategory.CONNECTIVITY),
        (Behaviour(error_after_bytes=1_500), ErrorCategory.SERVER),
    ],
    ids=["torn", "1011", "1000", "error"],
)
async def test_the_connection_ends_in_mid_call(
    http: aiohttp.ClientSession,
    key: str,
    name: str,
    behaviour: Behaviour,
    category: ErrorCategory,
) -> None:
    async with DeepgramSimulator(behaviour=behaviour) as simulator:
        service = BUILDERS[name](context(http, simulator.base_url, key=key))
        async with on_the_line(service, cancel=True) as line:
            error = await first_error(line, name)
            assert len(simulator.connections) == 1
    assert error.category is category
    await http_clients.close()


@everyone
async def test_garbage(http: aiohttp.ClientSession, key: str, name: str) -> None:
    async with DeepgramSimulator(behaviour=Behaviour(garbage_frames=1)) as simulator:
        service = BUILDERS[name](context(http, simulator.base_url, key=key))
        async with on_the_line(service, cancel=True) as line:
            error = await first_error(line, name)
            assert len(simulator.connections) == 1
    assert error.category in (ErrorCategory.SERVER, ErrorCategory.CONNECTIVITY)
    await http_clients.close()
