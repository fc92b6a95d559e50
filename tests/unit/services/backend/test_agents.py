"""Agents from the backend: fetched once for all, checked like files, and outliving the backend."""

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
from config.settings import load_settings
from config.store import AgentStore
from services.agent_directory import AgentDirectory
from services.backend import BackendClient, BackendTransport
from services.backend import agents as backend_agents
from services.backend.agents import ABSENT_SECONDS, FAILED_SECONDS, BackendAgents
from services.registry import catalog
from simulators.backend import BackendSimulator
from simulators.behaviour import WELL_BEHAVED, Behaviour

TTL_SECONDS = 60.0
NUMBER = "+918000000001"
#: An agent's file is refused where these are missing; the backend has them for its own agents.
VENDORS = dict.fromkeys(("OPENAI_API_KEY", "DEEPGRAM_API_KEY", "CARTESIA_API_KEY"), "key")


def answer(agent_id: str = "0f4c", **config: Any) -> dict[str, Any]:
    """What the backend says of an agent."""
    return {
        "agent_type": "Kisan Helpline",
        "agent_id": agent_id,
        "org_id": "org-1",
        "agent_category": None,
        "phone_number": NUMBER,
        "app_id": None,
        "telephony_provider": "Vobiz",
        "created_at": "2026-06-01T00:00:00",
        "updated_at": "2026-06-02T00:00:00",
        "agent_config": {
            "system_prompt": "Be kind.",
            "greeting_message": "नमस्ते",
            "language": "Hindi",
            "interaction_mode": "conversational",
            "llm_model": {"name": "OpenAI", "model": "gpt-4o"},
            "stt_model": {"name": "deepgram", "language": "Hindi", "model": "nova-3"},
            "tts_model": {"name": "cartesia", "language": "Hindi", "voice_id": "v"},
            **config,
        },
    }


@dataclass(slots=True)
class Bench:
    """The backend's agents over a simulated backend."""

    simulator: BackendSimulator
    agents: BackendAgents
    folder: Path
    now: list[float]
    fetches: list[str] = field(default_factory=list)
    changes: list[tuple[str, str | None]] = field(default_factory=list)

    async def renewed(self, agent_id: str) -> AgentConfig | None:
        """An agent as it is once the backend has answered, however long that takes."""
        await self.agents.find(agent_id)
        await self.settled()
        return await self.agents.find(agent_id)

    async def later(self, seconds: float) -> None:
        """Let time pass, for what is kept."""
        self.now[0] += seconds

    async def settled(self) -> None:
        """Wait for what goes on in the background."""
        while self.agents._tasks:
            await asyncio.wait(self.agents._tasks)


@asynccontextmanager
async def benched(
    folder: Path,
    agents: dict[str, Any],
    *,
    wait_seconds: float = 10,
    simulator: BackendSimulator | None = None,
    **options: Any,
) -> AsyncIterator[Bench]:
    """A bench whose backend has ``agents``."""
    own = simulator or BackendSimulator(agents=agents, api_key="service", **options)
    async with own as backend, aiohttp.ClientSession() as http:
        settings = load_settings(
            env={
                "VOICERA_BACKEND_URL": backend.base_url,
                "INTERNAL_API_KEY": "service",
                "BACKEND_AGENTS_WAIT": f"{wait_seconds}",
            }
        )
        transport = BackendTransport(
            http,
            backend.base_url,
            SecretStr("service"),
            attempt_seconds=60,
            deadline_seconds=120,
            first_pause_seconds=0.001,
        )
        now, fetches = [1000.0], list[str]()
        changes: list[tuple[str, str | None]] = []
        found = BackendAgents(
            catalog,
            settings,
            BackendClient(transport),
            folder,
            on_fetch=fetches.append,
            on_change=lambda key, agent: changes.append((key, agent.greeting if agent else None)),
            clock=lambda: now[0],
        )
        try:
            yield Bench(backend, found, folder, now, fetches, changes)
        finally:
            await found.close()


def files(folder: Path) -> list[Path]:
    """What is kept."""
    return sorted(folder.glob("*")) if folder.is_dir() else []


