"""Replies, gaps and turns, as defined in ``simulators.caller.heard``."""

import asyncio

import pytest

from simulators.caller.codec import MULAW_8K
from simulators.caller.heard import Gap, find_replies
from simulators.caller.phrase import Utterance, prepare_phrase
from simulators.caller.playback import Playback
from simulators.caller.turns import find_turns
from simulators.speech import tone

SPEECH = MULAW_8K.encode(tone(400, 20, rate_hz=8000))
SILENCE = MULAW_8K.silence()


def played(*arrivals: tuple[float, bytes]) -> Playback:
    playback = Playback()
    for at_ms, payload in arrivals:
        playback.play(at_ms, payload, MULAW_8K)
    return playback


def test_speech_that_breaks_off_and_goes_on_has_a_gap() -> None:
    playback = played((0, SPEECH * 5), (150, SPEECH), (170, SPEECH), (201.5, SPEECH))
    (reply,) = find_replies(playback.segments)
    assert reply.gaps == (Gap(100.0, 50.0), Gap(190.0, 11.5))
    assert (reply.arrived_ms, reply.start_ms, reply.end_ms) == (0.0, 0.0, 221.5)


def test_lateness_under_the_limit_is_no_gap() -> None:
    playback = played((0, SPEECH), (29.5, SPEECH))
    assert find_replies(playback.segments)[0].gaps == ()
    assert find_replies(playback.segments, min_gap_ms=5)[0].gaps == (Gap(20.0, 9.5),)


def test_a_pause_sent_as_silence_is_no_gap() -> None:
    playback = played((0, SPEECH + SILENCE), *((40 + 20 * n, SILENCE) for n in range(20)))
    playback.play(440, SPEECH, MULAW_8K)
    (reply,) = find_replies(playback.segments)
    assert reply.gaps == ()
    assert reply.end_ms == 460.0


def test_an_underrun_in_a_silent_passage_counts_only_between_audible_packets() -> None:
    before = played((0, SILENCE), (60, SPEECH))
    within = played((0, SPEECH), (20, SILENCE), (60, SILENCE), (80, SPEECH))
    after = played((0, SPEECH), (20, SILENCE), (90, SILENCE))
    assert [find_replies(each.segments)[0].gaps for each in (before, within, after)] == [
        (),
        (Gap(40.0, 20.0),),
        (),
    ]


def test_a_second_of_silence_ends_a_reply() -> None:
    playback = played((0, SPEECH), (1019, SPEECH), (2039, SPEECH))
    first, second = find_replies(playback.segments)
    assert first.gaps == (Gap(20.0, 999.0),)
    assert second.gaps == ()


@pytest.mark.parametrize("border_ms", [10.0, 30.0, 100.0])
def test_the_callers_input_or_a_flush_begins_a_new_reply(border_ms: float) -> None:
    playback = played((0, SPEECH), (100, SPEECH))
    assert len(find_replies(playback.segments, inputs_ms=[border_ms])) == 2
    assert len(find_replies(playback.segments, clears_ms=[border_ms])) == 2
    assert len(find_replies(playback.segments, inputs_ms=[-5.0, 101.0])) == 1


def test_a_flush_divides_even_without_a_pause_an_input_does_not() -> None:
    playback = played((0, SPEECH), (20, SPEECH))
    assert len(find_replies(playback.segments, clears_ms=[20.0])) == 2
    assert len(find_replies(playback.segments, inputs_ms=[20.0])) == 1


def test_an_input_during_a_reply_excuses_no_later_gap() -> None:
    playback = played((0, SPEECH), (20, SPEECH), (90, SPEECH), (160, SPEECH))
    first, second = find_replies(playback.segments, inputs_ms=[30.0])
    assert first.gaps == ()
    assert second.gaps == (Gap(110.0, 50.0),)


async def said(start_ms: float, end_ms: float) -> Utterance:
    phrase = prepare_phrase(tone(400, 20, rate_hz=8000), MULAW_8K, "hello")
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    return Utterance(phrase, done, start_ms, end_ms, 1)


async def test_a_turn_lasts_from_the_last_sample_sent_to_the_first_audible_packet() -> None:
    playback = played((1000, SILENCE), (1020, SPEECH))
    utterance = await said(500.0, 700.0)
    replies = find_replies(playback.segments, inputs_ms=[700.0])
    (turn,) = find_turns([utterance], [], replies, playback)
    assert (turn.kind, turn.text, turn.response_ms, turn.cut_ms) == ("speech", "hello", 320.0, None)


async def test_a_reply_that_merely_goes_on_answers_nothing() -> None:
    playback = played((0, SPEECH * 100))
    utterance = await said(500.0, 700.0)
    replies = find_replies(playback.segments, inputs_ms=[700.0])
    assert find_turns([utterance], [], replies, playback)[0].response_ms is None


async def test_an_echo_answers_with_its_packet_after_the_last_sample() -> None:
    playback = played(*((500.0 + 20 * n, SPEECH) for n in range(13)))
    utterance = await said(500.0, 735.0)
    replies = find_replies(playback.segments, inputs_ms=[735.0])
    assert find_turns([utterance], [], replies, playback)[0].response_ms == 5.0


async def test_a_reply_after_the_next_input_belongs_to_that() -> None:
    playback = played((1000, SPEECH))
    replies = find_replies(playback.segments)
    turns = find_turns([await said(100, 200)], [(600.0, "5")], replies, playback)
    assert [(turn.kind, turn.response_ms) for turn in turns] == [("speech", None), ("key", 400.0)]


async def test_speaking_over_the_agent_measures_when_it_fell_silent() -> None:
    playback = played((0, SPEECH * 100))
    playback.clear(650.0)
    replies = find_replies(playback.segments, inputs_ms=[700.0], clears_ms=[650.0])
    (turn,) = find_turns([await said(500, 700)], [], replies, playback)
    assert turn.cut_ms == 150.0
    playback = played((0, SPEECH))
    playback.clear(650.0)
    (turn,) = find_turns([await said(500, 700)], [], find_replies(playback.segments), playback)
    assert turn.cut_ms is None
