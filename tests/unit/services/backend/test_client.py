"""The backend's client against its simulator: answers, refusals, tries, deadlines."""

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from config.errors import BackendError
from config.sections import BackendSettings
from services.backend import BackendClient, BackendTransport, connect_backend
from simulators.backend import BackendSimulator
from simulators.behaviour import Behaviour

ASKED = {"org_id": "org-1", "model": "OpenAI"}


def client(
    http: aiohttp.ClientSession,
    base_url: str,
    *,
    key: str = "service",
    attempt_seconds: float = 30.0,
    deadline_seconds: float = 60.0,
) -> BackendClient:
    """A client that hardly pauses between its tries."""
    transport = BackendTransport(
        http,
        base_url,
        SecretStr(key),
        attempt_seconds=attempt_seconds,
        deadline_seconds=deadline_seconds,
        first_pause_seconds=0.001,
    )
    return BackendClient(transport)


async def test_a_key_is_found_or_absent(http: aiohttp.ClientSession, key: str) -> None:
    keys = {"org-1": {"OpenAI": f" {key}\n", "Sarvam": ""}}
    async with BackendSimulator(keys=keys, api_key="service") as simulator:
        backend = client(http, simulator.base_url)
        found = await backend.api_key(**ASKED)
        assert found is not None and found.get_secret_value() == key
        assert await backend.api_key(org_id="org-2", model="OpenAI") is None
        assert await backend.api_key(org_id="org-1", model="Sarvam") is None
        assert simulator.violations == []
        assert key not in repr(found)


@pytest.mark.parametrize("ending", ["", "/", "/api/v1", "/api/v1/"])
async def test_the_address_may_name_the_prefix(
    ending: str, http: aiohttp.ClientSession, key: str
) -> None:
    async with BackendSimulator(keys={"org-1": {"OpenAI": key}}) as simulator:
        assert await client(http, simulator.base_url + ending).api_key(**ASKED) is not None


async def test_a_custom_llm(http: aiohttp.ClientSession, key: str) -> None:
    own = {"base_url": "http://llm.example/v1", "model": "own-7b"}
    llms = {"org-1": {"7": {**own, "api_key": key}, "8": own, "9": {**own, "base_url": "here"}}}
    async with BackendSimulator(custom_llms=llms) as simulator:
        backend = client(http, simulator.base_url)
        found = await backend.custom_llm(org_id="org-1", custom_llm_id="7")
        assert found is not None and found.api_key is not None
        assert (found.base_url, found.model) == (own["base_url"], "own-7b")
        keyless = await backend.custom_llm(org_id="org-1", custom_llm_id="8")
        assert keyless is not None and keyless.api_key is None
        assert await backend.custom_llm(org_id="org-1", custom_llm_id="6") is None
        with pytest.raises(BackendError) as caught:
            await backend.custom_llm(org_id="org-1", custom_llm_id="9")
        assert caught.value.code == "backend_answer"


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(refuse_status=500),
        Behaviour(refuse_status=503, retry_after_seconds=1),
        Behaviour(refuse_status=429),
        Behaviour(drop_after_ms=0),
    ],
    ids=["500", "503", "429", "dropped"],
)
async def test_what_may_pass_is_tried_again(
    behaviour: Behaviour, http: aiohttp.ClientSession, key: str
) -> None:
    async with BackendSimulator(keys={"org-1": {"OpenAI": key}}) as simulator:
        simulator.behave_next(behaviour, behaviour)
        assert await client(http, simulator.base_url).api_key(**ASKED) is not None
        assert len(simulator.connections) == 3


@pytest.mark.parametrize(
    ("behaviour", "code", "tries"),
    [
        (Behaviour(refuse_status=500), "backend_failed", 3),
        (Behaviour(refuse_status=503), "backend_busy", 3),
        (Behaviour(refuse_status=403), "backend_auth", 1),
        (Behaviour(refuse_status=422), "backend_refused", 1),
        (Behaviour(refuse_status=302), "backend_refused", 1),
        (Behaviour(drop_after_ms=0), "backend_unreachable", 3),
        (Behaviour(garbage_frames=1), "backend_answer", 1),
        (Behaviour(empty=True), "backend_answer", 1),
    ],
)
async def test_what_does_not_pass_has_a_code(
    behaviour: Behaviour, code: str, tries: int, http: aiohttp.ClientSession, key: str
) -> None:
    async with BackendSimulator(keys={"org-1": {"OpenAI": key}}) as simulator:
        simulator.behave(behaviour)
        with pytest.raises(BackendError) as caught:
            await client(http, simulator.base_url).api_key(**ASKED)
        assert caught.value.code == code
        assert len(simulator.connections) == tries
        assert key not in caught.value.message and "service" not in caught.value.message


