"""The simulated backend: who may ask, what is answered, and what goes wrong."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from yarl import URL

from simulators.backend import BackendSimulator
from simulators.behaviour import Behaviour

KEY_PATH = "/api/v1/integrations/bot/get-api-key"
CONFIG_PATH = "/api/v1/custom-llm-integrations/bot/get-config"
ASKED = {"org_id": "org-1", "model": "OpenAI"}
OWN = {"base_url": "http://llm.example/v1", "model": "own-7b"}


async def ask(
    http: aiohttp.ClientSession,
    simulator: BackendSimulator,
    body: Any = ASKED,
    *,
    path: str = KEY_PATH,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """Status and body."""
    given = {"X-API-Key": "service"} if headers is None else headers
    async with http.post(simulator.base_url + path, json=body, headers=given) as response:
        return response.status, await response.json()


async def test_it_has_the_keys_that_it_was_given(http: aiohttp.ClientSession, key: str) -> None:
    async with BackendSimulator(keys={"org-1": {"OpenAI": key}}, api_key="service") as simulator:
        status, body = await ask(http, simulator)
        assert (status, body["api_key"], body["org_id"], body["model"]) == (
            200,
            key,
            "org-1",
            "OpenAI",
        )
        for other in ({**ASKED, "org_id": "org-2"}, {**ASKED, "model": "Sarvam"}):
            assert await ask(http, simulator, other) == (404, {"detail": "Integration not found"})
        assert simulator.asked == [("org-1", "OpenAI"), ("org-2", "OpenAI"), ("org-1", "Sarvam")]
        assert simulator.violations == []


async def test_it_describes_an_organisations_own_model(http: aiohttp.ClientSession) -> None:
    async with BackendSimulator(custom_llms={"org-1": {"7": OWN}}) as simulator:
        wanted = {"org_id": "org-1", "custom_llm_id": "7"}
        status, body = await ask(http, simulator, wanted, path=CONFIG_PATH)
        assert (status, body["id"], body["base_url"], body["model"], body["api_key"]) == (
            200,
            "7",
            OWN["base_url"],
            "own-7b",
            "",
        )
        missing = {"org_id": "org-1", "custom_llm_id": "8"}
        assert (await ask(http, simulator, missing, path=CONFIG_PATH))[0] == 404


@pytest.mark.parametrize(
    ("headers", "detail"),
    [({}, "Missing API key"), ({"X-API-Key": "other"}, "Invalid API key")],
)
async def test_who_may_not_ask(
    headers: dict[str, str], detail: str, http: aiohttp.ClientSession
) -> None:
    async with BackendSimulator(api_key="service") as simulator:
        assert await ask(http, simulator, headers=headers) == (401, {"detail": detail})
        assert len(simulator.violations) == 1 and simulator.asked == []


@pytest.mark.parametrize("body", [[], {"org_id": "org-1"}, {"org_id": 3, "model": "OpenAI"}])
async def test_what_does_not_fit_is_422(body: Any, http: aiohttp.ClientSession) -> None:
    async with BackendSimulator() as simulator:
        status, answer = await ask(http, simulator, body)
        assert status == 422 and isinstance(answer["detail"], list)
        assert len(simulator.violations) == 1


async def test_what_no_correct_client_sends_is_noted(http: aiohttp.ClientSession) -> None:
    async with BackendSimulator() as simulator:
        await ask(http, simulator, {**ASKED, "model": "openai", "limit": 3})
        assert len(simulator.violations) == 2


async def test_it_misbehaves_as_it_is_told(http: aiohttp.ClientSession, key: str) -> None:
    async with BackendSimulator(keys={"org-1": {"OpenAI": key}}) as simulator:
        simulator.behave_next(
            Behaviour(refuse_status=503), Behaviour(empty=True), Behaviour(drop_after_ms=0)
        )
        assert await ask(http, simulator) == (503, {"detail": "Service unavailable"})
        assert await ask(http, simulator) == (200, {})
        with pytest.raises(aiohttp.ClientError):
            await ask(http, simulator)
        assert (await ask(http, simulator))[0] == 200
        simulator.behave(Behaviour(garbage_frames=1))
        async with http.post(
            simulator.base_url + KEY_PATH, json=ASKED, headers={"X-API-Key": "s"}
        ) as response:
            assert await response.text() == '{"api_key":'


MEETING = {"meeting_id": "c-1", "agent_type": "Helpline", "start_time_utc": "2026-11-01T06:30:00Z"}
RECORDING = {"call_sid": "c-1", "agent_type": "Helpline", "transcript_url": "minio://t/c-1.txt"}
KEYED = {"X-API-Key": "service", "Idempotency-Key": "k-1"}


async def test_it_is_told_of_a_call(http: aiohttp.ClientSession) -> None:
    async with BackendSimulator(api_key="service") as simulator:
        base = f"{simulator.base_url}/api/v1"
        for _ in range(2):  # An upsert.
            async with http.post(f"{base}/meetings", json=MEETING, headers=KEYED) as response:
                assert response.status == 201
        end = {"end_time_utc": "2026-11-01T06:31:00+00:00"}
        async with http.patch(f"{base}/meetings/c-1", json=end, headers=KEYED) as response:
            assert response.status == 200
            assert await response.json() == MEETING | end
        async with http.post(f"{base}/call-recordings", json=RECORDING, headers=KEYED) as response:
            assert response.status == 200
        assert simulator.calls.steps("c-1") == ["created", "created", "ended", "recording"]
        assert simulator.calls.recordings == {"c-1": RECORDING}
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "said"),
    [
        ("POST", "/meetings", MEETING, {}, 401, "X-API-Key"),
        ("POST", "/meetings", {"agent_type": "x"}, KEYED, 422, "meeting_id: Field required"),
        ("POST", "/meetings", {**MEETING, "inbound": "yes"}, KEYED, 422, "inbound"),
        ("POST", "/meetings", {**MEETING, "start_time_utc": "today"}, KEYED, 422, "ISO 8601"),
        ("POST", "/meetings", {**MEETING, "x": 1}, KEYED, 201, "unknown field x"),
        ("POST", "/meetings", MEETING, {"X-API-Key": "service"}, 201, "no Idempotency-Key"),
        ("PATCH", "/meetings/c-9", {"end_time_utc": "2026-11-01T06:31:00Z"}, KEYED, 404, "c-9"),
        ("PATCH", "/meetings/c-9", {"end_time_utc": ""}, KEYED, 422, "not be empty"),
        ("POST", "/call-recordings", RECORDING, KEYED, 200, "a recording of no meeting"),
        ("POST", "/call-recordings", {"call_sid": "c-1"}, KEYED, 422, "transcript_url"),
    ],
)
async def test_what_no_correct_server_would_tell(
    method: str,
    path: str,
    body: dict[str, Any],
    headers: dict[str, str],
    status: int,
    said: str,
    http: aiohttp.ClientSession,
) -> None:
    async with BackendSimulator(api_key="service") as simulator:
        url = f"{simulator.base_url}/api/v1{path}"
        async with http.request(method, url, json=body, headers=headers) as response:
            assert response.status == status
        assert said in " ".join(simulator.violations)


async def test_it_has_agents(http: aiohttp.ClientSession) -> None:
    agents = {"0f4c": {"agent_id": "0f4c", "phone_number": "+918000000001"}}
    async with BackendSimulator(api_key="service", agents=agents) as simulator:
        base = f"{simulator.base_url}/api/v1/agents"
        for path, status in (
            ("config/id/0f4c", 200),
            ("by-phone/%2B918000000001", 200),
            ("config/id/none", 404),
            ("by-phone/%2B918000000002", 404),
        ):
            async with http.get(URL(f"{base}/{path}", encoded=True), headers=KEYED) as response:
                assert response.status == status
        assert simulator.violations == []
        async with http.get(f"{base}/by-phone/08000000001", headers=KEYED) as response:
            assert response.status == 404
        assert len(simulator.violations) == 1