async def test_an_agent_is_asked_for_once_and_kept(tmp_path: Path) -> None:
    async with benched(tmp_path / "agents", {"0f4c": answer()}) as bench:
        found = await asyncio.gather(*(bench.agents.find("0f4c") for _ in range(20)))
        agent = found[0]
        assert isinstance(agent, AgentConfig) and all(each is agent for each in found)
        assert (agent.agent_id, agent.language, agent.greeting) == ("0f4c", "hi", "नमस्ते")
        assert agent.org_id == "org-1" and agent.stt.provider == "deepgram"
        assert bench.simulator.agents_asked == ["0f4c"]
        await bench.later(TTL_SECONDS + 1)
        assert await bench.agents.find("0f4c") is agent  # The very same, for those in waiting.
        await bench.settled()
        assert bench.simulator.agents_asked == ["0f4c"] * 2
        assert bench.changes == [("0f4c", "नमस्ते")] and bench.fetches == ["found"] * 2
        (kept,) = files(bench.folder)
        assert kept.stat().st_mode & 0o077 == 0 and bench.simulator.violations == []


async def test_an_agent_changes_and_goes_with_the_backend(tmp_path: Path) -> None:
    async with benched(tmp_path / "agents", {"0f4c": answer()}) as bench:
        await bench.agents.find("0f4c")
        bench.simulator.agents["0f4c"] = answer(greeting_message="Ram Ram")
        await bench.later(TTL_SECONDS + 1)
        changed = await bench.renewed("0f4c")
        assert changed is not None and changed.greeting == "Ram Ram"
        del bench.simulator.agents["0f4c"]
        await bench.later(TTL_SECONDS + 1)
        assert await bench.renewed("0f4c") is None
        assert bench.changes == [("0f4c", "नमस्ते"), ("0f4c", "Ram Ram"), ("0f4c", None)]
        assert files(bench.folder) == []


async def test_ids_that_nobody_has_are_asked_for_seldom(tmp_path: Path) -> None:
    async with benched(tmp_path / "agents", {}) as bench:
        for _ in range(3):
            assert await bench.agents.find("nobody") is None
        assert bench.simulator.agents_asked == ["nobody"]
        await bench.later(ABSENT_SECONDS + 1)
        assert await bench.agents.find("nobody") is None
        assert bench.simulator.agents_asked == ["nobody"] * 2
        for odd in ("../../etc/passwd", "", "a/b", "x" * 100, "é"):
            assert await bench.agents.find(odd) is None
        assert len(bench.simulator.agents_asked) == 2
        assert bench.fetches == ["absent"] * 2 and files(bench.folder) == []


@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(refuse_status=403), Behaviour(refuse_status=503), Behaviour(drop_after_ms=0)],
    ids=["403", "503", "dropped"],
)
async def test_the_last_good_one_serves_while_the_backend_is_away(
    behaviour: Behaviour, tmp_path: Path
) -> None:
    folder = tmp_path / "agents"
    async with benched(folder, {"0f4c": answer()}) as bench:
        agent = await bench.agents.find("0f4c")
        await bench.settled()
        bench.simulator.behave(behaviour)
        await bench.later(TTL_SECONDS + 1)
        assert await bench.agents.find("0f4c") is agent
        await bench.settled()
        asked = len(bench.simulator.connections)
        assert await bench.agents.find("0f4c") is agent
        assert len(bench.simulator.connections) == asked  # It is left alone for a while.
        bench.simulator.behave(WELL_BEHAVED)
        await bench.later(FAILED_SECONDS + 1)
        assert await bench.agents.find("0f4c") is agent
    async with benched(folder, {}, behaviour=behaviour) as restarted:
        again = await restarted.agents.find("0f4c")
        assert again == agent
        assert await restarted.agents.find("other") is None


async def test_a_hanging_backend_delays_a_call_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_agents, "RENEW_SECONDS", 0.05)
    folder = tmp_path / "agents"
    async with benched(folder, {"0f4c": answer()}) as bench:
        agent = await bench.agents.find("0f4c")
        await bench.settled()
        bench.simulator.behave(Behaviour(stall_after_ms=0))
        await bench.later(TTL_SECONDS + 1)
        async with asyncio.timeout(10):
            assert await bench.agents.find("0f4c") is agent
    hanging = {"behaviour": Behaviour(stall_after_ms=0), "wait_seconds": 0.05}
    async with benched(tmp_path / "other", {}, **hanging) as bench:  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            assert await bench.agents.find("0f4c") is None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"llm_model": {"name": "Oracle"}}, "unknown llm provider"),
        ({"volume": 11}, "unknown key 'volume'"),
        ({"language": "Klingon"}, "language"),
    ],
)
async def test_what_cannot_be_used_is_told_and_the_last_good_one_serves(
    config: dict[str, Any], said: str, tmp_path: Path
) -> None:
    async with benched(tmp_path / "agents", {"bad": answer("bad", **config)}) as bench:
        assert await bench.agents.find("bad") is None
        (message,) = (error.message for error in bench.agents.rejects.values())
        assert message.startswith("backend:bad.json: ") and said in message
        assert bench.fetches == ["invalid"]
        bench.simulator.agents["bad"] = answer("bad")
        await bench.later(TTL_SECONDS + 1)
        agent = await bench.agents.find("bad")
        assert agent is not None and bench.agents.rejects == {}
        bench.simulator.agents["bad"] = answer("bad", **config)
        await bench.later(TTL_SECONDS + 1)
        assert await bench.renewed("bad") is agent
        assert list(bench.agents.rejects) == ["backend:bad"]


