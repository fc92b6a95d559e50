"""The chain of recognisers when one of them fails; the rows of what must then be seen."""

import asyncio
from itertools import pairwise

import pytest
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    ErrorFrame,
    InputDTMFFrame,
    InterruptionFrame,
    STTMetadataFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.errors import ErrorCategory

from bot.chains.chain import RENEWAL_SECONDS
from tests.unit.bot.chains.ears import (
    GONE,
    HANGS,
    PIECE_SECONDS,
    STOP_SECONDS,
    Opening,
    TooMany,
    scene,
)
from tests.virtual_time import running_loop, virtual_time


def gapless(numbers: list[int]) -> bool:
    """Whether pieces were heard in a row, each once."""
    return all(b == a + 1 for a, b in pairwise(numbers))


@virtual_time
async def test_a_healthy_vendor_hears_everything_and_its_texts_pass() -> None:
    async with scene() as call:
        await call.speaks(1.0)
        await call.ear.says("hello there")
        await asyncio.sleep(10)
        assert call.ear.numbers == list(range(1, call.pieces + 1))
        assert call.told == ["start", "stop", "'hello there'"]
        assert call.providers == ["one"]
        assert call.degraded == []
        assert len([f for f in call.behind.frames if isinstance(f, STTMetadataFrame)]) == 1


@virtual_time
async def test_the_call_does_not_wait_for_a_vendor_and_what_is_said_meanwhile_is_heard() -> None:
    plans = {"one": [Opening(seconds=1.5)]}
    async with scene("one", plans=plans, ready=False) as call:
        await call.speaks(0.8)
        assert call.told == ["behind", "start", "stop"]
        await asyncio.sleep(1)
        assert call.ear.heard[0] == 1
        assert gapless(call.ear.numbers)
        assert [word for word in call.ear.heard if isinstance(word, str)] == ["start", "stop"]
        await call.ear.says("hello")
        await asyncio.sleep(0.1)
        assert call.told[-2:] == ["'hello'", "caught up"]
        assert call.degraded == []


@virtual_time
async def test_a_socket_dropped_in_mid_utterance_costs_nothing_of_it() -> None:
    async with scene() as call:
        await call.hears(3)
        first = call.pieces + 1
        await call.starts()
        await call.hears(1)
        await call.ear.guesses("i would")
        await call.ear.fails()
        await call.hears(1)
        await call.stops()
        await asyncio.sleep(0.01)
        assert call.providers == ["one", "one"]
        assert gapless(call.ear.numbers)
        # The whole utterance, and a little of what went before it.
        lead_in = (first - call.ear.numbers[0]) * PIECE_SECONDS
        assert 0.3 <= lead_in <= 0.5
        assert call.ear.numbers[-1] == call.pieces
        assert [word for word in call.ear.heard if isinstance(word, str)] == ["start", "stop"]
        await call.ear.says("i would like two tickets")
        await asyncio.sleep(10)
        assert call.texts == ["i would like two tickets"]
        assert call.told == ["start", "behind", "stop", "'i would like two tickets'", "caught up"]
        assert call.degraded == [("dropped", "one")]


@virtual_time
async def test_a_socket_dropped_before_the_text_of_what_was_said() -> None:
    async with scene() as call:
        await call.speaks(1)
        await call.ear.fails()
        await asyncio.sleep(0.1)
        assert [word for word in call.ear.heard if isinstance(word, str)] == ["start", "stop"]
        # The end of speech stands behind all of it.
        assert call.ear.heard[-1] == "stop"
        await call.ear.says("two tickets")
        await asyncio.sleep(10)
        assert call.texts == ["two tickets"]
        assert call.told[-2:] == ["'two tickets'", "caught up"]


@virtual_time
async def test_a_socket_dropped_in_silence_is_opened_again_and_nothing_is_replayed() -> None:
    async with scene() as call:
        await call.speaks(1)
        await call.ear.says("hello")
        await call.hears(3)
        await call.ear.fails()
        await call.hears(1)
        assert call.providers == ["one", "one"]
        assert (call.pieces - call.ear.numbers[0]) * PIECE_SECONDS <= 1.6
        assert call.told == ["start", "stop", "'hello'"]
        await call.speaks(1)
        await call.ear.says("goodbye")
        await asyncio.sleep(0.1)
        assert call.texts == ["hello", "goodbye"]


