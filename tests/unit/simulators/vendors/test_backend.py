"""The simulated backend: who may ask, what is answered, and what goes wrong."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

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
