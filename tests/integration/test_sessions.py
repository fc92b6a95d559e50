"""How calls end by themselves, what a faulty part may not do to them, and what is kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.events import AgentStateChanged, CallerTranscript
from simulators.caller.client import ClientCaller, ClientRefused
from simulators.caller.wire import WireRefused
from simulators.speech import Speech
from tests.integration.faulty import faulty_catalog
from tests.integration.server import (
    BRISK_AGENT,
    BUSY_SECONDS,
    RunningServer,
    faults,
    running_server,
)
from tests.minio import free_port, s3_server

LIMITED: dict[str, Any] = {
    **BRISK_AGENT,
    "greeting": "Short.",
    "call": {"max_duration_seconds": 1.5, "farewell": "Our time is up."},
}
PATIENT: dict[str, Any] = {
    **BRISK_AGENT,
    "greeting": "Short.",
    "turns": {"no_input_seconds": 0},
    "call": {"silence_hangup_seconds": 2.5},
}
WORDY: dict[str, Any] = {
    **LIMITED,
    "call": {"max_duration_seconds": 1, "farewell": "And so we come to the very end. " * 8},
}
UNRECORDED: dict[str, Any] = {**BRISK_AGENT, "recording": {"enabled": False}}


def with_llm(name: str) -> dict[str, Any]:
    return {**BRISK_AGENT, "llm": {"provider": name}, "call": {"apology": "We are sorry."}}


@pytest.fixture
async def many(tmp_path: Path) -> AsyncIterator[RunningServer]:
    """A server with agents for every trouble."""
    agents = {
        "brisk": BRISK_AGENT,
        "limited": LIMITED,
        "patient": PATIENT,
        "wordy": WORDY,
        "unrecorded": UNRECORDED,
        **{name: with_llm(name) for name in ("stuck", "unusable", "crashing")},
    }
    env = {"DEFAULT_AGENT": "brisk"}
    async with running_server(tmp_path / "s", agents, env, providers=faulty_catalog()) as it:
        for agent_id in it.parts.agents.ids():
            await it.parts.phrases.prepared(agent_id)
        yield it


async def record_of(server: RunningServer, agent: str) -> dict[str, Any]:
    (record,) = [r for r in server.records() if r["agent_id"] == agent]
    return record


async def test_calls_end_by_themselves(many: RunningServer, speech: Speech) -> None:
    async def wait_for_end(agent: str, phone: bool) -> Any:
        caller: Any = many.phone(speech, agent) if phone else many.program(speech, agent_id=agent)
        async with caller:
            await caller.wait_ended()
        assert caller.violations == [], agent
        return caller

    limited, patient, program = await asyncio.gather(
        wait_for_end("limited", True), wait_for_end("patient", True), wait_for_end("limited", False)
    )
    assert 1500 < limited.duration_ms < 6000 + BUSY_SECONDS * 1000
    assert limited.log.lost_to_stop_ms == 0
    assert [line.text for line in program.transcript][-1] == "Our time is up."
    assert (program.close_code, program.close_reason) == (1000, "max_duration")
    assert 2500 < patient.duration_ms < 7000 + BUSY_SECONDS * 1000
    await many.parts.manager.settled()
    ends = [(r["agent_id"], r["end_cause"]) for r in many.records()]
    assert sorted(ends) == [
        ("limited", "max_duration"),
        ("limited", "max_duration"),
        ("patient", "silence"),
    ]
    for record in many.records():
        if record["agent_id"] == "limited":
            assert "Our time is up." in many.stored(record["transcript_text"]).decode()


async def test_nobody_says_farewell_to_a_caller_who_has_gone(
    many: RunningServer, speech: Speech
) -> None:
    caller = many.phone(speech, "wordy")
    async with caller:
        # Whatever greeting comes before it ends sooner than this; the farewell lasts far longer.
        await caller.until(
            lambda: any(reply.end_ms > 4_000 for reply in caller.replies()), 20_000, "the farewell"
        )
    await many.until(lambda: many.parts.manager.active == 0)
    await many.parts.manager.settled()
    record = await record_of(many, "wordy")
    assert record["end_cause"] == "max_duration"
    assert record["duration_seconds"] < caller.duration_ms / 1000 + 2


async def test_a_pipeline_that_does_not_end_holds_nobody_up(
    many: RunningServer, speech: Speech
) -> None:
    client = many.program(speech, agent_id="stuck")
    async with client:
        await client.wait_for_speech()
        began = asyncio.get_running_loop().time()
        await client.end(timeout_seconds=5 + BUSY_SECONDS)
        assert asyncio.get_running_loop().time() - began < 4 + BUSY_SECONDS
    assert client.close_code == 1000
    await many.until(lambda: many.parts.manager.active == 0, 30)
    await many.parts.manager.settled()
    record = await record_of(many, "stuck")
    assert record["end_cause"] == "client_end"
    assert not [t for t in asyncio.all_tasks() if "StuckLLM" in t.get_name()]


async def test_an_agent_that_cannot_be_built_apologises(
    many: RunningServer, speech: Speech
) -> None:
    async def told(agent: str) -> ClientCaller:
        client = many.program(speech, agent_id=agent)
        async with client:
            await client.wait_ended()
        assert client.violations == [], agent
        return client

    caller = many.phone(speech, "unusable")
    unusable, crashing, _ = await asyncio.gather(told("unusable"), told("crashing"), caller.place())
    await caller.wait_ended()
    assert [e.code for e in unusable.errors] == ["provider_failed"]
    assert unusable.close_code == 1011
    assert [e.code for e in crashing.errors] == ["provider_failed"]
    assert crashing.close_code == 1011
    assert caller.violations == []
    assert caller.replies() and caller.log.lost_to_stop_ms == 0
    await many.parts.manager.settled()
    ends = {(r["agent_id"], r["direction"]): r["end_cause"] for r in many.records()}
    assert ends == {
        ("unusable", "client"): "provider_failed",
        ("unusable", "inbound"): "provider_failed",
        ("crashing", "client"): "provider_failed",
    }
    assert (
        "We are sorry."
        in many.stored((await record_of_phone(many, "unusable"))["transcript_text"]).decode()
    )
    # The others notice nothing.
    async with many.program(speech) as good:
        await good.wait_for_speech()


async def record_of_phone(server: RunningServer, agent: str) -> dict[str, Any]:
    return next(
        r for r in server.records() if r["agent_id"] == agent and r["direction"] == "inbound"
    )


async def test_an_agent_may_forbid_recording(many: RunningServer, speech: Speech) -> None:
    async with many.phone(speech, "unrecorded") as caller:
        await caller.listen_until_quiet(300, 10_000)
    await many.parts.manager.settled()
    record = await record_of(many, "unrecorded")
    assert record["recording"]["state"] == "off" and record["recording"]["file"] is None
    assert "Welcome" in many.stored(record["transcript_text"]).decode()
    assert list((many.data_dir / "storage").rglob("*.wav")) == []
    assert list((many.data_dir / "journal").iterdir()) == []


async def test_a_failing_sink_or_reader_stays_with_its_call(
    many: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, other = many.program(speech), many.program(speech)
    await victim.place()
    (session,) = many.parts.manager
    await other.place()
    await asyncio.gather(victim.wait_for_speech(), other.wait_for_speech())

    def fails(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(session.journal, "event", fails)
    session.emit(AgentStateChanged(at_ms=0, state="thinking"))
    monkeypatch.undo()
    # For good: a bot is taken apart at the end of its call.
    session._bot.press = fails  # type: ignore[assignment, method-assign]
    victim.press("1")
    await victim.wait_ended()
    assert [e.code for e in victim.errors] == ["internal"]
    assert victim.close_code == 1011
    assert other.live
    await other.hang_up()
    await many.parts.manager.settled()
    ends = sorted(record["end_cause"] for record in many.records())
    assert ends == ["caller_hangup", "internal_error"]


async def test_half_a_character_of_a_vendor_ends_nothing(
    many: RunningServer, speech: Speech
) -> None:
    """A lone surrogate, which Python's JSON reader lets through and no encoder will have."""
    caller = many.program(speech)
    await caller.place()
    await caller.wait_for_speech()
    (session,) = many.parts.manager
    session.emit(
        CallerTranscript(
            at_ms=1.0,
            text="half \ud83d of it",
            final=True,
            started_ms=0.0,
            language="en-IN",
            confidence=None,
            provider="deepgram",
        )
    )
    await many.until(lambda: any("half ? of it" in line.text for line in caller.transcript))
    assert caller.live
    await caller.hang_up()
    record = await many.one_record()
    assert record["end_cause"] == "caller_hangup"
    assert "half ? of it" in many.stored(record["transcript_text"]).decode()