@virtual_time
async def test_the_end_of_what_has_its_text_is_not_heard_again() -> None:
    async with scene() as call:
        await call.speaks(1)
        spoken = round(call.pieces - STOP_SECONDS / PIECE_SECONDS)
        await call.ear.says("hello")
        await call.ear.fails()
        await call.hears(0.2)
        assert call.ear.numbers[0] == spoken + 1


@virtual_time
async def test_behind_a_text_with_times_only_the_rest_is_heard_again() -> None:
    async with scene() as call:
        await call.starts()
        await call.hears(2)
        ends_at = call.pieces * PIECE_SECONDS - 0.4
        await call.ear.says("i would like", finalized=False, until_seconds=ends_at)
        await call.hears(0.4)
        await call.ear.fails()
        await call.hears(0.4)
        await call.stops()
        assert call.ear.heard[0] == "start"
        assert call.ear.numbers[0] == round(ends_at / PIECE_SECONDS) + 1
        assert gapless(call.ear.numbers)
        await call.ear.says("two tickets")
        await asyncio.sleep(10)
        assert call.texts == ["i would like", "two tickets"]
        assert call.told[-1] == "caught up"


@virtual_time
async def test_times_of_a_second_connection_count_from_its_own_beginning() -> None:
    async with scene() as call:
        await call.hears(4)
        await call.ear.fails()
        await call.hears(2)
        await call.starts()
        await call.hears(2)
        given = len(call.ear.numbers) * PIECE_SECONDS
        last = call.ear.numbers[-1]
        await call.ear.says("i would like", finalized=False, until_seconds=given)
        await call.hears(0.8)
        await call.ear.fails()
        await asyncio.sleep(0.1)
        assert call.providers == ["one", "one", "one"]
        assert call.ear.numbers[0] == last + 1


@virtual_time
async def test_behind_a_text_without_times_it_is_heard_again_from_the_last_pause() -> None:
    async with scene() as call:
        await call.speaks(1)
        await call.hears(0.1)
        second = call.pieces + 1
        await call.starts()
        await call.ear.says("i would like", finalized=False)
        await call.hears(1)
        await call.ear.fails()
        await call.stops()
        assert 0 <= (second - call.ear.numbers[0]) * PIECE_SECONDS <= 0.5
        await call.ear.says("two tickets")
        await asyncio.sleep(10)
        assert call.texts == ["i would like", "two tickets"]


@virtual_time
async def test_what_was_heard_twice_is_said_once() -> None:
    async with scene() as call:
        await call.starts()
        await call.hears(2)
        await call.ear.says("I would like", finalized=False)
        await call.hears(1)
        await call.ear.fails()
        await call.stops()
        # Nobody knows where that text ended: all of it is heard again.
        assert call.ear.numbers[0] == 1
        await call.ear.says("i would like,", finalized=False)
        await call.ear.says("two tickets")
        await asyncio.sleep(10)
        assert call.texts == ["I would like", "two tickets"]


@virtual_time
async def test_two_utterances_without_text_are_both_heard_again() -> None:
    async with scene() as call:
        await call.speaks(0.8)
        await call.hears(0.5)
        await call.speaks(0.8)
        await call.ear.fails()
        await asyncio.sleep(0.1)
        words = [word for word in call.ear.heard if isinstance(word, str)]
        assert words == ["start", "stop", "start", "stop"]
        assert gapless(call.ear.numbers)
        await call.ear.says("one", finalized=False)
        await call.ear.says("two")
        await asyncio.sleep(10)
        assert call.texts == ["one", "two"]
        assert call.told[-3:] == ["'one'", "'two'", "caught up"]


