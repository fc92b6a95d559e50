"""What is told of a call, by which step, in which order, and not twice."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.events import CallEnded, CallerSpeechStarted, CallEvent, CallStarted, TurnMetrics
from config.agent import AgentConfig
from config.errors import StorageError
from sessions.facts import CallFacts
from sessions.journal_format import JournalHeader
from sessions.keeper import StoredCall
from sessions.outbox import folder as outbox_folder
from sessions.outbox.calls import CallReports
from sessions.outbox.courier import CourierOptions, DeliveryError
from sessions.outbox.receiver import Draft
from sessions.outbox.report import Report
from sessions.outbox.told import CallEnd, ToldCall
from sessions.record import RecordingRecord, make_record
from tests.unit.bot.agents import make_agent
from tests.unit.sessions.journals import STARTED_AT, header
from tests.unit.sessions.outbox.logs import logged
from tests.until import until

OPTIONS = CourierOptions(first_pause_seconds=0.01, longest_pause_seconds=0.02)
STARTED = CallStarted(
    at_ms=0.0, carrier_call_id="c-1", from_number=None, to_number=None, direction="inbound"
)
ENDED = CallEnd(at="2026-11-01T06:30:42.750+00:00", cause="caller_hangup", duration_seconds=42.5)


@dataclass
class Receiver:
    """Wants to hear of every step."""

    name: str = "the receiver"
    kind: str = "backend"
    folder: str = "backend"
    up: bool = True
    heard: list[tuple[str, str, Any]] = field(default_factory=list)

    def started(self, call: ToldCall) -> Sequence[Draft]:
        """As the protocol."""
        return [self._draft("1-started", call, call.started_at)]

    def ended(self, call: ToldCall, end: CallEnd) -> Sequence[Draft]:
        """As the protocol."""
        return [self._draft("2-ended", call, f"{end.at} {end.cause} {end.duration_seconds}")]

    def stored(self, call: ToldCall, end: CallEnd, stored: StoredCall) -> Sequence[Draft]:
        """As the protocol."""
        return [self._draft("3-stored", call, stored.transcript_text)]

    def busy(self, call: ToldCall) -> Sequence[Draft]:
        """As the protocol."""
        return [self._draft("0-busy", call, call.started_at)]

    async def deliver(self, report: Report) -> None:
        """As the protocol."""
        if not self.up:
            raise DeliveryError("unreachable", "away")
        self.heard.append((report.path, report.key, report.body))

    def steps(self) -> list[str]:
        """What was heard."""
        return [step for step, _, _ in self.heard]

    def _draft(self, step: str, call: ToldCall, body: str) -> Draft:
        key = f"{call.session_id}-{step}"
        return Draft(step, Report(key=key, method="POST", path=step, body=body))


@asynccontextmanager
async def reporting(path: Path, *receivers: Receiver) -> AsyncIterator[CallReports]:
    """Reports until the block ends."""
    reports = CallReports(path, receivers, options=OPTIONS)
    await reports.start()
    try:
        yield reports
    finally:
        await reports.close(30)  # At once where nothing more is to be delivered.


def ending(head: JournalHeader) -> tuple[JournalHeader, CallEvent]:
    """The last event of a call."""
    return head, CallEnded(at_ms=42_500.0, cause="caller_hangup")


def stored_call(head: JournalHeader) -> StoredCall:
    """A call whose parts are safe."""
    turn = TurnMetrics(at_ms=9.0, turn=1, response_ms=400.0, stt_ms=1.0, llm_ms=2.0, tts_ms=3.0)
    record = make_record(head, [STARTED, turn, ending(head)[1]], RecordingRecord(state="empty"))
    return StoredCall(record=record, transcript_text="hello", record_key="r", record_url="file:r")


async def empty(reports: CallReports) -> None:
    """Wait until nothing waits."""
    await until(lambda: not reports.waiting())


async def test_each_step_of_a_call_is_told_once_and_in_order(tmp_path: Path) -> None:
    receiver, head = Receiver(), header(carrier_call_id="c-1")
    async with reporting(tmp_path / "outbox", receiver) as reports:
        reports.event(head, STARTED)
        reports.event(head, CallerSpeechStarted(at_ms=5.0))
        reports.event(*ending(head))
        await reports.call_stored(stored_call(head))
        reports.call_safe(stored_call(head))
        await empty(reports)
    assert receiver.steps() == ["1-started", "2-ended", "3-stored"]
    assert receiver.heard[1][2] == f"{ENDED.at} {ENDED.cause} {ENDED.duration_seconds}"
    assert not any((tmp_path / "outbox" / "told").iterdir())
    assert reports.dropped == 0


async def test_what_a_process_that_died_had_not_told_is_told_by_the_next(tmp_path: Path) -> None:
    receiver, head = Receiver(), header(carrier_call_id="c-1")
    async with reporting(tmp_path / "outbox", receiver) as reports:
        reports.event(head, STARTED)
        await asyncio.sleep(0)
    # The next process finds the journal, and says what is missing; nothing is said again.
    for _ in range(2):
        async with reporting(tmp_path / "outbox", receiver) as reports:
            await reports.call_stored(stored_call(head))
            await empty(reports)
    assert receiver.steps() == ["1-started", "2-ended", "3-stored"]
    assert len({key for _, key, _ in receiver.heard}) == 3


async def test_reports_that_were_not_delivered_outlive_the_process(tmp_path: Path) -> None:
    away, head = Receiver(up=False), header(carrier_call_id="c-1")
    async with reporting(tmp_path / "outbox", away) as reports:
        reports.event(head, STARTED)
        reports.event(*ending(head))
        await reports.call_stored(stored_call(head))
        await until(reports.troubles)
        assert reports.waiting() == 3 and reports.troubles() == {"the receiver": "unreachable"}
        assert reports.waiting_by_kind()["backend"][0] == 3
    receiver = Receiver()
    with logged("INFO") as lines:
        async with reporting(tmp_path / "outbox", receiver) as reports:
            await empty(reports)
    assert receiver.steps() == ["1-started", "2-ended", "3-stored"]
    assert "3 reports wait for the receiver from before" in lines


async def test_a_disk_that_fails_never_fails_a_live_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, head = Receiver(), header(carrier_call_id="c-1")
    async with reporting(tmp_path / "outbox", receiver) as reports:
        with monkeypatch.context() as full:

            def no_room(path: Path, data: bytes) -> None:
                raise OSError(28, "no space left on device")

            full.setattr(outbox_folder, "write_whole", no_room)
            reports.event(head, STARTED)
            reports.event(*ending(head))
            with pytest.raises(StorageError, match="no space left") as caught:
                await reports.call_stored(stored_call(head))
            assert caught.value.code == "report_unwritten"
            assert reports.dropped == 2 and reports.waiting() == 0
        await reports.call_stored(stored_call(head))  # The keeper has kept the journal.
        await empty(reports)
    assert receiver.steps() == ["1-started", "2-ended", "3-stored"]


class FailingDisk:
    """Fails once, at one place of the outbox."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        self._patch = monkeypatch
        self._place = place
        self.failed = 0

    def at(self, where: Any, name: str) -> None:
        """Have the function of that name fail for a path below the place."""
        real = getattr(where, name)

        def failing(path: Path, *args: Any, **options: Any) -> Any:
            if not self.failed and path.is_relative_to(self._place):
                self.failed += 1
                raise OSError(5, "input/output error")
            return real(path, *args, **options)

        self._patch.setattr(where, name, failing)


