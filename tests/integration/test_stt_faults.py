"""Calls whose speech-to-text fails: what was said is in the transcript, whole and once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.ai4bharat import AI4BharatSTTSimulator, Segment
from simulators.behaviour import Behaviour
from simulators.bhashini import BhashiniSimulator
from simulators.bhashini.speech import Heard as BhashiniHeard
from simulators.caller.vobiz import VobizCaller
from simulators.deepgram import DeepgramSimulator, Heard
from simulators.speech import Speech
from tests.integration.server import RunningServer, faults, running_server

#: One breath, long enough to be cut in two.
SENTENCE = "मुझे कल सुबह के लिए दो टिकट चाहिए"
WHOLE, PIECE = "दो टिकट चाहिए", "आधा"
AGENT: dict[str, Any] = {
    "name": "Tickets",
    "language": "hi",
    "greeting": "नमस्ते।",
    # A busy machine answers late; what is said to those who wait is tested elsewhere.
    "turns": {"end_of_speech_ms": 200, "hold_after_seconds": 10},
    "call": {"apology": "माफ़ कीजिए।"},
    "stt": {"provider": "deepgram", "fallback": ["bhashini"]},
    "tts": {"provider": "espeak"},
    "llm": {
        "provider": "script",
        "script": {
            "start": "main",
            "intents": {
                "whole": {"samples": [WHOLE], "say": "ठीक है।"},
                "piece": {"samples": [PIECE], "say": "बाकी कहाँ है, मुझे पूरा सुनना है।"},
            },
            "states": {"main": {"no_match": ["फिर से कहिए।"]}},
        },
    },
}
#: Of the sentence, as a recogniser must have heard it.
WHOLE_SHARE = 0.9


@dataclass
class Town:
    """A server, its vendors, and one caller's record."""

    server: RunningServer
    deepgram: DeepgramSimulator
    bhashini: BhashiniSimulator
    ai4bharat: AI4BharatSTTSimulator
    speech: Speech
    heard_ms: list[float] = field(default_factory=list)
    sentence_ms: float = 0.0

    def caller(self, agent: str = "tickets") -> VobizCaller:
        return self.server.phone(self.speech, agent)

    def understood(self, duration_ms: float) -> str:
        """What a vendor makes of so much speech."""
        self.heard_ms.append(duration_ms)
        return WHOLE if duration_ms >= WHOLE_SHARE * self.sentence_ms else PIECE

    async def record(self) -> dict[str, Any]:
        return await self.server.one_record()

    def said(self, record: dict[str, Any]) -> list[str]:
        """The caller's lines in the transcript."""
        text = self.server.stored(record["transcript_text"]).decode()
        return [line.split("user: ")[1] for line in text.splitlines() if "user: " in line]


@asynccontextmanager
async def town(folder: Path, speech: Speech) -> AsyncIterator[Town]:
    """Vendors in good health."""
    async with (
        DeepgramSimulator(api_key="key") as deepgram,
        BhashiniSimulator(api_key="key") as bhashini,
        AI4BharatSTTSimulator() as ai4bharat,
    ):
        env = {
            "DEEPGRAM_API_KEY": "key",
            "DEEPGRAM_BASE_URL": deepgram.base_url,
            "BHASHINI_API_KEY": "key",
            "BHASHINI_BASE_URL": bhashini.base_url,
            "INDIC_STT_SERVER_URL": ai4bharat.base_url,
        }
        agents = {
            "tickets": AGENT,
            "alone": {**AGENT, "stt": {"provider": "deepgram"}},
            "own": {**AGENT, "stt": {"provider": "deepgram", "fallback": ["ai4bharat"]}},
        }
        async with running_server(folder, agents, env) as server:
            for agent_id in server.parts.agents.ids():
                await server.parts.phrases.prepared(agent_id)
            it = Town(server, deepgram, bhashini, ai4bharat, speech)
            pcm = await speech.say(SENTENCE, rate_hz=8000)
            it.sentence_ms = len(pcm) / 8

            def by_deepgram(heard: Heard) -> str:
                return it.understood(heard.duration_ms)

            def by_bhashini(heard: BhashiniHeard) -> str:
                return it.understood(heard.duration_ms)

            def by_ai4bharat(segment: Segment) -> str:
                return it.understood(segment.duration_ms)

            deepgram.utterances = by_deepgram
            bhashini.texts = by_bhashini
            ai4bharat.texts = by_ai4bharat
            yield it


def kinds(record: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(d["kind"], d["provider"]) for d in record["degraded"] if d["stage"] == "stt"]


async def test_a_socket_dropped_in_mid_utterance(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path, speech) as it:
        caller = it.caller()
        async with caller:
            await caller.listen_until_quiet(500, 10_000)
            saying = asyncio.create_task(caller.say(SENTENCE))
            await caller.wait(it.sentence_ms / 2)
            it.deepgram.behave(Behaviour(drop_after_ms=0), on=0)
            await saying
            await caller.listen_until_quiet(700, 10_000)
        record = await it.record()
        assert it.said(record) == [WHOLE]
        assert kinds(record) == [("dropped", "deepgram")]
        assert record["vendors"]["stt"] == ["deepgram"]
        # A greeting and one answer.
        assert len(caller.replies()) == 2
        assert len(it.deepgram.connections) == 2
        assert it.deepgram.violations == []


