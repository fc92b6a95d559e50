"""What goes wrong on purpose, the same way for every vendor; shown on Deepgram's."""

import asyncio
import json
from urllib.parse import urlencode

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulators.behaviour import Behaviour
from simulators.deepgram import DeepgramSimulator
from tests.unit.simulators.vendors.receiving import one
from tests.unit.simulators.vendors.sound import packets, silence, speech

QUERY = urlencode(
    {"model": "nova-3", "language": "hi", "encoding": "linear16", "sample_rate": "8000"}
)
TURN = packets(speech(400) + silence(300))


def listen(simulator: DeepgramSimulator, key: str) -> connect:
    """Connect."""
    headers = {"Authorization": f"Token {key}"}
    url = f"{simulator.ws_url}/v1/listen?{QUERY}"
    return connect(url, additional_headers=headers, proxy=None, close_timeout=0.1)


async def test_a_refusal_carries_retry_after_and_only_meets_the_connections_named(
    key: str,
) -> None:
    async with DeepgramSimulator() as simulator:
        simulator.behave(Behaviour(refuse_status=429, retry_after_seconds=3), on=[0, 2])
        for index in range(4):
            if index in (0, 2):
                with pytest.raises(InvalidStatus) as refused:
                    await listen(simulator, key)
                assert refused.value.response.status_code == 429
                assert refused.value.response.headers["Retry-After"] == "3"
            else:
                async with listen(simulator, key):
                    pass
        assert len(simulator.connections) == 4
        assert simulator.violations == []


async def test_the_next_connections_and_then_the_default(key: str) -> None:
    async with DeepgramSimulator() as simulator:
        async with listen(simulator, key):
            pass
        simulator.behave_next(Behaviour(refuse_status=500))
        simulator.behave(Behaviour(refuse_status=503))
        for status in (500, 503, 503):
            with pytest.raises(InvalidStatus) as refused:
                await listen(simulator, key)
            assert refused.value.response.status_code == status
        simulator.behave(Behaviour())
        async with listen(simulator, key):
            pass


async def test_a_path_can_have_a_behaviour_of_its_own(key: str) -> None:
    async with DeepgramSimulator() as simulator:
        simulator.behave(Behaviour(refuse_status=500), path="/v1/listen")
        with pytest.raises(InvalidStatus):
            await listen(simulator, key)


async def test_accepting_can_take_longer_than_the_client_waits(key: str) -> None:
    async with DeepgramSimulator(behaviour=Behaviour(accept_delay_ms=60_000)) as simulator:

        async def connecting() -> ClientConnection:
            return await listen(simulator, key)

        waits = asyncio.create_task(connecting())
        await simulator.until(lambda: len(simulator.connections) == 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await waits
        await simulator.until(simulator.connections[0].ended.is_set)


async def say(client: ClientConnection) -> None:
    """A turn; the connection works to its end."""
    for packet in TURN:
        await client.send(packet)
    await (await client.ping())


async def hears_nothing(client: ClientConnection) -> bool:
    """Whether a turn brings no result."""
    await say(client)
    try:
        async with asyncio.timeout(0.05):
            await client.recv()
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize(
    ("behaviour", "is_late"),
    [
        (Behaviour(), False),
        (Behaviour(first_result_delay_ms=60_000), True),
        (Behaviour(speed=0.001), True),
        (Behaviour(speed=1000.0), False),
    ],
)
async def test_results_can_be_late(key: str, behaviour: Behaviour, is_late: bool) -> None:
    async with (
        DeepgramSimulator(behaviour=behaviour) as simulator,
        listen(simulator, key) as client,
    ):
        if is_late:
            assert await hears_nothing(client)
        else:
            await say(client)
            assert json.loads(await one(client))["type"] == "Results"


async def test_the_first_result_can_come_after_garbage(key: str) -> None:
    behaviour = Behaviour(first_result_delay_ms=1, garbage_frames=3)
    async with DeepgramSimulator(behaviour=behaviour) as simulator:
        async with listen(simulator, key) as client:
            for packet in TURN:
                await client.send(packet)
            frames = [await one(client) for _ in range(4)]
        with pytest.raises(ValueError):
            json.loads(frames[0])
        assert isinstance(frames[1], bytes)
        assert json.loads(frames[3])["type"] == "Results"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Behaviour(drop_after_ms=0), 1006),
        (Behaviour(drop_after_ms=20), 1006),
        (Behaviour(drop_after_bytes=1), 1006),
        (Behaviour(drop_after_ms=20, drop_code=1011, drop_reason="NET-0000"), 1011),
    ],
)
async def test_a_drop_is_torn_or_has_a_code(key: str, behaviour: Behaviour, code: int) -> None:
    async with DeepgramSimulator(behaviour=behaviour) as simulator:
        async with listen(simulator, key) as client:
            with pytest.raises(ConnectionClosed):
                await client.send(TURN[0])
                await one(client)
            assert client.close_code == code
        await simulator.until(simulator.connections[0].ended.is_set)
        assert simulator.connections[0].close_code == code