@pytest.mark.parametrize(
    ("place", "where", "function"),
    [
        ("webhook-1", outbox_folder, "write_whole"),
        ("backend", outbox_folder, "sync_folder"),
        ("webhook-1", outbox_folder, "sync_folder"),
        ("told", Path, "touch"),
    ],
    ids=["the next receiver's", "the name's", "the next receiver's name", "the mark"],
)
@pytest.mark.parametrize("up", [True, False], ids=["heard at once", "heard later"])
async def test_a_write_that_fails_changes_no_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    where: Any,
    function: str,
    up: bool,
) -> None:
    """What lies on disk after half a step is not forgotten: the end would be told before it."""
    one = Receiver(up=up)
    other = Receiver(name="other", kind="webhook", folder="webhook-1", up=up)
    head, outbox = header(carrier_call_id="c-1"), tmp_path / "outbox"
    disk = FailingDisk(monkeypatch, outbox / place)
    async with reporting(outbox, one, other) as reports:
        disk.at(where, function)
        reports.event(head, STARTED)
        await until(lambda: reports.dropped)
        if up:
            await empty(reports)
            assert one.steps() == ["1-started"], "told at once, not when it is written again"
        else:
            assert reports.waiting() == len(list(outbox.glob("*/*.json")))
        reports.event(*ending(head))
        await reports.call_stored(stored_call(head))
        one.up = other.up = True
        await empty(reports)
    assert disk.failed == 1
    for heard in (one.steps(), other.steps()):
        # Told again at most, never after what comes later.
        assert heard == sorted(heard)
        assert list(dict.fromkeys(heard)) == ["1-started", "2-ended", "3-stored"]
    assert not list(outbox.glob("*/*.json"))