async def test_audio_faster_than_speech_is_left_out_and_said(
    server: RunningServer, speech: Speech
) -> None:
    client = server.program(speech, binary=True)
    client.mute()
    async with client:
        await client.wait_for_speech()
        second = bytes(32_000)
        for _ in range(30):
            client.send_binary(second)
        await client.ping(10_000)
        assert client.live
    record = await server.one_record()
    assert {d["kind"] for d in faults(record)} == {"media_too_fast"}
    assert [d["kind"] for d in record["degraded"]].count("media_too_fast") == 1
    assert record["recording"]["caller_ms"] < 8000


async def test_more_calls_than_lines(tmp_path: Path, speech: Speech) -> None:
    env = {"DEFAULT_AGENT": "brisk", "MAX_CONNECTIONS": "2"}
    async with running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as it:
        clients = [it.program(speech) for _ in range(6)]
        ends = await asyncio.gather(*(c.place() for c in clients), return_exceptions=True)
        # Before the upgrade, or after it where others were let in meanwhile.
        refused = [
            end
            for end in ends
            if (isinstance(end, ClientRefused) and end.code == "server_full")
            or (isinstance(end, WireRefused) and end.status == 503)
        ]
        assert len(refused) == 4
        assert it.parts.manager.active == 2
        full = [c for c, end in zip(clients, ends, strict=True) if end is not None]
        assert {c.close_code for c in full} <= {1013, None}
        async with aiohttp.ClientSession(it.http) as http:
            async with http.get("/health/ready") as answer:
                assert answer.status == 503
                assert (await answer.json())["reason"] == "full"
            async with http.get("/metrics") as answer:
                text = await answer.text()
                assert 'admission_refused_total{reason="server_full"}' in text
                assert "sessions_active 2.0" in text
        await asyncio.gather(*(c.hang_up() for c in clients))
        await it.until(lambda: it.parts.manager.active == 0)
        async with it.program(speech) as client:
            await client.wait_for_speech()


