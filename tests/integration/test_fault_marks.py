"""What every fault in a call must leave behind: a count, one warning with the call's id, an entry
in the call's ``degraded``, and another live call that notices nothing."""

import errno
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from prometheus_client import REGISTRY

from api.serve import PING_SECONDS
from serializer.vobiz import VobizDialect
from sessions import deadlines, pace
from sessions.loop_watch import BLOCKED_SECONDS
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech
from tests.integration.server import BRISK_AGENT, RunningServer, faults, running_server

Break = Callable[[RunningServer, VobizCaller, pytest.MonkeyPatch], Awaitable[None]]

MEDIA: dict[str, Any] = {"event": "media", "media": {"track": "inbound", "payload": "f39/f39/"}}


@pytest.fixture
async def server(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[RunningServer]:
    """A server that finds a peer gone within two seconds, where one is to go."""
    is_one_gone = "half-open" in request.node.name
    ping_seconds = 1.0 if is_one_gone else PING_SECONDS
    env = {"DEFAULT_AGENT": "brisk"}
    async with running_server(
        tmp_path, {"brisk": BRISK_AGENT}, env, ping_seconds=ping_seconds
    ) as it:
        yield it


def live(server: RunningServer, caller: VobizCaller) -> Any:
    """The call's session."""
    found = server.parts.manager.find(caller.call_id)
    assert found is not None
    return found


async def counted(stage: str, kind: str, before: float, server: RunningServer) -> None:
    """Wait until it has been counted."""
    await server.until(lambda: errors(stage, kind) > before)


def errors(stage: str, kind: str) -> float:
    """``errors_total`` of that kind."""
    labels = {"stage": stage, "kind": kind}
    return REGISTRY.get_sample_value("errors_total", labels) or 0.0


async def says_nonsense(_: RunningServer, caller: VobizCaller, __: pytest.MonkeyPatch) -> None:
    for text in ("{", "[]", "\x00", '{"event": 7}'):
        caller.send_raw(text)


async def says_everything_twice(
    _: RunningServer, caller: VobizCaller, __: pytest.MonkeyPatch
) -> None:
    for _again in range(3):
        caller.send_raw(json.dumps({**MEDIA, "sequenceNumber": 1, "streamId": caller.stream_id}))


async def begins_twice(_: RunningServer, caller: VobizCaller, __: pytest.MonkeyPatch) -> None:
    caller.send_start_again()
    caller.send_start_again()


async def cuts_samples(
    server: RunningServer, caller: VobizCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = live(server, caller)._intake._dialect
    assert isinstance(dialect, VobizDialect)
    dialect.ignored["odd_length"] += 1  # As its own tests show for 16-bit lines.


async def floods(_: RunningServer, caller: VobizCaller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FLOOD_SECONDS", 1000)
    for _again in range(900):
        caller.send_raw(json.dumps({**MEDIA, "media": {"payload": "/" * 216}}))


async def falls_silent(_: RunningServer, caller: VobizCaller, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deadlines, "ASK_SECONDS", 1.0)
    caller.mute()


async def vanishes(_: RunningServer, caller: VobizCaller, __: pytest.MonkeyPatch) -> None:
    caller.vanish()


async def fills_the_disk(
    server: RunningServer, caller: VobizCaller, patch: pytest.MonkeyPatch
) -> None:
    real, folder = os.write, live(server, caller).session_id

    def no_room(handle: int, data: bytes) -> int:
        if threading.current_thread().name == "journal" and folder in os.readlink(
            f"/proc/self/fd/{handle}"
        ):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    live(server, caller).journal._limit_bytes = 4000
    patch.setattr(os, "write", no_room)


#: What is done to a call, the stage and kind under which it must be told, and whether all calls
#: of the server feel it.
FAULTS: dict[str, tuple[Break, str, str]] = {
    "nonsense": (says_nonsense, "wire", "message_invalid"),
    "duplicate media": (says_everything_twice, "wire", "stale_media"),
    "duplicate start": (begins_twice, "wire", "duplicate_start"),
    "half a sample": (cuts_samples, "wire", "odd_length"),
    "too fast": (floods, "wire", "media_too_fast"),
    "no media": (falls_silent, "wire", "no_media"),
    "half-open": (vanishes, "wire", "peer_lost"),
    "disk": (fills_the_disk, "journal", "recording_failed"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_leaves_its_marks_and_harms_nobody_else(
    fault: str, server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks, stage, kind = FAULTS[fault]
    caller, other = server.phone(speech), server.phone(speech)
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="WARNING")
    try:
        async with other:
            await caller.place()
            await caller.listen_until_quiet(300, 10_000)
            session_id = live(server, caller).session_id
            before = errors(stage, kind)
            await breaks(server, caller, monkeypatch)
            await counted(stage, kind, before, server)
            monkeypatch.undo()
            # The other call goes on as if nothing had happened.
            await other.listen_until_quiet(300, 10_000)
            heard = len(other.replies())
            await other.say("what are your opening hours")
            await other.listen_until_quiet(300, 10_000)
            assert other.live and len(other.replies()) == heard + 1
            if caller.live:
                await caller.hang_up(abort=fault == "half-open")
        await server.until(lambda: len(server.records()) == 2, 60)
    finally:
        logger.remove(sink)
    assert errors(stage, kind) == before + 1
    told = [line for line in lines if session_id in line and kind in line]
    assert len(told) == 1, lines
    records = {record["session_id"]: record for record in server.records()}
    marks = [(d["stage"], d["kind"]) for d in records.pop(session_id)["degraded"]]
    assert marks.count((stage, kind)) == 1
    (unharmed,) = records.values()
    assert faults(unharmed) == [] and unharmed["recording"]["complete"]
    assert unharmed["end_cause"] == "caller_hangup" and other.violations == []


async def test_a_loop_that_stands_still_is_told_of_in_every_call(
    server: RunningServer, speech: Speech
) -> None:
    async with server.phone(speech) as one, server.phone(speech) as two:
        await one.listen_until_quiet(300, 10_000)
        server.parts._loop_watch._blocked_seconds = BLOCKED_SECONDS
        before = errors("loop", "blocked")
        time.sleep(0.8)  # noqa: ASYNC251 - that is the fault
        await server.until(lambda: errors("loop", "blocked") >= before + 2)
        await one.say("what are your opening hours")
        await one.listen_until_quiet(300, 10_000)
        assert len(one.replies()) == 2 and one.live and two.live
    await server.parts.manager.settled()
    for record in server.records():
        assert ("loop", "blocked") in [(d["stage"], d["kind"]) for d in record["degraded"]]
        assert record["end_cause"] == "caller_hangup"