async def test_more_calls_than_the_disk_keeps_up_with(tmp_path: Path) -> None:
    receiver = Receiver()
    heads = [header(carrier_call_id=f"c-{i}") for i in range(1200)]
    async with reporting(tmp_path / "outbox", receiver) as reports:
        for head in heads:
            reports.event(head, STARTED)  # All at once, before the writer can take any.
        assert reports.dropped == 200
        late = heads[-1]
        await reports.call_stored(stored_call(late))
        await until(lambda: len(receiver.heard) >= 1003, seconds=120)
    told = [step for step, key, _ in receiver.heard if key.startswith(late.session_id)]
    assert told == ["1-started", "2-ended", "3-stored"]


async def test_several_receivers_and_one_that_is_gone(tmp_path: Path) -> None:
    one, other = Receiver(), Receiver(name="other", kind="webhook", folder="webhook-1", up=False)
    head = header(carrier_call_id="c-1")
    async with reporting(tmp_path / "outbox", one, other) as reports:
        reports.event(head, STARTED)
        # Until the one has taken it, and that is put down.
        await until(lambda: one.heard and reports.waiting() == 1)
    with logged("WARNING") as lines:
        async with reporting(tmp_path / "outbox", one):
            pass
    assert any("no longer in the settings" in line for line in lines)


async def test_nobody_to_tell_means_nothing_on_disk(tmp_path: Path) -> None:
    head = header()
    async with reporting(tmp_path / "outbox") as reports:
        reports.event(head, STARTED)
        await reports.call_stored(stored_call(head))
        reports.call_safe(stored_call(head))
        reports.busy(make_agent(), CallFacts(direction="inbound", carrier_call_id="b"), STARTED_AT)
    assert not (tmp_path / "outbox").exists()


async def test_a_busy_call(tmp_path: Path) -> None:
    receiver = Receiver()
    agent: AgentConfig = make_agent()
    async with reporting(tmp_path / "outbox", receiver) as reports:
        facts = CallFacts(direction="inbound", carrier_call_id="b-1")
        reports.busy(agent, facts, STARTED_AT)
        reports.busy(agent, CallFacts(direction="inbound"), STARTED_AT)  # Nobody knows it.
        await until(lambda: receiver.heard)
    assert receiver.steps() == ["0-busy"]
    assert receiver.heard[0][2] == "2026-11-01T06:30:00.250+00:00"


def test_a_report_is_on_disk_wholly_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append(handle)
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    target = tmp_path / "report.json"
    outbox_folder.write_durably(target, b"first")
    assert target.read_bytes() == b"first" and len(synced) == 2  # The file, and its name.

    def torn(*_args: object) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "replace", torn)
    with pytest.raises(OSError, match="input/output"):
        outbox_folder.write_durably(target, b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert target.read_bytes() == b"first"
