"""Calls whose vendors' keys are in VoiceERA's backend alone, also while it is away or slow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services import credentials
from simulators.backend import BackendSimulator
from simulators.base import Simulator
from simulators.behaviour import Behaviour
from simulators.caller.leg import CallClosed, CallTimeout
from simulators.cartesia import CartesiaSimulator
from simulators.connection import Connection
from simulators.deepgram import DeepgramSimulator
from simulators.openai import OpenAISimulator
from simulators.speech import Speech
from tests.integration.contents import contents
from tests.integration.server import RunningServer, faults, running_server

QUESTION = "what are your opening hours"
AGENT: dict[str, Any] = {
    "name": "Rented",
    "language": "en-IN",
    "greeting": "Welcome to the rented line.",
    "call": {"apology": "We are sorry."},
    "stt": {"provider": "deepgram"},
    "llm": {"provider": "openai"},
    "tts": {"provider": "cartesia"},
    "metadata": {"org_id": "org-1"},
}
KEYS = {"Deepgram": "deepgram-key", "OpenAI": "openai-key", "Cartesia": "cartesia-key"}


@dataclass(frozen=True, slots=True)
class Town:
    """A server, the backend and the vendors."""

    server: RunningServer
    backend: BackendSimulator
    vendors: tuple[Simulator, ...]

    async def call(self, speech: Speech) -> int:
        """A caller who asks a question; how many replies they heard, greeting included."""
        caller = self.server.phone(speech, agent="rented")
        async with caller:
            await caller.listen_until_quiet(700, 10_000)
            await caller.say(QUESTION)
            await caller.listen_until_quiet(700, 10_000)
        return len(caller.replies())

    async def records(self, count: int) -> list[dict[str, Any]]:
        """What was kept of that many calls."""
        await self.server.parts.manager.settled()
        records = self.server.records()
        assert len(records) == count
        return records


class HeldBackend(BackendSimulator):
    """Answers nobody before it is let."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.let = asyncio.Event()

    async def _admit(self, connection: Connection) -> None:
        await self.let.wait()
        await super()._admit(connection)


@asynccontextmanager
async def town(
    folder: Path,
    agent: dict[str, Any] = AGENT,
    *,
    keys: dict[str, str] = KEYS,
    behaviour: Behaviour | None = None,
    backend: BackendSimulator | None = None,
    env: dict[str, str] | None = None,
) -> AsyncIterator[Town]:
    """Vendors that take the backend's keys only, and a server that has none of its own."""
    backend = backend or BackendSimulator(
        keys={"org-1": keys}, api_key="service", behaviour=behaviour or Behaviour()
    )
    async with (
        backend,
        DeepgramSimulator(utterances=[QUESTION], api_key="deepgram-key") as deepgram,
        OpenAISimulator(replies=["We open at nine."], api_key="openai-key") as openai,
        CartesiaSimulator(api_key="cartesia-key") as cartesia,
    ):
        environment = {
            "DEFAULT_AGENT": "rented",
            "VOICERA_BACKEND_URL": backend.base_url,
            "INTERNAL_API_KEY": "service",
            # A call of these tests is to have its keys, however late a busy machine has them.
            "BACKEND_KEYS_WAIT": "10",
            "DEEPGRAM_BASE_URL": deepgram.base_url,
            "OPENAI_BASE_URL": openai.base_url,
            "CARTESIA_BASE_URL": cartesia.base_url,
            **(env or {}),
        }
        async with running_server(folder / "server", {"rented": agent}, environment) as server:
            yield Town(server, backend, (deepgram, openai, cartesia))


