"""Vendors and clients that send without end: their call is cut, the one beside it notices nothing.

The server is a process of its own, so that its memory can be measured.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from simulators.behaviour import Behaviour
from simulators.caller.client import ClientCaller
from simulators.caller.vobiz import VobizCaller
from simulators.cartesia import CartesiaSimulator
from simulators.deepgram import DeepgramSimulator
from simulators.openai import OpenAISimulator
from simulators.openai.reply import Reply
from simulators.speech import Speech
from tests.integration.process import ServerProcess, server_process
from tests.integration.server import BRISK_AGENT

#: What a flood may cost the process: the queues of a call are some megabytes, its services more.
MOST_BYTES = 120 * 1024 * 1024
QUESTION = "what are your opening hours"
ANSWER = "We open at nine."


def agent(**stages: Any) -> dict[str, Any]:
    return {**BRISK_AGENT, "call": {"apology": "Sorry."}, **stages}


AGENTS: dict[str, Any] = {
    "brisk": BRISK_AGENT,
    "talker": agent(llm={"provider": "openai"}),
    "voice": agent(tts={"provider": "cartesia", "fallback": ["espeak"]}),
    "ear": agent(stt={"provider": "deepgram", "fallback": ["offline"]}),
}


@dataclass
class Town:
    """A server between vendors, and what it had of memory before the flood."""

    server: ServerProcess
    model: OpenAISimulator
    voice: CartesiaSimulator
    ear: DeepgramSimulator
    speech: Speech
    before_bytes: int = 0

    def phone(self, agent_id: str) -> VobizCaller:
        return VobizCaller(
            answer_url=f"{self.server.http}/answer?agent_id={agent_id}",
            hangup_url=f"{self.server.http}/hangup",
            speech=self.speech,
        )

    def program(self, agent_id: str = "brisk") -> ClientCaller:
        return ClientCaller(
            f"{self.server.ws}/voice/{agent_id}", token=self.server.token(), speech=self.speech
        )

    def memory(self) -> int:
        return int(psutil.Process(self.server.process.pid).memory_info().rss)

    async def metric(self, pattern: str) -> float:
        """The sum of the metrics whose names and labels match."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.server.http}/metrics") as got:
            text = await got.text()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(pattern, line)
        )

    async def record(self, **fields: str) -> dict[str, Any]:
        """Of the only call of which this is true, once it is stored."""
        async with asyncio.timeout(30):
            while True:
                for record in self.server.records():
                    if fields.items() <= record.items():
                        return record
                await asyncio.sleep(0.1)


@asynccontextmanager
async def town(folder: Path, speech: Speech) -> AsyncIterator[Town]:
    async with (
        OpenAISimulator(replies=[ANSWER], api_key="key") as model,
        CartesiaSimulator(api_key="key") as voice,
        DeepgramSimulator(api_key="key", utterances=[QUESTION]) as ear,
    ):
        env = {
            "OPENAI_API_KEY": "key",
            "OPENAI_BASE_URL": model.base_url,
            "CARTESIA_API_KEY": "key",
            "CARTESIA_BASE_URL": voice.base_url,
            "DEEPGRAM_API_KEY": "key",
            "DEEPGRAM_BASE_URL": ear.base_url,
            # The machine is shared with the callers and the vendors here.
            "MAX_LOOP_LAG_MS": "5000",
            "MAX_FRAME_LATENESS_MS": "5000",
        }
        async with server_process(folder, AGENTS, env) as server:
            yield Town(server, model, voice, ear, speech)


@asynccontextmanager
async def a_call_beside_it(here: Town) -> AsyncIterator[None]:
    """A call that is answered and hears its answers without a gap, whatever else goes on."""
    async with here.phone("brisk") as caller:
        await caller.wait_for_speech()
        await caller.listen_until_quiet(300, 15_000)
        # All that a first call loads has been loaded.
        here.before_bytes = here.memory()
        yield
        for _ in range(2):
            heard = len(caller.replies())
            await caller.say(QUESTION)
            await caller.listen_until_quiet(400, 15_000)
            assert len(caller.replies()) == heard + 1
        assert caller.live and caller.violations == []


async def watch_memory(here: Town, seconds: float) -> int:
    """The most that the server grew by, looked at ten times a second."""
    most = 0
    for _ in range(round(seconds * 10)):
        most = max(most, here.memory() - here.before_bytes)
        await asyncio.sleep(0.1)
    return most


