"""Keys from the backend: fetched once for all, kept, renewed, and outliving the backend."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from config.agent import AgentConfig
from config.agent_file import build_agent
from config.documents import parse_document
from config.errors import ProviderError
from config.problems import ConfigFileError
from config.providers import ProviderKind
from config.resolve import provider_secret
from config.settings import Settings, load_settings
from services.backend import BackendClient, BackendTransport
from services.credentials import ABSENT_SECONDS, FAILED_SECONDS, YOUNG_SECONDS, Credentials
from services.factory import ServiceFactory
from services.registry import catalog
from simulators.backend import BackendSimulator
from simulators.behaviour import Behaviour

TTL_SECONDS = 300.0
#: What VoiceERA calls the vendors whose keys it keeps.
MODELS = {
    "openai": "OpenAI",
    "deepgram": "Deepgram",
    "cartesia": "Cartesia",
    "elevenlabs": "ElevenLabs",
    "sarvam": "Sarvam",
    "anthropic": "Anthropic",
    "grok": "Grok",
    "xai": "Grok",
    "bhashini": "Bhashini",
}
AGENT: dict[str, Any] = {
    "language": "hi",
    "stt": {"provider": "deepgram"},
    "llm": {"provider": "openai"},
    "tts": {"provider": "espeak", "fallback": ["sarvam"]},
    "metadata": {"org_id": "org-1"},
}


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Bench:
    """Credentials over a simulated backend."""

    simulator: BackendSimulator
    settings: Settings
    credentials: Credentials
    http: aiohttp.ClientSession
    clock: Clock
    fetches: list[str] = field(default_factory=list)

    async def renewed(self, agent: AgentConfig) -> None:
        """Have all keys, however long the backend takes: a call waits a moment for new ones."""
        await self.credentials.ready(agent)
        while self.credentials._tasks:
            await asyncio.wait(self.credentials._tasks)

    def agent(self, **changes: Any) -> AgentConfig:
        """An agent whose file differs from the usual one."""
        return make_agent(self.settings, **changes)

    def key(self, kind: ProviderKind, name: str, agent: AgentConfig) -> str | None:
        """The key that a service would be built with now."""
        spec = catalog.find(kind, name)
        assert spec is not None
        options = self.credentials.complete(spec, agent.provider_options(kind, name), agent)
        secret = provider_secret(spec, options, self.settings)
        return secret.get_secret_value() if secret is not None else None


def make_agent(settings: Settings, **changes: Any) -> AgentConfig:
    """As a file would be read."""
    document = parse_document(json.dumps({**AGENT, **changes}), Path("agent.json"))
    return build_agent(document, catalog, settings)


@asynccontextmanager
async def benched(
    keys: dict[str, dict[str, str]], env: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[Bench]:
    """A bench whose backend has ``keys``."""
    async with (
        BackendSimulator(keys=keys, api_key="service", **options) as simulator,
        aiohttp.ClientSession() as http,
    ):
        settings = load_settings(
            env={
                "VOICERA_BACKEND_URL": simulator.base_url,
                "INTERNAL_API_KEY": "service",
                "BACKEND_KEYS_WAIT": "30",
                **(env or {}),
            }
        )
        transport = BackendTransport(
            http,
            simulator.base_url,
            SecretStr("service"),
            attempt_seconds=60,
            deadline_seconds=120,
            first_pause_seconds=0.001,
        )
        clock = Clock()
        fetches: list[str] = []
        credentials = Credentials(
            catalog,
            settings,
            BackendClient(transport),
            on_fetch=lambda outcome, _seconds: fetches.append(outcome),
            clock=clock,
        )
        try:
            yield Bench(simulator, settings, credentials, http, clock, fetches)
        finally:
            await credentials.close()


def keys_of(key: str) -> dict[str, dict[str, str]]:
    """An organisation that has all that the agent needs."""
    return {"org-1": {name: f"{name}-{key}" for name in ("OpenAI", "Deepgram", "Sarvam")}}


def test_every_vendor_whose_keys_the_backend_keeps_says_so() -> None:
    told = {(spec.kind, spec.name): spec.backend_model for spec in catalog if spec.secret_env}
    wanted = {place: MODELS[place[1]] for place in told if place[1] in MODELS}
    assert {place: told[place] for place in wanted} == wanted


# -- where a key comes from ----------------------------------------------------------------


async def test_all_that_lacks_is_fetched_once_for_all_calls(key: str) -> None:
    async with benched(keys_of(key)) as bench:
        agent, other = bench.agent(), bench.agent(name="Other")
        await asyncio.gather(*(bench.credentials.ready(a) for a in (agent, other) * 20))
        await bench.credentials.ready(agent)
        assert sorted(bench.simulator.asked) == [
            ("org-1", "Deepgram"),
            ("org-1", "OpenAI"),
            ("org-1", "Sarvam"),
        ]
        assert bench.key("stt", "deepgram", agent) == f"Deepgram-{key}"
        assert bench.key("llm", "openai", other) == f"OpenAI-{key}"
        assert bench.key("tts", "sarvam", agent) == f"Sarvam-{key}"
        assert bench.fetches == ["found"] * 3
        assert bench.simulator.violations == []


async def test_a_key_of_ones_own_is_never_asked_for(key: str) -> None:
    async with benched(keys_of(key), {"SARVAM_API_KEY": "env"}) as bench:
        agent = bench.agent(stt={"provider": "deepgram", "deepgram": {"api_key": "file"}})
        await bench.credentials.ready(agent)
        assert bench.simulator.asked == [("org-1", "OpenAI")]
        assert bench.key("stt", "deepgram", agent) == "file"
        assert bench.key("tts", "sarvam", agent) == "env"


async def test_organisations_do_not_see_each_others_keys(key: str) -> None:
    keys = {**keys_of(key), "org-2": {"Deepgram": "theirs", "OpenAI": "theirs"}}
    async with benched(keys) as bench:
        mine, theirs = bench.agent(), bench.agent(metadata={"org_id": "org-2"})
        await bench.credentials.ready(mine)
        await bench.credentials.ready(theirs)
        assert bench.key("stt", "deepgram", mine) == f"Deepgram-{key}"
        assert bench.key("stt", "deepgram", theirs) == "theirs"


async def test_a_server_of_the_organisations_own(key: str) -> None:
    own = {"base_url": "http://llm.example/v1", "model": "own-7b", "api_key": key}
    async with benched(keys_of(key), custom_llms={"org-1": {"7": own}}) as bench:
        llm = {"provider": "custom", "custom": {"custom_llm_id": "7", "temperature": 0.2}}
        agent = bench.agent(llm=llm)
        await bench.credentials.ready(agent)
        spec = catalog.find("llm", "custom")
        assert spec is not None
        options = bench.credentials.complete(spec, agent.provider_options("llm", "custom"), agent)
        shown = options.model_dump()
        assert (shown["base_url"], shown["model"]) == ("http://llm.example/v1", "own-7b")
        assert shown["temperature"] == 0.2
        assert bench.key("llm", "custom", agent) == key
        assert key not in repr(options)


async def test_voiceras_custom_llm_is_one(key: str) -> None:
    own = {"base_url": "http://llm.example/v1", "model": "own-7b"}
    async with benched(keys_of(key), custom_llms={"org-1": {"7": own}}) as bench:
        file = {
            "org_id": "org-1",
            "agent_config": {
                "language": "Hindi",
                "llm_model": {"name": "custom_llm", "custom_llm_id": "7"},
                "stt_model": {"name": "deepgram", "language": "Hindi"},
                "tts_model": {"name": "Sarvam", "language": "Hindi"},
            },
        }
        document = parse_document(json.dumps(file), Path("agent.json"))
        agent = build_agent(document, catalog, bench.settings)
        await bench.credentials.ready(agent)
        assert ("org-1", "7") in bench.simulator.asked
        assert bench.key("llm", "local", agent) is None


# -- what is kept --------------------------------------------------------------------------


async def test_a_key_is_kept_and_then_renewed(key: str) -> None:
    async with benched(keys_of(key)) as bench:
        agent = bench.agent()
        await bench.credentials.ready(agent)
        bench.simulator.keys["org-1"]["OpenAI"] = "new"
        bench.clock.now += TTL_SECONDS - 1
        await bench.credentials.ready(agent)
        assert bench.key("llm", "openai", agent) == f"OpenAI-{key}"
        bench.clock.now += 2
        await bench.renewed(agent)
        assert bench.key("llm", "openai", agent) == "new"
        assert len(bench.simulator.asked) == 6


async def test_the_last_good_key_serves_while_the_backend_is_down(key: str) -> None:
    async with benched(keys_of(key)) as bench:
        agent = bench.agent()
        await bench.credentials.ready(agent)
        bench.simulator.behave(Behaviour(refuse_status=403))
        for _ in range(3):
            bench.clock.now += TTL_SECONDS + FAILED_SECONDS + 1
            await bench.renewed(agent)
            assert bench.key("llm", "openai", agent) == f"OpenAI-{key}"
        tries = len(bench.simulator.connections)
        await bench.credentials.ready(agent)
        assert len(bench.simulator.connections) == tries  # Left alone for a while.
        bench.simulator.behave(Behaviour())
        bench.simulator.keys["org-1"]["OpenAI"] = "new"
        bench.clock.now += FAILED_SECONDS + 1
        await bench.renewed(agent)
        assert bench.key("llm", "openai", agent) == "new"


async def test_how_the_backend_fares(key: str) -> None:
    async with benched(keys_of(key)) as bench:
        agent = bench.agent()
        assert bench.credentials.backend_state == "not asked yet"
        await bench.credentials.ready(agent)
        assert bench.credentials.backend_state == "ok"
        bench.simulator.behave(Behaviour(refuse_status=403))
        bench.clock.now += TTL_SECONDS + 1
        await bench.renewed(agent)
        assert bench.credentials.backend_state == "backend_auth"
        assert Credentials(catalog, bench.settings, None).backend_state == "none"


async def test_a_key_that_was_taken_away_serves_no_more(key: str) -> None:
    async with benched(keys_of(key)) as bench:
        agent = bench.agent()
        await bench.credentials.ready(agent)
        del bench.simulator.keys["org-1"]["OpenAI"]
        bench.clock.now += TTL_SECONDS + 1
        await bench.renewed(agent)
        with pytest.raises(ProviderError) as caught:
            bench.key("llm", "openai", agent)
        assert (caught.value.code, caught.value.retryable) == ("llm_no_key", False)


async def test_that_there_is_none_is_remembered_for_a_moment(key: str) -> None:
    async with benched({}) as bench:
        agent = bench.agent()
        await bench.credentials.ready(agent)
        await bench.credentials.ready(agent)
        assert bench.fetches == ["absent"] * 3
        bench.simulator.keys = keys_of(key)
        bench.clock.now += ABSENT_SECONDS + 1
        await bench.credentials.ready(agent)
        assert bench.key("llm", "openai", agent) == f"OpenAI-{key}"


async def test_a_refused_key_is_asked_for_again(key: str) -> None:
    async with benched(keys_of(key)) as bench:
        agent = bench.agent()
        await bench.credentials.ready(agent)
        bench.simulator.keys["org-1"]["OpenAI"] = "new"
        bench.credentials.rejected("llm", "openai", agent)  # The backend has only just said it.
        await bench.credentials.ready(agent)
        assert len(bench.simulator.asked) == 3
        bench.clock.now += YOUNG_SECONDS
        for _ in range(3):
            bench.credentials.rejected("llm", "openai", agent)
        bench.credentials.rejected("llm", "nobody", agent)
        bench.credentials.rejected("tts", "espeak", agent)
        await bench.renewed(agent)
        assert bench.key("llm", "openai", agent) == "new"
        assert bench.simulator.asked[3:] == [("org-1", "OpenAI")]


# -- waiting -------------------------------------------------------------------------------


async def test_a_slow_backend_is_not_waited_for_and_serves_the_next_call(key: str) -> None:
    slow = Behaviour(stall_after_ms=0)
    async with benched(keys_of(key), {"BACKEND_KEYS_WAIT": "0.05"}, behaviour=slow) as bench:
        agent = bench.agent()
        async with asyncio.timeout(20):
            await bench.credentials.ready(agent)
        with pytest.raises(ProviderError) as caught:
            bench.key("stt", "deepgram", agent)
        assert caught.value.retryable
        await bench.simulator.until(lambda: len(bench.simulator.connections) == 3)
        bench.simulator.behave(Behaviour())
        for connection in bench.simulator.connections[:3]:
            connection.drop()  # The fetches that go on try again.
        await bench.simulator.until(lambda: len(bench.simulator.connections) == 6)
        await bench.renewed(agent)
        assert bench.fetches == ["found"] * 3
        assert bench.key("stt", "deepgram", agent) == f"Deepgram-{key}"


async def test_what_serves_as_it_is_hardly_waits_to_be_renewed(key: str) -> None:
    async with benched(keys_of(key), {"BACKEND_KEYS_WAIT": "30"}) as bench:
        agent = bench.agent()
        await bench.credentials.ready(agent)
        bench.simulator.behave(Behaviour(stall_after_ms=0))
        bench.clock.now += TTL_SECONDS + 1
        async with asyncio.timeout(20):
            await bench.credentials.ready(agent)
            await bench.credentials.ready(agent)
        assert bench.key("stt", "deepgram", agent) == f"Deepgram-{key}"
        await bench.simulator.until(lambda: len(bench.simulator.connections) >= 6)
        assert len(bench.simulator.connections) == 6  # One try at a time for each key.


async def test_a_caller_who_gives_up_stops_no_fetch(key: str) -> None:
    async with benched(keys_of(key)) as bench:
        agent = bench.agent()
        waiting = asyncio.create_task(bench.credentials.ready(agent))
        await bench.simulator.until(lambda: len(bench.simulator.connections) > 0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await bench.credentials.ready(agent)
        assert bench.key("stt", "deepgram", agent) == f"Deepgram-{key}"
        assert len(bench.simulator.asked) == 3


async def test_building_asks_but_never_waits(key: str) -> None:
    async with benched(keys_of(key)) as bench:
        agent = bench.agent()
        factory = ServiceFactory(catalog, bench.settings, bench.http, bench.credentials)
        with pytest.raises(ProviderError, match="the backend has given no key for Deepgram"):
            factory.build("stt", agent, rate_hz=8000)
        before = factory.candidates("stt", agent)
        await factory.ready(agent)
        assert factory.build("stt", agent, rate_hz=8000) is not None
        assert factory.candidates("stt", agent) != before  # Another key is another account.


# -- agents that lack keys here ------------------------------------------------------------


def refused(env: dict[str, str], **changes: Any) -> str:
    """Why an agent's file is refused."""
    with pytest.raises(ConfigFileError) as caught:
        make_agent(load_settings(env=env), **changes)
    assert caught.value.code == "unequipped"
    return caught.value.message


BACKEND = {"VOICERA_BACKEND_URL": "http://127.0.0.1:9", "INTERNAL_API_KEY": "service"}


def test_keys_that_may_come_from_the_backend_are_not_missed() -> None:
    assert make_agent(load_settings(env=BACKEND)).org_id == "org-1"
    assert "DEEPGRAM_API_KEY" in refused(BACKEND, metadata={})
    assert "DEEPGRAM_API_KEY" in refused({**BACKEND, "INTERNAL_API_KEY": ""})
    custom = {"provider": "custom", "custom": {"custom_llm_id": "7"}}
    assert make_agent(load_settings(env=BACKEND), llm=custom).llm.provider == "custom"
    assert "custom_llm_id" in refused({}, llm=custom)