async def test_another_agent_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    async with benched(tmp_path / "agents", {"asked": answer("another")}) as bench:
        assert await bench.agents.find("asked") is None
        assert "was asked for as 'asked'" in bench.agents.rejects["backend:asked"].message


@pytest.mark.parametrize("garbage", [Behaviour(garbage_frames=1), Behaviour(empty=True)])
async def test_garbage_is_refused(garbage: Behaviour, tmp_path: Path) -> None:
    async with benched(tmp_path / "agents", {"0f4c": answer()}, behaviour=garbage) as bench:
        assert await bench.agents.find("0f4c") is None
        assert list(bench.agents.rejects) == ["backend:0f4c"]


async def test_by_number_and_then_by_id(tmp_path: Path) -> None:
    async with benched(tmp_path / "agents", {"0f4c": answer()}) as bench:
        for number in (NUMBER, "08000000001", "+91 80000 00001"):
            agent = await bench.agents.by_number(number)
            assert agent is not None and agent.agent_id == "0f4c"
        # The stream names it by its id a moment later: the very same, without asking again.
        assert await bench.agents.find("0f4c") is agent
        assert bench.simulator.agents_asked == [NUMBER]
        assert await bench.agents.by_number("+918000000009") is None
        assert await bench.agents.by_number("anonymous") is None
        assert NUMBER not in "".join(bench.agents.rejects)
        assert bench.simulator.violations == []


async def test_strangers_cannot_push_agents_out_or_flood_the_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_agents, "MAX_ENTRIES", 10)
    async with benched(tmp_path / "agents", {"0f4c": answer()}) as bench:
        agent = await bench.agents.find("0f4c")
        await asyncio.gather(*(bench.agents.find(f"guess-{i}") for i in range(100)))
        assert len(bench.simulator.agents_asked) <= 1 + 100
        await bench.settled()
        await bench.agents.find("one-more")
        assert len(bench.agents._entries) <= 10
        assert await bench.agents.find("0f4c") is agent
        assert bench.simulator.agents_asked.count("0f4c") == 1


async def test_files_win(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    own = answer(greeting_message="from a file")
    (folder / "0f4c.json").write_text(json.dumps(own))
    both = {"0f4c": answer(), "other": {**answer("other"), "phone_number": "+918000000002"}}
    async with benched(tmp_path / "agents", both) as bench:
        store = AgentStore(folder, catalog, load_settings(env=VENDORS))
        await store.refresh()
        directory = AgentDirectory(store, bench.agents)
        for agent in (await directory.find("0f4c"), await directory.by_number(NUMBER)):
            assert agent is not None and agent.greeting == "from a file"
        assert bench.simulator.agents_asked == []
        found = await directory.by_number("+918000000002")
        assert found is not None and found.agent_id == "other"
        assert await AgentDirectory(store).find("other") is None


async def test_what_was_kept_is_at_hand_from_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    async with benched(folder, {"0f4c": answer()}) as bench:
        await bench.agents.by_number(NUMBER)
        await bench.later(TTL_SECONDS + 1)
        await bench.renewed("0f4c")
        bench.simulator.agents["0f4c"] = answer(greeting_message="Ram Ram")
        await bench.later(TTL_SECONDS + 1)
        await bench.renewed("0f4c")
        assert len(files(folder)) == 2  # By its number and by its id.
    (folder / "torn.json").write_text('{"agent_id":')
    async with benched(folder, {}, behaviour=Behaviour(refuse_status=503)) as restarted:
        restarted.agents.start()
        await restarted.settled()
        assert {key for key, _ in restarted.changes} == {"0f4c"}
        assert restarted.simulator.connections == []
        found = await restarted.agents.by_number(NUMBER)
        assert found is not None and found.agent_id == "0f4c"