@virtual_time
async def test_the_turn_waits_for_more_of_a_replay_than_its_first_text() -> None:
    async with scene() as call:
        await call.speaks(3)
        await call.ear.fails()
        await asyncio.sleep(0.1)
        await call.ear.says("one", finalized=False)
        await asyncio.sleep(0.2)
        await call.ear.says("two", finalized=False)
        await asyncio.sleep(0.3)
        assert call.told[-2:] == ["'one'", "'two'"]
        await asyncio.sleep(0.1)
        assert call.told[-1] == "caught up"


@virtual_time
async def test_no_more_than_ten_seconds_are_heard_again() -> None:
    async with scene(plans={"one": [Opening()]}) as call:
        await call.starts()
        await call.hears(14)
        await call.ear.fails()
        await asyncio.sleep(0.1)
        seconds = len(call.ear.numbers) * PIECE_SECONDS
        assert 9.9 <= seconds <= 10.1
        assert call.ear.heard[0] == "start"
        assert gapless(call.ear.numbers)
        await call.stops()


@virtual_time
async def test_a_vendor_that_hangs_up_is_tried_three_times_and_then_the_next() -> None:
    async with scene(plans={"one": [Opening(), GONE, GONE, GONE]}) as call:
        await call.starts()
        await call.hears(0.4)
        failed_at = running_loop().time()
        await call.ear.fails()
        await call.hears(1)
        await call.stops()
        assert call.openings_since(failed_at) == [
            ("one", 0.0),
            ("one", 0.25),
            ("one", 0.5),
            ("two", 0.5),
        ]
        assert gapless(call.ear.numbers)
        await call.ear.says("hello")
        await asyncio.sleep(1)
        assert call.texts == ["hello"]
        assert call.chain.provider == "two"
        assert call.degraded == [("dropped", "one")] * 4


@virtual_time
async def test_a_reconnection_that_hangs_gives_way_within_two_seconds() -> None:
    async with scene(plans={"one": [Opening(), HANGS]}) as call:
        failed_at = running_loop().time()
        await call.ear.fails()
        await asyncio.sleep(3)
        assert call.openings_since(failed_at) == [("one", 0.0), ("two", 2.0)]
        assert call.degraded == [("dropped", "one"), ("connect_timeout", "one")]


@virtual_time
async def test_a_first_connection_that_hangs_gives_way_after_two_seconds() -> None:
    async with scene(plans={"one": [HANGS]}) as call:
        await call.speaks(1)
        await asyncio.sleep(2)
        assert call.providers == ["one", "two"]
        assert call.ear.began_at - call.ears[0].began_at == pytest.approx(2.0, abs=0.05)
        assert gapless(call.ear.numbers)
        await call.ear.says("hello")
        await asyncio.sleep(0.1)
        assert call.texts == ["hello"]


@virtual_time
async def test_too_many_requests_are_waited_for_if_that_is_short() -> None:
    refused = Opening(0.0, ErrorCategory.RATE_LIMIT, TooMany("1"))
    async with scene(plans={"one": [Opening(), refused]}) as call:
        failed_at = running_loop().time()
        await call.ear.fails()
        await asyncio.sleep(3)
        (_, (provider, after)) = call.openings_since(failed_at)
        assert provider == "one"
        assert 1.0 <= after <= 1.25


@virtual_time
async def test_too_many_requests_are_left_to_the_next_vendor_if_it_is_long() -> None:
    refused = Opening(0.0, ErrorCategory.RATE_LIMIT, TooMany("30"))
    async with scene(plans={"one": [refused]}) as call:
        assert call.providers == ["one", "two"]
        assert call.degraded == [("rate_limit", "one")]
        # It is not for ever.
        await asyncio.sleep(35)
        await call.speaks(1)
        await call.ear.says("hello")
        await asyncio.sleep(0.1)
        assert call.providers == ["one", "two", "one"]
        assert call.chain.provider == "one"


@virtual_time
async def test_a_refused_key_is_not_tried_again() -> None:
    refused = Opening(0.0, ErrorCategory.AUTHENTICATION)
    async with scene(plans={"one": [refused]}) as call:
        assert call.providers == ["one", "two"]
        assert call.ears[1].began_at == call.ears[0].began_at
        await asyncio.sleep(300)
        await call.speaks(1)
        await call.ear.says("hello")
        await asyncio.sleep(1)
        assert call.providers == ["one", "two"]
        assert call.degraded == [("auth", "one")]
        assert call.breakers.of("stt", "one", "a").last_failure == "auth"


