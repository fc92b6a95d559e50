"""Calls that are too long, too silent or whose line is dead, on a clock of the test's own."""

from dataclasses import dataclass

import pytest

from bot.events import (
    AgentSpeech,
    AgentStateChanged,
    CallerSpeechStarted,
    CallerTranscript,
    CallEvent,
    DtmfReceived,
)
from sessions.channel import Departure
from sessions.deadlines import ASK_SECONDS, NO_MEDIA_SECONDS, Deadlines
from sessions.facts import CallFacts, Direction
from tests.unit.bot.agents import make_agent

BEGAN_AT = 1000.0
LONGEST_SECONDS = 600.0
SILENCE_SECONDS = 45.0


AGENT = make_agent(
    call={"max_duration_seconds": LONGEST_SECONDS, "silence_hangup_seconds": SILENCE_SECONDS}
)


@dataclass
class Sound:
    """What both sides of a line are known for."""

    paused: bool = False
    last_media_at: float = BEGAN_AT
    playing: bool = False
    play_end: float = BEGAN_AT


class Call:
    """Notes what is done to it."""

    def __init__(self, direction: Direction = "inbound") -> None:
        self.agent = AGENT
        self.facts = CallFacts(direction=direction)
        self.sound = Sound()
        self.deadlines = Deadlines(
            self, self.sound, self.sound, lambda: self._done.append("ask"), BEGAN_AT
        )
        self._done: list[str] = []

    def end(self, cause: str) -> None:
        self._done.append(cause)

    def gone(self, departure: Departure) -> None:
        self._done.append(f"gone: {departure}")

    def degraded(self, stage: str, kind: str, detail: str) -> None:
        self._done.append(f"{stage} {kind}: {detail}")

    def check(self, seconds: float, *, media: bool = True) -> list[str]:
        """What the deadlines do at ``seconds`` of the call, with the caller's sound or without."""
        self._done.clear()
        if media:
            self.sound.last_media_at = BEGAN_AT + seconds
        self.deadlines.check(BEGAN_AT + seconds)
        return list(self._done)


HEARD = CallerTranscript(
    at_ms=0,
    text="hello",
    final=True,
    started_ms=0,
    language="en-IN",
    confidence=None,
    provider="p",
)
SAID = AgentSpeech(
    at_ms=0,
    turn=1,
    started_ms=0,
    text="Hi.",
    heard_text="Hi.",
    interrupted=False,
    language="en-IN",
    provider="p",
)


def test_a_call_ends_when_it_has_lasted_as_long_as_it_may() -> None:
    call = Call()
    call.sound.playing = True
    assert call.check(LONGEST_SECONDS - 0.1) == []
    assert call.check(LONGEST_SECONDS) == ["max_duration"]


def test_a_call_ends_when_nobody_has_said_anything_for_too_long() -> None:
    call = Call()
    assert call.check(SILENCE_SECONDS - 0.1) == []
    assert call.check(SILENCE_SECONDS) == ["silence"]


@pytest.mark.parametrize(
    "event",
    [HEARD, SAID, CallerSpeechStarted(at_ms=0), DtmfReceived(at_ms=0, digit="1")],
    ids=lambda event: type(event).__name__,
)
def test_what_either_side_says_puts_the_silence_off(event: CallEvent) -> None:
    call = Call()
    call.deadlines.heard(event, BEGAN_AT + 20)
    assert call.check(SILENCE_SECONDS + 19.9) == []
    assert call.check(SILENCE_SECONDS + 20) == ["silence"]


def test_what_the_agent_does_in_silence_does_not() -> None:
    call = Call()
    call.deadlines.heard(AgentStateChanged(at_ms=0, state="thinking"), BEGAN_AT + 20)
    assert call.check(SILENCE_SECONDS) == ["silence"]


def test_an_agent_that_is_heard_puts_the_silence_off_unless_it_is_paused() -> None:
    call = Call()
    call.sound.playing = True
    assert call.check(SILENCE_SECONDS) == []
    call.sound.paused = True
    assert call.check(2 * SILENCE_SECONDS - 0.1) == []
    assert call.check(2 * SILENCE_SECONDS) == ["silence"]


def test_a_phone_that_sends_nothing_is_asked_once_and_then_taken_to_be_gone() -> None:
    call = Call()
    assert call.check(ASK_SECONDS - 0.1, media=False) == []
    assert not call.deadlines.line_is_silent
    told = "wire no_media: nothing has come from the caller for 10 s"
    assert call.check(ASK_SECONDS, media=False) == [told, "ask"]
    assert call.deadlines.line_is_silent
    assert call.check(ASK_SECONDS + 1, media=False) == []
    assert call.check(NO_MEDIA_SECONDS - 0.1, media=False) == []
    assert call.check(NO_MEDIA_SECONDS, media=False) == ["gone: lost"]


def test_a_line_that_comes_back_may_fall_silent_again() -> None:
    call = Call()
    call.check(ASK_SECONDS, media=False)
    assert call.check(ASK_SECONDS + 1) == []
    assert not call.deadlines.line_is_silent
    assert call.check(2 * ASK_SECONDS + 1, media=False)[-1] == "ask"


def test_a_caller_to_whom_the_agent_has_spoken_meanwhile_is_not_asked_again() -> None:
    call = Call()
    call.sound.play_end = BEGAN_AT + 3
    (told,) = call.check(ASK_SECONDS, media=False)
    assert told.startswith("wire no_media")


def test_a_client_program_may_send_nothing() -> None:
    call = Call(direction="client")
    assert call.check(NO_MEDIA_SECONDS, media=False) == []