# Agents


async def test_a_live_call_keeps_the_agent_it_began_with(
    server: RunningServer, speech: Speech
) -> None:
    file = server.agents_dir / "brisk.json"
    changed = {**BRISK_AGENT, "greeting": "A new greeting."}

    async with server.program(speech) as old:
        await old.listen_until_quiet(300, 10_000)
        before = server.parts.agents.get("brisk")
        file.write_text(json.dumps(changed))
        await server.until(lambda: server.parts.agents.get("brisk") is not before)
        await server.parts.phrases.prepared("brisk")
        async with server.program(speech) as new:
            await new.listen_until_quiet(300, 10_000)
        old.text("what are your opening hours")
        await old.listen_until_quiet(300, 10_000)
        assert old.transcript[-1].text == "We open at nine."
    assert new.transcript[0].text == "A new greeting."
    await server.parts.manager.settled()
    first, second = server.records()
    assert first["agent_hash"] != second["agent_hash"]


async def test_agents_come_change_and_go_while_the_server_runs(
    server: RunningServer, speech: Speech
) -> None:
    async def health(http: aiohttp.ClientSession) -> dict[str, Any]:
        async with http.get("/health") as answer:
            body: dict[str, Any] = await answer.json()
            return body

    file = server.agents_dir / "late.yaml"
    agents = server.parts.agents
    async with aiohttp.ClientSession(server.http) as http:
        file.write_text(json.dumps({**BRISK_AGENT, "greeting": "I am new here."}))
        await server.until(lambda: agents.find("late"))
        async with server.program(speech, agent_id="late") as client:
            await client.listen_until_quiet(300, 10_000)
        assert client.transcript[0].text == "I am new here."
        assert (await health(http))["status"] == "healthy"

        file.write_text(json.dumps({**BRISK_AGENT, "greting": "typo"}))
        await server.until(lambda: agents.rejects)
        said = await health(http)
        assert said["status"] == "degraded"
        reason = said["rejected_agents"]["late.yaml"]
        async with http.get("/metrics") as answer:
            assert 'config_rejects{file="late.yaml"} 1.0' in await answer.text()
        assert "late.yaml" in reason and "greting" in reason and "greeting" in reason
        async with server.program(speech, agent_id="late") as client:
            await client.listen_until_quiet(300, 10_000)
        assert client.transcript[0].text == "I am new here."

        file.unlink()
        await server.until(lambda: agents.find("late") is None)
        with pytest.raises(ClientRefused) as refusal:
            await server.program(speech, agent_id="late").place()
        assert refusal.value.code == "agent_unknown"
        assert (await health(http))["status"] == "healthy"

        keyed = {**BRISK_AGENT, "stt": {"provider": "deepgram"}}
        (server.agents_dir / "keyed.json").write_text(json.dumps(keyed))
        await server.until(lambda: agents.rejects)
        said = await health(http)
        assert said["status"] == "healthy" and said["rejected_agents"] == {}
        assert "DEEPGRAM_API_KEY" in said["agents_that_need_keys"]["keyed.json"]