@virtual_time
async def test_a_key_refused_by_everybody_is_given_up_at_once() -> None:
    """But for the moment in which the backend may give another."""
    refused = Opening(0.0, ErrorCategory.AUTHENTICATION)
    began_at = running_loop().time()
    async with scene(plans={"one": [refused], "two": [refused]}) as call:
        await asyncio.sleep(RENEWAL_SECONDS)
        assert call.given_up_at == [pytest.approx(began_at + RENEWAL_SECONDS, abs=0.2)]
        assert call.degraded == [("auth", "one"), ("auth", "two"), ("exhausted", None)]


@virtual_time
@pytest.mark.parametrize("providers", [("one",), ("one", "two"), ("one", "two", "three")])
@pytest.mark.parametrize("opening", [HANGS, GONE])
async def test_with_nobody_left_it_gives_up_within_six_seconds_once(
    providers: tuple[str, ...], opening: Opening
) -> None:
    plans = {name: [opening] * 50 for name in providers}
    plans["one"] = [Opening(), *plans["one"]]
    async with scene(*providers, plans=plans) as call:
        failed_at = running_loop().time()
        await call.ear.fails()
        await call.speaks(1)
        await asyncio.sleep(30)
        assert len(call.given_up_at) == 1
        assert 3.5 <= call.given_up_at[0] - failed_at <= 6.05
        assert set(call.providers) == set(providers)
        assert call.degraded[-1] == ("exhausted", None)


@virtual_time
@pytest.mark.parametrize("speaking", [True, False])
async def test_vendors_that_open_and_fail_at_once_are_given_up_too(speaking: bool) -> None:
    async with scene() as call:
        if speaking:
            await call.speaks(1)
        failed_at = running_loop().time()
        for _ in range(100):
            if not call.given_up_at:
                await call.ear.fails()
                await asyncio.sleep(0.05)
        assert 3.5 <= call.given_up_at[0] - failed_at <= 6
        assert len(call.ears) < 20


@virtual_time
async def test_a_vendor_that_held_for_a_while_is_sought_anew() -> None:
    async with scene("one") as call:
        for _ in range(5):
            await asyncio.sleep(5.1)
            await call.ear.fails()
            await asyncio.sleep(0.1)
        assert call.given_up_at == []
        assert len(call.ears) == 6


@virtual_time
async def test_an_only_vendor_that_comes_back_in_time_hears_what_was_said() -> None:
    plans = {"one": [Opening(), *[GONE] * 6]}
    async with scene("one", plans=plans) as call:
        await call.starts()
        await call.ear.fails()
        await call.hears(2)
        await call.stops()
        await asyncio.sleep(1)
        assert call.given_up_at == []
        assert len(call.providers) == 8
        assert gapless(call.ear.numbers)
        await call.ear.says("hello")
        await asyncio.sleep(1)
        assert call.texts == ["hello"]


@virtual_time
async def test_a_vendor_without_a_word_is_replaced_and_counted_once_another_hears() -> None:
    async with scene() as call:
        await call.speaks(1)
        stopped_at = running_loop().time()
        await asyncio.sleep(2.1)
        assert call.providers == ["one", "two"]
        assert call.ear.began_at - stopped_at == pytest.approx(1.4, abs=0.05)
        assert call.told == ["start", "stop", "behind"]
        assert call.degraded == []
        await call.ear.says("two tickets")
        await asyncio.sleep(5)
        assert call.told[-2:] == ["'two tickets'", "caught up"]
        assert call.degraded == [("no_result", "one")]
        assert call.chain.provider == "two"


@virtual_time
async def test_an_only_vendor_without_a_word_gets_a_new_connection() -> None:
    async with scene("one") as call:
        await call.speaks(1)
        await asyncio.sleep(2.1)
        assert call.providers == ["one", "one"]
        await call.ear.says("two tickets")
        await asyncio.sleep(1)
        assert call.texts == ["two tickets"]
        assert call.degraded == [("no_result", "one")]
        assert call.breakers.of("stt", "one", "a").state == "closed"


