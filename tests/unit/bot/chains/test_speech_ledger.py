"""Which speech is without its text."""

from types import SimpleNamespace

import pytest
from pipecat.frames.frames import TranscriptionFrame

from bot.chains.speech_ledger import PREROLL_SECONDS, SpeechLedger, heard_until_seconds

RATE = 1000
PREROLL = int(PREROLL_SECONDS * RATE)


def spoken(*stretches: tuple[int, int]) -> SpeechLedger:
    """Speech from/to these milliseconds, noticed at once."""
    ledger = SpeechLedger(RATE)
    for start, end in stretches:
        ledger.started(start, 0.0)
        ledger.stopped(end, 0.0)
    return ledger


def test_speech_is_open_until_its_text_comes() -> None:
    ledger = spoken((5000, 6000))
    assert ledger.open
    assert ledger.replay_from == 5000 - PREROLL
    assert ledger.owes_text()
    ledger.final("hello", None, finalized=True)
    assert not ledger.open
    assert ledger.replay_from is None


def test_voice_activity_is_late() -> None:
    ledger = SpeechLedger(RATE)
    ledger.started(5000, 0.16)
    ledger.stopped(5560, 0.2)
    assert ledger.replay_from == 4840 - PREROLL
    # 520 ms of speech: it may be a cough.
    assert not ledger.owes_text()


def test_a_text_with_times_leaves_what_stands_behind_it() -> None:
    ledger = spoken((1000, 2000), (2500, 5000))
    ledger.final("one", 3000, finalized=True)
    assert ledger.replay_from == 3000
    assert ledger.owes_text()
    assert not ledger.vague
    ledger.final("two", 4800, finalized=False)
    assert not ledger.open


def test_the_end_of_a_breath_behind_a_text_is_no_speech() -> None:
    ledger = SpeechLedger(RATE)
    ledger.started(1000, 0.0)
    ledger.final("one", 2000, finalized=False)
    assert ledger.open
    ledger.stopped(2200, 0.0)
    assert not ledger.open


def test_a_text_without_times_in_mid_speech_is_of_what_was_before_the_pause() -> None:
    ledger = spoken((1000, 2000))
    ledger.started(2500, 0.0)
    ledger.final("one", None, finalized=False)
    assert ledger.replay_from == 2500 - PREROLL
    assert not ledger.vague


def test_without_a_pause_nobody_knows() -> None:
    ledger = SpeechLedger(RATE)
    ledger.started(1000, 0.0)
    ledger.final("one two", None, finalized=False)
    assert ledger.replay_from == 1000 - PREROLL
    assert (ledger.vague, ledger.said) == (True, "one two")


def test_a_text_that_is_not_the_last_is_of_the_first_of_several_stretches() -> None:
    ledger = spoken((1000, 2000), (3000, 4000))
    ledger.final("one", None, finalized=False)
    assert ledger.replay_from == 3000 - PREROLL
    ledger.final("two", None, finalized=True)
    assert (ledger.open, ledger.said, ledger.vague) == (False, "", False)


def test_an_interim_text_promises_another() -> None:
    ledger = spoken((1000, 1300))
    assert not ledger.owes_text()
    ledger.interim()
    assert ledger.owes_text()
    ledger.dismiss()
    assert not ledger.open
    ledger.interim()
    ledger.started(5000, 0.0)
    ledger.stopped(5300, 0.0)
    assert not ledger.owes_text()


def test_what_was_not_understood_leaves_what_is_being_said() -> None:
    ledger = spoken((1000, 2000))
    ledger.started(2500, 0.0)
    ledger.dismiss()
    assert ledger.replay_from == 2500 - PREROLL


@pytest.mark.parametrize(
    "result, until",
    [
        (SimpleNamespace(start=1.5, duration=2.0), 3.5),
        (SimpleNamespace(start=None, duration=2.0), None),
        (SimpleNamespace(confidence=0.5), None),
        (None, None),
    ],
)
def test_a_result_may_say_what_it_is_about(result: object, until: float | None) -> None:
    assert heard_until_seconds(TranscriptionFrame("a", "", "", result=result)) == until


def test_what_was_heard_is_not_heard_again_for_what_follows_closely() -> None:
    ledger = spoken((1000, 2000))
    ledger.final("one", None, finalized=True)
    assert ledger.heard_to == 2000
    ledger.started(2100, 0.0)
    assert ledger.replay_from == 2000
