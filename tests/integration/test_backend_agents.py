"""Calls for agents that no file has: VoiceERA's backend knows them, now or once."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from simulators.backend import BackendSimulator
from simulators.behaviour import Behaviour
from simulators.deepgram import DeepgramSimulator
from simulators.openai import OpenAISimulator
from simulators.speech import Speech
from tests.integration.server import (
    BRISK_AGENT,
    BUSY_SECONDS,
    RunningServer,
    faults,
    running_server,
)

QUESTION = "what are your opening hours"
NUMBER = "+918000000001"
HELPLINE: dict[str, Any] = {
    "agent_type": "Kisan Helpline",
    "agent_id": "0f4c",
    "org_id": "org-1",
    "phone_number": NUMBER,
    "agent_config": {
        "system_prompt": "Be kind.",
        "greeting_message": "Welcome to the farmers' line.",
        "language": "English (India)",
        "llm_model": {"name": "OpenAI", "model": "gpt-4o"},
        "stt_model": {"name": "deepgram", "language": "English (India)"},
        "tts_model": {"name": "espeak", "language": "English (India)"},
    },
}


@asynccontextmanager
async def served(
    folder: Path, backend: BackendSimulator, **more: str
) -> AsyncIterator[RunningServer]:
    """A server whose files have another agent only."""
    async with (
        OpenAISimulator(replies=["We open at nine."], api_key="openai-key") as openai,
        DeepgramSimulator(utterances=[QUESTION], api_key="deepgram-key") as deepgram,
    ):
        env = {
            "DEFAULT_AGENT": "brisk",
            "VOICERA_BACKEND_URL": backend.base_url,
            "INTERNAL_API_KEY": "service",
            "OPENAI_BASE_URL": openai.base_url,
            "DEEPGRAM_BASE_URL": deepgram.base_url,
            # However late a busy machine has an answer of the backend.
            "BACKEND_AGENTS_WAIT": "10",
            "BACKEND_KEYS_WAIT": "10",
            **more,
        }
        async with running_server(folder, {"brisk": BRISK_AGENT}, env) as server:
            yield server


def backend_with(*agents: dict[str, Any], **options: Any) -> BackendSimulator:
    """A backend that knows these agents."""
    return BackendSimulator(
        agents={agent["agent_id"]: agent for agent in agents},
        keys={"org-1": {"OpenAI": "openai-key", "Deepgram": "deepgram-key"}},
        api_key="service",
        **options,
    )


async def answer(server: RunningServer, query: str = "", **fields: str) -> tuple[str, float]:
    """What ``/answer`` says, and how long it took."""
    began = time.monotonic()
    data = {"CallUUID": "call-1", "From": "+919800000001", **fields}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.http}/answer{query}", data=data) as response,
    ):
        assert response.status == 200
        return await response.text(), time.monotonic() - began


async def transcript_of_a_call(server: RunningServer, speech: Speech) -> str:
    """What was said in a call for the backend's agent."""
    async with server.phone(speech, agent="0f4c") as caller:
        await caller.listen_until_quiet(700, 10_000)
        await caller.say(QUESTION)
        await caller.listen_until_quiet(700, 10_000)
    await server.parts.manager.settled()
    record = server.records()[-1]
    assert record["agent_id"] == "0f4c" and faults(record) == []
    return server.stored(record["transcript_text"]).decode()


async def test_a_call_for_an_agent_of_the_backend(tmp_path: Path, speech: Speech) -> None:
    async with backend_with(HELPLINE) as backend, served(tmp_path / "server", backend) as server:
        said = await transcript_of_a_call(server, speech)
        assert "Welcome to the farmers' line." in said and "open at nine" in said
        assert backend.agents_asked == ["0f4c"]
        await server.until(lambda: server.parts.reports.waiting() == 0)
        (meeting,) = backend.calls.meetings.values()
        assert (meeting["agent_type"], meeting["org_id"]) == ("Kisan Helpline", "org-1")
        assert backend.violations == []


async def test_the_number_that_was_called_finds_it(tmp_path: Path) -> None:
    async with backend_with(HELPLINE) as backend, served(tmp_path / "server", backend) as server:
        xml, _ = await answer(server, To=NUMBER)
        assert "/voice/0f4c<" in xml
        xml, _ = await answer(server, To="+918000000009", CallUUID="call-2")
        assert "/voice/brisk<" in xml
        xml, _ = await answer(server, "?agent_id=nobody", CallUUID="call-3")
        assert "<Stream" not in xml
        assert backend.violations == []


async def test_it_serves_on_while_the_backend_is_away_after_a_restart_too(
    tmp_path: Path, speech: Speech
) -> None:
    folder = tmp_path / "server"
    async with backend_with(HELPLINE) as backend:
        async with served(folder, backend) as server:
            xml, _ = await answer(server, "?agent_id=0f4c")
            assert "<Stream" in xml
        (folder / "agents").rename(tmp_path / "files-before")
        backend.behave(Behaviour(refuse_status=503), path="/api/v1/agents/config/id/0f4c")
        async with served(folder, backend) as server:
            # It was taken up at the start; its greeting is ready before anybody calls.
            await server.until(lambda: server.parts.phrases._tasks.get("0f4c"))
            said = await transcript_of_a_call(server, speech)
            assert "Welcome to the farmers' line." in said


async def test_a_backend_that_hangs_holds_no_answer_up_for_long(tmp_path: Path) -> None:
    hanging, wait_seconds = Behaviour(stall_after_ms=0), 5
    async with (
        backend_with(HELPLINE, behaviour=hanging) as backend,
        served(tmp_path / "server", backend, BACKEND_AGENTS_WAIT=str(wait_seconds)) as server,
    ):
        xml, seconds = await answer(server, "?agent_id=0f4c")
        assert "<Stream" not in xml and seconds < wait_seconds + BUSY_SECONDS
        # A file's agent waits for nothing.
        xml, seconds = await answer(server, "?agent_id=brisk", CallUUID="call-2")
        assert "<Stream" in xml and seconds < wait_seconds


async def test_one_that_cannot_be_used_is_shown_with_the_reason(tmp_path: Path) -> None:
    broken = {**HELPLINE, "agent_config": {**HELPLINE["agent_config"], "volume": 11}}
    async with backend_with(broken) as backend, served(tmp_path / "server", backend) as server:
        xml, _ = await answer(server, "?agent_id=0f4c")
        assert "<Stream" not in xml
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{server.http}/health") as response:
                health = await response.json()
            async with http.get(f"{server.http}/metrics") as response:
                metrics = await response.text()
        assert health["status"] == "degraded"
        reason = health["rejected_agents"]["backend:0f4c"]
        assert reason.startswith("backend:0f4c.json: agent_config.volume: unknown key 'volume'")
        assert 'agent_fetches_total{outcome="invalid"}' in metrics
        assert 'config_rejects{file="backend"} 1.0' in metrics