async def test_an_error_message_in_mid_utterance_and_a_vendor_that_stays_away(
    tmp_path: Path, speech: Speech
) -> None:
    async with town(tmp_path, speech) as it:
        caller = it.caller()
        async with caller:
            await caller.listen_until_quiet(500, 10_000)
            saying = asyncio.create_task(caller.say(SENTENCE))
            await caller.wait(it.sentence_ms / 2)
            it.deepgram.behave(Behaviour(refuse_status=503))
            it.deepgram.behave(Behaviour(error_after_bytes=0), on=0)
            await saying
            await caller.listen_until_quiet(700, 10_000)
        record = await it.record()
        assert it.said(record) == [WHOLE]
        assert kinds(record) == [("server", "deepgram")] * 4
        assert record["vendors"]["stt"] == ["deepgram", "bhashini"]
        assert len(caller.replies()) == 2
        assert it.bhashini.violations == []


async def test_a_server_of_ones_own_hears_what_was_lost(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path, speech) as it:
        caller = it.caller("own")
        async with caller:
            await caller.listen_until_quiet(500, 10_000)
            saying = asyncio.create_task(caller.say(SENTENCE))
            await caller.wait(it.sentence_ms / 2)
            it.deepgram.behave(Behaviour(refuse_status=401))
            it.deepgram.behave(Behaviour(drop_after_ms=0), on=0)
            await saying
            await caller.listen_until_quiet(700, 10_000)
        record = await it.record()
        assert it.said(record) == [WHOLE]
        assert kinds(record) == [("dropped", "deepgram"), ("auth", "deepgram")]
        assert len(it.deepgram.connections) == 2
        assert record["vendors"]["stt"] == ["deepgram", "ai4bharat"]
        assert len(caller.replies()) == 2


async def test_a_connection_that_hangs(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path, speech) as it:
        it.deepgram.behave(Behaviour(accept_delay_ms=60_000))
        caller = it.caller()
        async with caller:
            await caller.listen_until_quiet(200, 10_000)
            await caller.say(SENTENCE)
            await caller.listen_until_quiet(700, 10_000)
        record = await it.record()
        assert it.said(record) == [WHOLE]
        assert kinds(record) == [("connect_timeout", "deepgram")]
        assert len(caller.replies()) == 2


async def test_too_many_requests(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path, speech) as it:
        it.deepgram.behave_next(
            Behaviour(refuse_status=429, retry_after_seconds=0.5),
            Behaviour(),
            Behaviour(refuse_status=429, retry_after_seconds=60),
        )
        for number in range(2):
            caller = it.caller()
            async with caller:
                await caller.listen_until_quiet(500, 10_000)
                await caller.say(SENTENCE)
                await caller.listen_until_quiet(700, 10_000)
            assert len(caller.replies()) == 2, number
        await it.server.parts.manager.settled()
        soon, later = it.server.records()
        assert it.said(soon) == it.said(later) == [WHOLE]
        assert kinds(soon) == kinds(later) == [("rate_limit", "deepgram")]
        assert [d["provider"] for d in faults(soon)] == ["deepgram"]
        assert soon["vendors"]["stt"] == ["deepgram"]
        assert later["vendors"]["stt"] == ["bhashini"]


async def test_a_refused_key_is_not_tried_again_and_other_calls_know_it(
    tmp_path: Path, speech: Speech
) -> None:
    async with town(tmp_path, speech) as it:
        it.deepgram.behave(Behaviour(refuse_status=401))
        for _ in range(2):
            caller = it.caller()
            async with caller:
                await caller.listen_until_quiet(500, 10_000)
                await caller.say(SENTENCE)
                await caller.listen_until_quiet(700, 10_000)
        await it.server.parts.manager.settled()
        first, second = it.server.records()
        assert it.said(first) == it.said(second) == [WHOLE]
        assert (kinds(first), kinds(second)) == ([("auth", "deepgram")], [])
        assert len(it.deepgram.connections) == 1


async def test_a_half_open_socket(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path, speech) as it:
        caller = it.caller()
        async with caller:
            await caller.listen_until_quiet(500, 10_000)
            it.deepgram.behave(Behaviour(half_open_after_ms=0), on=0)
            await caller.say(SENTENCE)
            await caller.listen_until_quiet(700, 10_000)
        record = await it.record()
        assert it.said(record) == [WHOLE]
        assert kinds(record) == [("no_result", "deepgram")]
        assert record["vendors"]["stt"] == ["bhashini"]
        assert len(caller.replies()) == 2


async def test_with_nobody_left_the_caller_hears_an_apology_and_the_call_ends(
    tmp_path: Path, speech: Speech
) -> None:
    async with town(tmp_path, speech) as it:
        caller, other = it.caller("alone"), it.caller("own")
        async with other, caller:
            await caller.listen_until_quiet(500, 10_000)
            await other.listen_until_quiet(500, 10_000)
            it.deepgram.behave(Behaviour(refuse_status=503))
            it.deepgram.behave(Behaviour(drop_after_ms=0), on=[0, 1])
            failed_ms = caller.now_ms
            await caller.wait_ended(15)
            assert caller.duration_ms - failed_ms <= 8_000
            assert len(caller.replies()) == 2
            # The other caller notices nothing.
            await other.say(SENTENCE)
            await other.listen_until_quiet(700, 10_000)
            assert len(other.replies()) == 2
        await it.server.parts.manager.settled()
        records = {record["agent_id"]: record for record in it.server.records()}
        assert records["alone"]["end_cause"] == "provider_failed"
        assert kinds(records["alone"])[-1] == ("exhausted", None)
        assert it.said(records["own"]) == [WHOLE]