async def test_a_wrong_key_is_refused_once(http: aiohttp.ClientSession) -> None:
    async with BackendSimulator(api_key="service") as simulator:
        with pytest.raises(BackendError, match="INTERNAL_API_KEY") as caught:
            await client(http, simulator.base_url, key="other").api_key(**ASKED)
        assert (caught.value.code, caught.value.status) == ("backend_auth", 401)
        assert len(simulator.connections) == 1


@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(stall_after_ms=0), Behaviour(half_open_after_ms=0), Behaviour(accept_delay_ms=6e4)],
    ids=["stalled", "half open", "slow"],
)
async def test_one_that_does_not_answer_is_given_up(behaviour: Behaviour) -> None:
    # Counted where they begin: one may be given up before the simulator has seen it.
    tries: list[str] = []

    async def note(
        _session: object, _context: object, begun: aiohttp.TraceRequestStartParams
    ) -> None:
        tries.append(begun.url.path)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    async with (
        BackendSimulator(behaviour=behaviour) as simulator,
        aiohttp.ClientSession(trace_configs=[trace]) as http,
    ):
        each = client(http, simulator.base_url, attempt_seconds=0.05, deadline_seconds=60)
        with pytest.raises(BackendError) as caught:
            await each.api_key(**ASKED)
        assert caught.value.code == "backend_timeout"
        assert len(tries) == 3
        whole = client(http, simulator.base_url, attempt_seconds=60, deadline_seconds=0.05)
        with pytest.raises(BackendError) as caught:
            await whole.api_key(**ASKED)
        assert caught.value.code == "backend_timeout"
        assert len(tries) == 4


async def test_nobody_listens(http: aiohttp.ClientSession, closed_port: int) -> None:
    address = BackendSimulator(port=closed_port).base_url
    with pytest.raises(BackendError) as caught:
        await client(http, address).api_key(**ASKED)
    assert caught.value.code == "backend_unreachable"


async def test_a_key_that_no_header_can_carry(http: aiohttp.ClientSession) -> None:
    async with BackendSimulator(keys={"org-1": {"OpenAI": "चाबी"}}) as simulator:
        with pytest.raises(BackendError) as caught:
            await client(http, simulator.base_url).api_key(**ASKED)
        assert caught.value.code == "backend_answer"
        assert "चाबी" not in caught.value.message


async def test_only_a_backend_whose_key_is_known_is_asked(http: aiohttp.ClientSession) -> None:
    address, key = "http://127.0.0.1:9", SecretStr("service")
    assert connect_backend(BackendSettings(), http) is None
    assert connect_backend(BackendSettings(api_url=address), http) is None
    assert connect_backend(BackendSettings(api_key=key), http) is None
    assert connect_backend(BackendSettings(api_url=address, api_key=key), http) is not None


@pytest.mark.parametrize(
    "said", ["<html>404 Not Found</html>", "", "default backend - 404", "[]", '"detail"']
)
async def test_a_404_that_is_not_the_backends_own_is_no_absence(
    said: str, http: aiohttp.ClientSession
) -> None:
    """A proxy whose backend is away may say 404: nothing is gone because of that."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=404, text=said)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as proxy:
        backend = client(http, str(proxy.make_url("")))
        asked: list[Callable[[], Awaitable[object]]] = [
            lambda: backend.api_key(**ASKED),
            lambda: backend.agent_by_id("a"),
            lambda: backend.report("PATCH", "/meetings/m", b"{}", "key"),
        ]
        for ask in asked:
            with pytest.raises(BackendError, match="VOICERA_BACKEND_URL") as caught:
                await ask()
            assert (caught.value.code, caught.value.status) == ("backend_unreachable", None)