async def test_a_stall_goes_on_hearing_and_says_nothing(key: str) -> None:
    async with (
        DeepgramSimulator(behaviour=Behaviour(stall_after_bytes=320)) as simulator,
        listen(simulator, key) as client,
    ):
        assert await hears_nothing(client)
        assert simulator.connections[0].audio_bytes == sum(map(len, TURN))


async def test_half_open_answers_no_ping_and_takes_no_audio(key: str) -> None:
    async with (
        DeepgramSimulator(behaviour=Behaviour(half_open_after_ms=0)) as simulator,
        listen(simulator, key) as client,
    ):
        pong = await client.ping()
        await client.send(TURN[0])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pong
        assert simulator.connections[0].audio_bytes == 0
        assert not simulator.connections[0].ended.is_set()


async def test_a_connection_that_is_open_can_change(key: str) -> None:
    async with DeepgramSimulator() as simulator, listen(simulator, key) as client:
        for packet in TURN:
            await client.send(packet)
        assert json.loads(await one(client))["type"] == "Results"
        simulator.behave(Behaviour(drop_after_bytes=320), on=0)
        await client.send(TURN[0])
        with pytest.raises(ConnectionClosed):
            await one(client)


async def test_an_error_message_can_come_in_the_vendors_own_shape(key: str) -> None:
    async with (
        DeepgramSimulator(behaviour=Behaviour(error_after_bytes=320)) as simulator,
        listen(simulator, key) as client,
    ):
        await client.send(TURN[0])
        assert json.loads(await one(client))["type"] == "Error"


async def test_stopping_tears_what_is_open(key: str) -> None:
    simulator = DeepgramSimulator()
    await simulator.start()
    client = await listen(simulator, key)
    await simulator.stop()
    with pytest.raises(ConnectionClosed):
        await one(client)


async def test_everything_received_is_kept(key: str) -> None:
    async with DeepgramSimulator() as simulator:
        async with listen(simulator, key) as client:
            await client.send('{"type":"KeepAlive"}')
            await client.send(TURN[0])
            await simulator.until(lambda: simulator.connections[0].audio_bytes > 0)
        request = simulator.requests[0]
        assert (request.method, request.path) == ("GET", "/v1/listen")
        assert request.headers["authorization"] == f"Token {key}"
        assert ("model", "nova-3") in request.query
        assert simulator.connections[0].messages == ['{"type":"KeepAlive"}']
        assert simulator.connections[0].audio == TURN[0]


async def test_another_process_can_look_and_change(key: str, http: aiohttp.ClientSession) -> None:
    async with DeepgramSimulator() as simulator:
        order = {"behaviour": {"refuse_status": 503}, "on": 0}
        url = f"{simulator.base_url}/-/behaviour"
        async with http.post(url, json=order) as response:
            assert response.status == 200
        async with http.post(url, json={"behaviour": {"colour": 1}}) as response:
            assert response.status == 422
        with pytest.raises(InvalidStatus):
            await listen(simulator, key)
        async with http.get(f"{simulator.base_url}/-/state") as response:
            state = await response.json()
        assert (state["vendor"], state["connections"]) == ("deepgram", 1)


@pytest.mark.parametrize("wrong", [{"speed": 0.0}, {"refuse_status": 200}])
def test_what_no_vendor_could_do_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Behaviour(**wrong)  # type: ignore[arg-type]
