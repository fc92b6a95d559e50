"""Calls that go from Hindi to Tamil: what the caller hears, and what each vendor is asked for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray

from simulators.caller.client import ClientCaller
from simulators.caller.leg import Leg
from simulators.cartesia import CartesiaSimulator
from simulators.deepgram import DeepgramSimulator
from simulators.openai import OpenAISimulator
from simulators.openai.reply import ChatRequest, Reply, ToolCall
from simulators.speech import Speech
from tests.integration.server import RunningServer, faults, running_server

HINDI_HZ, TAMIL_HZ = 420, 840
HINDI_SPEECH = "मुझे कल सुबह डॉक्टर से मिलना है"
TAMIL_SPEECH = "எனக்கு நாளைக்கு காலையில் டாக்டரைப் பார்க்க வேண்டும்"
HINDI_ANSWER, TAMIL_ANSWER = "जी, बताइए।", "சரி, சொல்லுங்கள்."
SAID = "I would like to see the doctor tomorrow"


def tone_of(frequency_hz: int) -> Any:
    """A voice that is one tone."""

    def voice(_text: str, duration_ms: float, rate_hz: int) -> NDArray[np.float64]:
        times = np.arange(round(duration_ms * rate_hz / 1000)) / rate_hz
        return np.sin(2 * np.pi * frequency_hz * times) * 8000

    return voice


@dataclass(frozen=True, slots=True)
class Town:
    """A server and its vendors; each voice lives with a vendor of its own."""

    server: RunningServer
    ears: DeepgramSimulator
    model: OpenAISimulator
    hindi: CartesiaSimulator
    tamil: CartesiaSimulator

    def languages_heard(self) -> list[str]:
        """In which languages the recogniser was asked to listen, connection by connection."""
        return [dict(c.received.query)["language"] for c in self.ears.connections]

    def check(self) -> None:
        """Every vendor was asked properly, and the Tamil voice for Tamil only."""
        for vendor in (self.ears, self.model, self.hindi, self.tamil):
            assert vendor.violations == []
        assert {spoken.language for spoken in self.hindi.spoken} == {"hi"}
        assert {spoken.language for spoken in self.tamil.spoken} == {"ta"}
        assert {spoken.voice for spoken in self.tamil.spoken} == {"tamil-voice"}


@asynccontextmanager
async def town(
    folder: Path,
    *,
    replies: Any,
    utterances: Sequence[str] = (HINDI_SPEECH,),
    switching: dict[str, Any] | None = None,
) -> AsyncIterator[Town]:
    """An agent of Hindi that may turn to Tamil, in which it has another voice."""
    async with (
        DeepgramSimulator(utterances=utterances, shared_script=True) as ears,
        OpenAISimulator(replies=replies) as model,
        CartesiaSimulator(voice=tone_of(HINDI_HZ)) as hindi,
        CartesiaSimulator(voice=tone_of(TAMIL_HZ)) as tamil,
    ):
        agent = {
            "language": "hi",
            "languages": ["ta"],
            "greeting": "नमस्ते।",
            "stt": {"provider": "deepgram"},
            "llm": {"provider": "openai"},
            "tts": {
                "provider": "cartesia",
                "cartesia": {"voice_id": "hindi-voice"},
                "languages": {
                    "ta": {"cartesia": {"voice_id": "tamil-voice", "base_url": tamil.base_url}}
                },
            },
            "language_switching": switching or {},
        }
        env = {
            "DEFAULT_AGENT": "sathi",
            "DEEPGRAM_BASE_URL": ears.base_url,
            "OPENAI_BASE_URL": model.base_url,
            "CARTESIA_BASE_URL": hindi.base_url,
            "DEEPGRAM_API_KEY": "d",
            "OPENAI_API_KEY": "o",
            "CARTESIA_API_KEY": "c",
        }
        async with running_server(folder / "server", {"sathi": agent}, env) as server:
            await server.parts.phrases.prepared("sathi")
            yield Town(server, ears, model, hindi, tamil)


def pitches(caller: Leg) -> list[int]:
    """Which voice spoke each stretch of what the caller heard: its tone in Hz."""
    samples = caller.heard.astype(float)
    rate_hz = round(samples.size / caller.duration_ms) * 1000
    found = []
    for reply in caller.replies():
        start, end = (int(ms * rate_hz / 1000) for ms in (reply.start_ms, reply.end_ms))
        spectrum = np.abs(np.fft.rfft(samples[start:end]))
        loudest = float(np.argmax(spectrum)) * rate_hz / max(1, end - start)
        found.append(min((HINDI_HZ, TAMIL_HZ), key=lambda hz: abs(hz - loudest)))
    return found


async def ask(caller: Leg) -> None:
    """Say something and hear the answer."""
    await caller.say(SAID)
    await caller.listen_until_quiet(900, 12_000)


def in_the_language_noted(chat: ChatRequest) -> str:
    """What a model answers that does as the newest note says."""
    notes = [m for m in chat.messages if "From now on answer in" in str(m.get("content"))]
    assert len(notes) <= 1
    return TAMIL_ANSWER if notes and "Tamil" in str(notes[0]["content"]) else HINDI_ANSWER


def by_tool(chat: ChatRequest) -> Reply | str:
    """A model that changes the language when it is asked for the first time."""
    if chat.number == 0:
        assert "switch_language" in str(chat.body["tools"])
        arguments = '{"language": "ta"}'
        return Reply(tool_calls=(ToolCall("switch_language", arguments, "call-1"),))
    return in_the_language_noted(chat)


async def test_by_tool(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path, replies=by_tool) as there:
        async with there.server.phone(speech, agent="sathi") as caller:
            await caller.listen_until_quiet(700, 10_000)
            await ask(caller)
            await ask(caller)
        assert pitches(caller) == [HINDI_HZ, TAMIL_HZ, TAMIL_HZ]
        assert there.languages_heard() == ["hi", "ta"]
        there.check()
        record = await there.server.one_record()
        assert [(c["language"], c["reason"]) for c in record["language_changes"]] == [
            ("ta", "tool")
        ]
        assert faults(record) == []
        lines = there.server.stored(record["transcript"]).decode()
        assert lines.count('"language":"ta"') >= 3 and lines.count('"language":"hi"') >= 2


async def test_by_key_and_back(tmp_path: Path, speech: Speech) -> None:
    keys = {"keys": {"1": "hi", "2": "ta"}}
    async with town(tmp_path, replies=in_the_language_noted, switching=keys) as there:
        async with there.server.phone(speech, agent="sathi") as caller:
            await caller.listen_until_quiet(700, 10_000)
            for key in "21":
                caller.press(key)
                await caller.listen_until_quiet(900, 12_000)
                await ask(caller)
        assert pitches(caller) == [HINDI_HZ, TAMIL_HZ, TAMIL_HZ, HINDI_HZ, HINDI_HZ]
        assert there.languages_heard() == ["hi", "ta", "hi"]
        there.check()


async def test_by_speech(tmp_path: Path, speech: Speech) -> None:
    said = [HINDI_SPEECH, TAMIL_SPEECH, TAMIL_SPEECH]
    async with town(
        tmp_path,
        replies=in_the_language_noted,
        utterances=said,
        switching={"by_speech": True, "by_tool": False},
    ) as there:
        async with there.server.phone(speech, agent="sathi") as caller:
            await caller.listen_until_quiet(700, 10_000)
            for _ in said:
                await ask(caller)
        assert pitches(caller) == [HINDI_HZ, HINDI_HZ, TAMIL_HZ, TAMIL_HZ]
        assert there.languages_heard() == ["hi", "ta"]
        assert not any("tools" in chat.body for chat in there.model.chats)
        there.check()


async def test_by_the_servers_interface(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path, replies=in_the_language_noted) as there:
        async with (
            there.server.phone(speech, agent="sathi") as caller,
            aiohttp.ClientSession() as http,
        ):
            await caller.listen_until_quiet(700, 10_000)
            (session,) = there.server.parts.manager
            door = f"{there.server.http}/api/v1/calls/{session.session_id}/language"
            for body, status in (
                ({"language": "Tamil"}, 202),
                ({"language": "ta"}, 202),
                ({"language": "te"}, 409),
                ({"language": "Klingon"}, 422),
                ({}, 422),
            ):
                async with http.post(door, json=body) as answer:
                    assert answer.status == status, await answer.text()
            async with http.post(door.replace(session.session_id, "nobody"), json=body) as answer:
                assert answer.status in (404, 422)
            await ask(caller)
        assert pitches(caller) == [HINDI_HZ, TAMIL_HZ]
        assert there.languages_heard() == ["hi", "ta"]
        there.check()


async def test_by_a_client_program(tmp_path: Path, speech: Speech) -> None:
    async with town(tmp_path, replies=in_the_language_noted) as there:
        client: ClientCaller = there.server.program(speech, format="pcm_16k")
        async with client:
            await client.listen_until_quiet(700, 10_000)
            client.send_raw('{"type":"control","action":"language","language":"ta"}')
            await there.server.until(lambda: there.languages_heard() == ["hi", "ta"])
            await ask(client)
            await client.end()
        assert pitches(client) == [HINDI_HZ, TAMIL_HZ]
        there.check()


async def test_a_voice_that_is_away_leaves_the_call_as_it_is(
    tmp_path: Path, speech: Speech
) -> None:
    async with town(tmp_path, replies=by_tool) as there:
        await there.tamil.stop()
        async with there.server.phone(speech, agent="sathi") as caller:
            await caller.listen_until_quiet(700, 10_000)
            await ask(caller)
        assert pitches(caller) == [HINDI_HZ, HINDI_HZ]
        record = await there.server.one_record()
        assert record["language_changes"] == []
        assert ("language", "unavailable") in [(d["stage"], d["kind"]) for d in record["degraded"]]
        assert "cannot be spoken now" in str(there.model.chats[-1].messages)