@virtual_time
async def test_what_nobody_makes_a_text_of_ends_the_turn_and_counts_against_nobody() -> None:
    async with scene() as call:
        await call.speaks(1)
        await asyncio.sleep(5)
        assert call.told == ["start", "stop", "behind", "?", "caught up"]
        assert call.given_up_at == []
        assert call.degraded == [("no_result", None)]
        assert [b.state for b in (call.breakers.of("stt", n, "a") for n in ("one", "two"))] == [
            "closed",
            "closed",
        ]
        # The next thing said is heard as ever.
        await call.speaks(1)
        await call.ear.says("hello")
        await asyncio.sleep(0.1)
        assert call.texts == ["hello"]


@virtual_time
async def test_a_second_vendor_that_understands_nothing_says_so_for_both() -> None:
    async with scene() as call:
        await call.speaks(1)
        await asyncio.sleep(2.1)
        await call.ear.shrugs()
        await asyncio.sleep(5)
        assert call.told == ["start", "stop", "behind", "?", "caught up"]
        assert call.degraded == []


@virtual_time
async def test_an_interim_text_without_a_final_one_is_no_result_either() -> None:
    async with scene() as call:
        await call.starts()
        await call.ear.guesses("two")
        await call.stops()
        await asyncio.sleep(2.1)
        assert call.providers == ["one", "two"]
        await call.ear.says("two tickets")
        await asyncio.sleep(0.1)
        assert call.texts == ["two tickets"]


@virtual_time
async def test_a_late_word_of_who_was_given_up_is_not_heard() -> None:
    async with scene() as call:
        await call.speaks(1)
        await asyncio.sleep(2.1)
        await call.ears[0].says("two tickets")
        await call.ears[1].says("two tickets")
        await asyncio.sleep(1)
        assert call.texts == ["two tickets"]


@virtual_time
async def test_a_cough_is_nobodys_failure() -> None:
    async with scene() as call:
        await call.speaks(0.4)
        await asyncio.sleep(10)
        assert call.told == ["start", "stop"]
        assert call.providers == ["one"]
        # And nobody hears it again.
        await call.hears(2)
        await call.ear.fails()
        await asyncio.sleep(0.1)
        assert "start" not in call.ear.heard


@virtual_time
async def test_speech_that_was_not_understood_is_over() -> None:
    async with scene() as call:
        await call.speaks(1)
        await call.ear.shrugs()
        await asyncio.sleep(10)
        assert call.told == ["start", "stop", "?"]
        assert call.providers == ["one"]


@virtual_time
async def test_silence_taken_for_no_understanding_is_not_trusted() -> None:
    async with scene() as call:
        await call.speaks(1)
        await call.ear.shrugs(answered=False)
        await asyncio.sleep(2.1)
        assert call.told == ["start", "stop", "behind"]
        await call.ear.says("hello")
        await asyncio.sleep(1)
        assert call.texts == ["hello"]
        # For a cough it is good enough.
        await call.speaks(0.4)
        await call.ear.shrugs(answered=False)
        await asyncio.sleep(0.1)
        assert call.told[-1] == "?"


@virtual_time
async def test_the_preferred_vendor_serves_again_when_it_is_well() -> None:
    async with scene(plans={"one": [Opening(), GONE, GONE, GONE, GONE]}) as call:
        await call.ear.fails()
        await asyncio.sleep(1)
        assert call.chain.provider == "two"
        two = call.ear
        await call.speaks(1)
        await call.ear.says("one")
        assert call.providers.count("two") == 1
        # It has to be left alone for a while; its breaker may be asked after ten seconds.
        await asyncio.sleep(11)
        await call.speaks(1)
        await two.says("two")
        await asyncio.sleep(0.1)
        # That was the fourth refusal.
        assert call.ear.provider == "one"
        assert call.chain.provider == "two"
        await asyncio.sleep(25)
        await call.speaks(1)
        await two.says("three")
        await asyncio.sleep(0.1)
        assert call.chain.provider == "one"
        await call.speaks(1)
        assert gapless(call.ear.numbers)
        await two.says("nobody listens to this")
        await call.ear.says("four")
        await asyncio.sleep(1)
        assert call.texts == ["one", "two", "three", "four"]