async def metric(server: RunningServer, outcome: str) -> float:
    """How many fetches ended so, in this process."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.http}/metrics") as response,
    ):
        name = f'credential_fetches_total{{outcome="{outcome}"}} '
        lines = [line for line in (await response.text()).splitlines() if line.startswith(name)]
    return float(lines[0].removeprefix(name)) if lines else 0.0


async def test_a_call_whose_keys_are_in_the_backend_alone(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path) as there:
        await there.server.parts.phrases.prepared("rented")  # The greeting needed a key too.
        assert await there.call(speech) == 2
        (record,) = await there.records(1)
        assert faults(record) == []
        assert record["vendors"] == {"stt": ["deepgram"], "llm": ["openai"], "tts": ["cartesia"]}
        text = there.server.stored(record["transcript_text"]).decode()
        assert "open at nine." in text
        assert sorted(there.backend.asked) == sorted(("org-1", model) for model in KEYS)
        assert there.backend.violations == []
        assert all(vendor.violations == [] for vendor in there.vendors)
        assert await metric(there.server, "found") >= 3
        kept = b"".join(contents(there.server.data_dir).values())
        assert b"open at nine." in kept
        assert not any(key.encode() in kept for key in KEYS.values())


async def test_the_last_keys_serve_while_the_backend_is_away(
    tmp_path: Path, speech: Speech
) -> None:
    async with town(tmp_path, env={"BACKEND_KEYS_TTL": "1"}) as there:
        assert await there.call(speech) == 2
        there.backend.behave(Behaviour(refuse_status=403))
        failed = await metric(there.server, "backend_auth")
        assert await there.call(speech) == 2  # It lasted longer than the keys do.
        assert await metric(there.server, "backend_auth") > failed
        assert there.server.parts.credentials.backend_state == "backend_auth"
        for record in await there.records(2):
            assert faults(record) == []


async def test_a_key_that_a_vendor_refuses_is_asked_for_again(
    tmp_path: Path, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "YOUNG_SECONDS", 0.0)
    agent = {**AGENT, "tts": {"provider": "espeak"}}
    async with town(tmp_path, agent, keys={**KEYS, "OpenAI": "void"}) as there:
        await there.server.parts.credentials.ready(there.server.parts.agents.get("rented"))
        there.backend.keys["org-1"]["OpenAI"] = "openai-key"
        await there.call(speech)
        assert there.backend.asked.count(("org-1", "OpenAI")) == 2
        assert await there.call(speech) == 2
        refused, served = await there.records(2)
        assert faults(refused)[0]["kind"] == "auth"
        assert faults(served) == []


async def test_a_backend_that_was_never_there(tmp_path: Path, speech: Speech) -> None:
    agent = {**AGENT, "tts": {"provider": "espeak"}}
    async with town(tmp_path, agent, behaviour=Behaviour(refuse_status=403)) as there:
        await there.server.parts.phrases.prepared("rented")
        caller = there.server.phone(speech, agent="rented")
        async with caller:
            with suppress(CallClosed):
                await caller.listen_until_quiet(700, 10_000)
            with suppress(CallTimeout):
                await caller.wait_ended(3)
        (record,) = await there.records(1)
        assert record["end_cause"] == "provider_failed" or record["degraded"]
        text = there.server.stored(record["transcript_text"]).decode()
        assert "We are sorry." in text
        assert there.vendors[0].connections == []


async def test_a_slow_backend_delays_no_answer(tmp_path: Path, speech: Speech) -> None:
    agent = {**AGENT, "tts": {"provider": "espeak"}}
    backend = HeldBackend(keys={"org-1": KEYS}, api_key="service")
    async with town(tmp_path, agent, backend=backend) as there:
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                f"{there.server.http}/answer?agent_id=rented", data={"CallUUID": "first"}
            ) as response,
        ):
            assert response.status == 200
        # Keys were being fetched since the start, and the answer did not wait for them.
        assert backend.asked == []
        await there.server.until(lambda: len(backend.connections) >= 2)
        backend.let.set()
        parts = there.server.parts

        def have_come() -> bool:
            parts.credentials.fetch(parts.agents.get("rented"))  # Where they were given up.
            return len(backend.asked) == 2

        await there.server.until(have_come)
        await there.server.parts.phrases.prepared("rented")
        assert await there.call(speech) == 2
        assert sorted(backend.asked) == [("org-1", "Deepgram"), ("org-1", "OpenAI")]
