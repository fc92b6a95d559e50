"""What a call's reporter tells: in order, by the session's clock."""

from itertools import count

import pytest

from bot.events import AgentStateChanged, CallEvent, TurnMetrics
from bot.reporter import CallReporter


@pytest.fixture
async def reporter(monkeypatch: pytest.MonkeyPatch) -> CallReporter:
    """A reporter for whom time passes at every look at the clock."""
    instants = count(1.0)
    monkeypatch.setattr(CallReporter, "now_ms", lambda self: next(instants))
    return CallReporter("en")


async def test_no_event_is_told_with_a_time_before_the_one_ahead_of_it(
    reporter: CallReporter,
) -> None:
    told: list[CallEvent] = []
    reporter.begin(told.append, 0.0)
    reporter.state("listening")
    reporter.caller_started(0.0)
    reporter.caller_stopped(0.0)
    reporter.caller_said("hello", final=True, provider="mock")
    reporter.asked_llm()
    reporter.llm_answered()
    reporter.answer_text("Good day.", final=False)
    reporter.speech_begins()
    reporter.paused(True)
    reporter.paused(False)
    reporter.state("listening")
    times = [event.at_ms for event in told]
    assert times == sorted(times)


async def test_an_answer_begins_at_one_instant(reporter: CallReporter) -> None:
    told: list[CallEvent] = []
    reporter.begin(told.append, 0.0)
    reporter.asked_llm()
    reporter.speech_begins()
    speaking, metrics = told[-2:]
    assert isinstance(speaking, AgentStateChanged) and speaking.state == "speaking"
    assert isinstance(metrics, TurnMetrics)
    assert metrics.at_ms == speaking.at_ms
