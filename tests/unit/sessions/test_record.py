"""A record says who, when, how it ended and what went wrong."""

from datetime import date, timedelta

import msgspec
import pytest

from bot.events import (
    END_CAUSES,
    AgentSpeech,
    CallEnded,
    CallerTranscript,
    CallEvent,
    CallStarted,
    CarrierNotice,
    Degraded,
    DtmfReceived,
    Interrupted,
    TurnMetrics,
)
from sessions.record import CallRecord, RecordingRecord, make_record
from tests.unit.sessions.journals import header

EMPTY = RecordingRecord(state="empty")

STARTED = CallStarted(
    at_ms=0.0,
    carrier_call_id="from-start",
    from_number="+910000000001",
    to_number="+910000000002",
    direction="outbound",
)


def heard(provider: str) -> CallerTranscript:
    return CallerTranscript(
        at_ms=1.0,
        text="x",
        final=True,
        started_ms=0.0,
        language=None,
        confidence=None,
        provider=provider,
    )


def spoke(provider: str) -> AgentSpeech:
    return AgentSpeech(
        at_ms=2.0,
        turn=1,
        started_ms=1.0,
        text="x",
        heard_text="x",
        interrupted=False,
        language=None,
        provider=provider,
    )


def record(*events: CallEvent, last_ms: float = 0.0, **changes: object) -> CallRecord:
    return make_record(header(**changes), events, EMPTY, last_ms=last_ms)  # type: ignore[arg-type]


def test_who_and_when() -> None:
    found = record(STARTED, CallEnded(at_ms=61_500.0, cause="max_duration"), labels={"batch": "9"})
    assert (found.carrier_call_id, found.direction) == ("from-start", "outbound")
    assert (found.from_number, found.to_number) == ("+910000000001", "+910000000002")
    assert found.started_at == "2026-11-01T06:30:00.250+00:00"
    assert found.ended_at == "2026-11-01T06:31:01.750+00:00"
    assert (found.duration_seconds, found.end_cause) == (61.5, "max_duration")
    assert (found.agent_id, found.labels) == ("helpline", {"batch": "9"})


def test_what_the_header_knows_goes_first() -> None:
    assert record(STARTED, carrier_call_id="known").carrier_call_id == "known"


@pytest.mark.parametrize("cause", END_CAUSES)
def test_every_cause_is_kept(cause: str) -> None:
    assert record(CallEnded(at_ms=1.0, cause=cause)).end_cause == cause


def test_a_cause_that_is_not_on_the_list() -> None:
    assert record(CallEnded(at_ms=1.0, cause="whim")).end_cause == "internal_error"


def test_without_an_end_it_was_a_crash_at_the_last_sign_of_life() -> None:
    crashed = record(STARTED, DtmfReceived(at_ms=4000.0, digit="1"), last_ms=9000.0)
    assert (crashed.end_cause, crashed.duration_seconds) == ("crash", 9.0)
    assert record(DtmfReceived(at_ms=4000.0, digit="1"), last_ms=5.0).duration_seconds == 4.0
    assert record().duration_seconds == 0.0


def test_turns_interruptions_and_failures() -> None:
    found = record(
        TurnMetrics(at_ms=5.0, turn=1, response_ms=400.0, stt_ms=90.0, llm_ms=None, tts_ms=30.0),
        Interrupted(at_ms=6.0),
        Interrupted(at_ms=7.0),
        Degraded(at_ms=8.0, stage="tts", kind="stall", provider="cartesia", detail="2 s"),
        CarrierNotice(at_ms=9.0, name="hangup", detail="NORMAL_CLEARING"),
    )
    assert [(t.turn, t.response_ms, t.llm_ms) for t in found.turns] == [(1, 400.0, None)]
    assert found.interruptions == 2
    assert [(d.stage, d.kind, d.provider) for d in found.degraded] == [("tts", "stall", "cartesia")]
    assert [(n.name, n.detail) for n in found.notices] == [("hangup", "NORMAL_CLEARING")]


def test_vendors_are_those_that_worked() -> None:
    asked = {"stt": ["deepgram", "sarvam"], "llm": ["openai"], "tts": ["cartesia", "espeak"]}
    events = [heard("sarvam"), spoke("cartesia"), spoke("espeak"), spoke("cartesia"), spoke("")]
    assert record(*events, vendors=asked).vendors == {
        "stt": ["sarvam"],
        "llm": ["openai"],
        "tts": ["cartesia", "espeak"],
    }
    assert record(vendors=asked).vendors["stt"] == ["deepgram"]


def test_it_survives_json() -> None:
    found = record(STARTED, Interrupted(at_ms=6.0), heard("x"))
    assert msgspec.json.decode(msgspec.json.encode(found), type=CallRecord) == found


@pytest.mark.parametrize(
    ("stored_on", "counted_from"),
    [
        (date(2026, 11, 1), date(2026, 11, 1)),
        (date(2026, 12, 24), date(2026, 12, 24)),  # The clock was behind in the call.
        (date(2026, 9, 1), date(2026, 11, 1)),  # It was set back since.
    ],
)
def test_what_is_kept_for_days_is_kept_from_its_storing(
    stored_on: date, counted_from: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.record._today", lambda: stored_on)
    due = record(retention_days={"recording": 30, "record": 10**9}).delete_after
    assert due == {"recording": (counted_from + timedelta(days=30)).isoformat()}
