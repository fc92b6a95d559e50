"""One call's events reach everybody who hears of calls, and nothing after its end."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from bot.events import CallEvent, CarrierNotice, Degraded, DtmfReceived
from serializer.base import Dialect
from serializer.vobiz import VobizDialect
from sessions.call_events import MAX_BLOCKED, MAX_NOTICES, CallEvents, EventSink
from sessions.channel import Departure
from sessions.journal import CallJournal
from sessions.journal_format import JournalHeader
from sessions.line import Line
from sessions.live import LiveEvents
from sessions.peer_messages import PeerMessages
from tests.unit.sessions.journals import header, writing

Make = Callable[..., CallEvents]
KEY = DtmfReceived(at_ms=5, digit="1")


class Sink:
    """Notes what it hears, or cannot bear it."""

    def __init__(self, *, failing: bool = False) -> None:
        self.heard: list[CallEvent] = []
        self._failing = failing

    def event(self, header: JournalHeader, event: CallEvent) -> None:
        if self._failing:
            raise RuntimeError("a sink's mistake")
        self.heard.append(event)


class DeafChannel:
    """A socket that nobody uses."""

    departure: Departure = "left"

    async def receive(self) -> str | bytes | None:
        return None

    async def send(self, message: str | bytes) -> None:
        raise AssertionError("a carrier is told nothing of events")

    def abandon(self) -> None:
        raise AssertionError("nothing is being sent")

    async def close(self, code: int, reason: str) -> None:
        pass


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[CallJournal]:
    async with writing(tmp_path) as writer:
        call = writer.open(header())
        yield call
        await call.close()


@pytest.fixture
def make(journal: CallJournal) -> Make:
    dialect: Dialect = VobizDialect()
    line = Line(DeafChannel(), dialect, journal, lambda at: at, lambda: None)

    def made(sinks: Sequence[EventSink]) -> CallEvents:
        return CallEvents(
            header(session_id="the-call"),
            ("the-call",),
            journal=journal,
            live=LiveEvents(),
            messages=PeerMessages(line, dialect),
            sinks=sinks,
            now_ms=lambda: 1234.0,
        )

    return made


async def test_a_sink_that_fails_harms_neither_the_call_nor_who_was_told_before(
    make: Make,
) -> None:
    first, last = Sink(), Sink(failing=True)
    events = make([first, last])
    events.emit(KEY)
    events.emit(KEY)
    assert first.heard == [KEY, KEY]


async def test_half_characters_are_taken_out_before_anybody_is_told(make: Make) -> None:
    sink = Sink()
    make([sink]).degraded("llm", "refused", "\ud83d")
    (event,) = sink.heard
    assert event == Degraded(at_ms=1234, stage="llm", kind="refused", provider=None, detail="?")


async def test_nothing_is_told_of_a_call_that_is_over(make: Make) -> None:
    sink = Sink()
    events = make([sink])
    events.over = True
    events.emit(KEY)
    events.degraded("loop", "blocked", "late")
    assert not events.notice("hangup", "16"), "it has to be kept elsewhere"
    assert sink.heard == []


async def test_a_carriers_notice_is_kept_once_and_not_without_end(make: Make) -> None:
    sink = Sink()
    events = make([sink])
    assert events.notice("hangup", "16")
    assert events.notice("hangup", "16"), "it is kept already"
    assert events.notice("hangup", "17")
    assert sink.heard == [
        CarrierNotice(at_ms=1234, name="hangup", detail=detail) for detail in ("16", "17")
    ]
    for number in range(MAX_NOTICES + 10):
        assert events.notice("status", str(number))
    assert len(sink.heard) == MAX_NOTICES


async def test_a_loop_that_stands_still_again_and_again_does_not_fill_the_record(
    make: Make,
) -> None:
    sink = Sink()
    events = make([sink])
    for _ in range(MAX_BLOCKED + 5):
        events.loop_blocked(0.4)
    assert len(sink.heard) == MAX_BLOCKED
    (event, *_) = sink.heard
    assert isinstance(event, Degraded)
    assert (event.stage, event.kind) == ("loop", "blocked")
    assert event.detail == "the server stood still for 400 ms"


async def test_sound_that_is_not_recorded_is_said_once(make: Make, journal: CallJournal) -> None:
    sink = Sink()
    events = make([sink])
    events.check_recording()
    assert sink.heard == []
    journal.dropped_packets = 3
    events.check_recording()
    events.check_recording()
    (event,) = sink.heard
    assert isinstance(event, Degraded)
    assert (event.stage, event.kind) == ("journal", "recording_failed")
    assert event.detail == "audio is not recorded: the disk does not keep up"
