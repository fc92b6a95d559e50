"""Lines, disks and clocks that do what they should not, in the middle of a call."""

import asyncio
import errno
import os
import threading
import time
from functools import partial

import pytest

from api.serve import PING_SECONDS
from sessions import deadlines, pace
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech
from tests.integration.server import RunningServer, faults


async def test_a_line_on_which_nothing_comes(
    server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "ASK_SECONDS", 1.0)
    monkeypatch.setattr(deadlines, "NO_MEDIA_SECONDS", 5.0)
    caller, other = server.phone(speech), server.phone(speech)
    async with caller, other:
        await caller.listen_until_quiet(300, 10_000)
        caller.mute()
        await caller.until(lambda: len(caller.replies()) == 2, 10_000, "the prompt")
        await caller.wait_ended()
        assert other.live
    assert caller.violations == []
    await server.parts.manager.settled()
    records = {r["carrier_call_id"]: r for r in server.records()}
    record = records[caller.call_id]
    assert record["end_cause"] == "peer_lost"
    assert [(d["stage"], d["kind"]) for d in faults(record)] == [("wire", "no_media")]
    assert "Are you still there?" in server.stored(record["transcript_text"]).decode()
    assert faults(records[other.call_id]) == []


async def test_a_line_that_comes_back_after_the_prompt(
    server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "ASK_SECONDS", 1.0)
    async with server.phone(speech) as caller:
        await caller.listen_until_quiet(300, 10_000)
        for _ in range(2):
            before = len(caller.replies())
            caller.mute()
            await caller.until(partial(_spoken_to, caller, before), 10_000, "the prompt")
            caller.mute(False)
            await caller.listen_until_quiet(300, 10_000)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(400, 10_000)
    record = await server.one_record()
    assert [d["kind"] for d in faults(record)] == ["no_media"] * 2
    assert "We open at nine." in server.stored(record["transcript_text"]).decode()


async def test_a_disk_that_fails_in_a_call(
    server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def no_room(handle: int, data: bytes) -> int:
        if threading.current_thread().name == "journal":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    server.parts.journals._limit_bytes = 4000
    async with server.phone(speech) as caller:
        await caller.listen_until_quiet(300, 10_000)
        (call,) = server.parts.manager
        monkeypatch.setattr(os, "write", no_room)
        await server.until(lambda: call.journal.dropped_packets)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(400, 10_000)
        assert caller.live and len(caller.replies()) == 2
    assert caller.violations == []
    await server.until(lambda: server.parts.manager.active == 0)
    assert server.records() == []
    # What the full disk would not take is written as soon as there is room.
    monkeypatch.undo()
    await server.until(lambda: server.records(), 60)
    record = await server.one_record()
    assert record["end_cause"] == "caller_hangup"
    assert (record["recording"]["state"], record["recording"]["complete"]) == ("failed", False)
    assert record["recording"]["file"]["size_bytes"] > 8000
    assert ("journal", "recording_failed") in {(d["stage"], d["kind"]) for d in record["degraded"]}
    assert "We open at nine." in server.stored(record["transcript_text"]).decode()


def _spoken_to(caller: VobizCaller, before: int) -> bool:
    return len(caller.replies()) > before


@pytest.mark.parametrize("jump_seconds", [7200.0, -7200.0])
async def test_a_clock_that_jumps_in_a_call(
    server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch, jump_seconds: float
) -> None:
    real = time.time
    async with server.phone(speech) as caller:
        await caller.listen_until_quiet(300, 10_000)
        monkeypatch.setattr(time, "time", lambda: real() + jump_seconds)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(400, 10_000)
        assert caller.live
    record = await server.one_record()
    monkeypatch.undo()
    assert record["end_cause"] == "caller_hangup"
    assert 1 < record["duration_seconds"] < 60
    assert record["recording"]["duration_ms"] < 60_000
    assert faults(record) == []
    assert "We open at nine." in server.stored(record["transcript_text"]).decode()


async def test_a_flood_of_sound_ends_its_call_alone(
    server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FLOOD_SECONDS", 2)
    flood, other = server.program(speech, binary=True), server.phone(speech)
    flood.mute()
    await flood.place()
    async with other:
        await flood.wait_for_speech()
        async with asyncio.timeout(30):
            while flood.live:
                flood.send_binary(bytes(3200))
                await asyncio.sleep(0.02)
        assert (flood.close_code, flood.close_reason) == (1008, "wire_error")
        assert [error.code for error in flood.errors] == ["too_many_errors"]
        await other.listen_until_quiet(300, 10_000)
        assert other.live and other.violations == []
    await server.parts.manager.settled()
    ends = {record["direction"]: record["end_cause"] for record in server.records()}
    assert ends == {"client": "wire_error", "inbound": "caller_hangup"}


async def test_sound_that_is_missing_stays_missing_in_the_recording(
    server: RunningServer, speech: Speech
) -> None:
    async with server.phone(speech) as caller:
        await caller.listen_until_quiet(300, 10_000)
        caller.mute()
        await caller.wait(1500)
        caller.mute(False)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(400, 10_000)
    record = await server.one_record()
    sound = record["recording"]
    assert sound["state"] == "stored" and sound["complete"]
    missing_ms = sound["duration_ms"] - sound["caller_ms"]
    assert 1300 < missing_ms < 3000
    assert abs(sound["duration_ms"] - record["duration_seconds"] * 1000) < 1000


def test_a_peer_that_is_gone_is_noticed_within_twenty_seconds() -> None:
    assert 2 * PING_SECONDS <= 20