@virtual_time
async def test_nobody_is_exchanged_while_the_caller_speaks() -> None:
    async with scene(plans={"one": [GONE] * 4}) as call:
        await asyncio.sleep(12)
        two = call.ear
        call.plans["one"].append(Opening(seconds=0.5))
        await call.speaks(1)
        await two.says("one")
        await call.starts()
        await call.hears(2)
        assert call.ear.provider == "one"
        assert call.chain.provider == "two"
        await call.stops()
        await two.says("two")
        await asyncio.sleep(0.1)
        assert call.chain.provider == "one"
        assert call.texts == ["one", "two"]


@virtual_time
async def test_who_stands_by_takes_over_at_once_when_the_other_fails() -> None:
    async with scene(plans={"one": [GONE] * 4}) as call:
        await asyncio.sleep(12)
        two = call.ear
        call.plans["one"].append(Opening(seconds=0.5))
        await call.speaks(1)
        await two.says("one")
        await call.starts()
        await call.hears(1)
        await two.fails()
        await call.hears(0.2)
        assert call.chain.provider == "one"
        assert call.providers[-2:] == ["two", "one"]
        await call.stops()
        assert gapless(call.ear.numbers)
        await call.ear.says("two")
        await asyncio.sleep(1)
        assert call.texts == ["one", "two"]


@virtual_time
async def test_a_vendor_known_to_be_in_trouble_is_not_asked_first() -> None:
    async with scene(ready=False) as call:
        await asyncio.sleep(0.1)
        breaker = call.breakers.of("stt", "one", "a")
        breaker.failed("dropped")
        breaker.failed("dropped")
        await call.ear.fails(ErrorCategory.AUTHENTICATION)
        await asyncio.sleep(0.1)
        assert call.chain.provider == "two"


@virtual_time
async def test_frames_pass_once_and_errors_from_behind_are_nobodys_here() -> None:
    async with scene() as call:
        frame = InterruptionFrame()
        await call.chain.queue_frame(frame)
        error = ErrorFrame("the model has failed", category=ErrorCategory.SERVER)
        await call.behind.push_frame(error, FrameDirection.UPSTREAM)
        await asyncio.sleep(0.1)
        assert [f.id for f in call.behind.frames].count(frame.id) == 1
        assert call.providers == ["one"]
        assert call.degraded == []


@virtual_time
async def test_a_call_that_ends_while_a_vendor_hangs_leaves_nothing() -> None:
    async with scene(plans={"one": [HANGS], "two": [HANGS]}) as call:
        await call.speaks(1)
        ended_at = running_loop().time()
        await call.run.stop()
        assert running_loop().time() - ended_at < 1


@virtual_time
async def test_what_comes_before_the_pipeline_runs_is_kept_in_order_and_bounded() -> None:
    async with scene(start=False) as call:
        await call.hears(15)
        await call.speaks(1)
        await call.chain.queue_frame(InputDTMFFrame(button=KeypadEntry.FIVE))
        assert call.behind.frames == []
        await call.begin()
        assert call.told == ["behind", "start", "stop"]
        assert [f for f in call.behind.frames if isinstance(f, InputDTMFFrame)]
        assert gapless(call.ear.numbers)
        await call.ear.says("hello")
        await asyncio.sleep(0.1)
        assert call.texts == ["hello"]


@virtual_time
async def test_who_drops_after_the_whole_text_does_not_hold_the_turn_up() -> None:
    """The text was not marked as the last: the wait for more of it goes on with the next one."""
    async with scene("one", "two", "three") as call:
        await call.starts()
        await call.hears(1.0)
        await call.ear.fails()
        await call.hears(0.5)
        await call.stops()
        await call.ear.says("hello there", finalized=False)
        await asyncio.sleep(0.1)
        await call.ear.fails()
        await asyncio.sleep(3)
        assert not call.chain._behind