# Storage


async def test_calls_are_served_while_minio_is_away(tmp_path: Path, speech: Speech) -> None:
    with s3_server() as store:
        store.stop()
        options = store.options()
        env = {
            "DEFAULT_AGENT": "brisk",
            "STORAGE_KIND": "minio",
            "MINIO_ENDPOINT": options.endpoint,
            "MINIO_ACCESS_KEY": options.access_key.get_secret_value(),
            "MINIO_SECRET_KEY": options.secret_key.get_secret_value(),
        }
        async with running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server:
            async with server.phone(speech) as caller:
                await caller.listen_until_quiet(300, 10_000)
            await server.parts.manager.settled()
            assert server.parts.manager.stored(caller.call_id) is None
            assert len(list((server.data_dir / "journal").iterdir())) == 1
            async with aiohttp.ClientSession(server.http) as http:
                async with http.get("/health") as answer:
                    assert answer.status == 200
                    said = await answer.json()
                    assert said["status"] == "degraded"
                    assert said["services"]["storage"] != "ok"
                async with http.get("/metrics") as answer:
                    assert "spool_files 1.0" in await answer.text()
                store.start()
                await server.until(lambda: server.parts.manager.stored(caller.call_id), 60)
                await server.parts.manager.settled()
                async with http.get(f"/api/v1/calls/{caller.call_id}") as answer:
                    places = await answer.json()
            assert places["recording"].startswith("minio://recordings/")
            assert places["record"].startswith("minio://transcripts/")
            notices = places["details"]["notices"]
            assert [n["name"] for n in notices].count("hangup") == 1
            await server.until(lambda: not list((server.data_dir / "journal").iterdir()))


async def test_a_dead_store_does_not_keep_the_server_from_starting(
    tmp_path: Path, speech: Speech
) -> None:
    env = {
        "DEFAULT_AGENT": "brisk",
        "STORAGE_KIND": "minio",
        "MINIO_ENDPOINT": f"127.0.0.1:{free_port()}",
        "MINIO_ACCESS_KEY": "nobody",
        "MINIO_SECRET_KEY": "nothing-at-all",
    }
    async with (
        running_server(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server,
        server.program(speech) as client,
    ):
        await client.wait_for_speech()