def kinds(record: dict[str, Any]) -> list[str]:
    return [entry["kind"] for entry in record["degraded"]]


async def test_a_model_that_never_stops(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path / "s", speech) as here:
        endless = Reply(text="This goes on. " * 400_000, tokens_per_second=1e9)
        here.model.replies = [endless]
        async with a_call_beside_it(here), here.program("talker") as caller:
            await caller.wait_for_speech()
            await caller.listen_until_quiet(300, 15_000)
            caller.text(QUESTION)
            assert await watch_memory(here, 8) < MOST_BYTES
            assert caller.live and caller.violations == []
        record = await here.record(agent_id="talker")
        assert kinds(record).count("too_long") == 1
        assert await here.metric(r'errors_total{kind="too_long",stage="llm"}') == 1


async def test_a_voice_that_sends_ten_minutes_in_a_second(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path / "s", speech) as here:
        async with a_call_beside_it(here), here.phone("voice") as caller:
            await caller.wait_for_speech()
            await caller.listen_until_quiet(300, 30_000)
            here.voice.behaviour = Behaviour(flood_frames=500)
            for connection in here.voice.connections:
                connection.behave(here.voice.behaviour)
            await caller.say(QUESTION)
            assert await watch_memory(here, 8) < MOST_BYTES
            assert caller.live and caller.violations == []
        record = await here.record(agent_id="voice")
        assert "flood" in kinds(record), record["degraded"]
        assert await here.metric(r'errors_total{kind="flood",stage="tts"}') >= 1


async def test_an_ear_that_gives_ten_thousand_results_a_second(
    tmp_path: Path, speech: Speech
) -> None:
    async with town(tmp_path / "s", speech) as here:
        async with a_call_beside_it(here), here.phone("ear") as caller:
            await caller.wait_for_speech()
            await caller.listen_until_quiet(300, 15_000)
            here.ear.behaviour = Behaviour(flood_frames=10_000)
            for connection in here.ear.connections:
                connection.behave(here.ear.behaviour)
            await caller.say(QUESTION)
            assert await watch_memory(here, 4) < MOST_BYTES
            await caller.listen_until_quiet(400, 15_000)
            assert caller.live and caller.violations == []
        record = await here.record(agent_id="ear")
        assert "flood" in kinds(record), record["degraded"]
        assert await here.metric(r'errors_total{kind="flood",stage="stt"}') >= 1


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"dtmf","digit":"1"}',
        '{"type":"text","text":"what are your opening hours"}',
        '{"type":"control","action":"interrupt"}',
        '{"type":"ping"}',
    ],
)
async def test_a_client_that_sends_ten_thousand_messages_a_second(
    tmp_path: Path, speech: Speech, message: str
) -> None:
    async with town(tmp_path / "s", speech) as here:
        async with a_call_beside_it(here):
            client = here.program()
            await client.place()
            await client.wait_for_speech()

            async def flood() -> None:
                with pytest.raises((ConnectionError, RuntimeError)):
                    while True:
                        for _ in range(100):
                            client.send_raw(message)
                        await asyncio.sleep(0.01)

            task = asyncio.create_task(flood())
            try:
                assert await watch_memory(here, 8) < MOST_BYTES
                await client.wait_ended(30)
            finally:
                task.cancel()
                await asyncio.wait([task])
        record = await here.record(direction="client")
        # It is not read any more: its answers to our pings may be late before ten seconds are over.
        assert record["end_cause"] in ("wire_error", "peer_lost")
        assert kinds(record).count("messages_too_fast") == 1
        assert await here.metric(r'queue_dropped_total{queue="doings"}') > 100


async def test_a_client_that_never_reads(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path / "s", speech) as here:
        async with a_call_beside_it(here):
            client = here.program()
            await client.place()
            await client.wait_for_speech()
            client.vanish()
            assert await watch_memory(here, 5) < MOST_BYTES
            async with asyncio.timeout(40):
                while not any(  # noqa: ASYNC110 - another process brings it about
                    r["direction"] == "client" for r in here.server.records()
                ):
                    await asyncio.sleep(0.2)
        record = await here.record(direction="client")
        assert record["end_cause"] == "peer_lost"
