"""Who speaks when, in whole calls on virtual time."""

import asyncio
from pathlib import Path

import pytest
from pipecat.frames.frames import InterimTranscriptionFrame
from pipecat.utils.time import time_now_iso8601

from bot.events import Interrupted, TurnMetrics
from config.agent_call import TurnsConfig
from services.script.options import ScriptOptions
from tests.unit.bot.agents import Call, make_agent, make_call
from tests.virtual_time import virtual_time

ANSWER = "One two three four five. Six seven eight nine ten."
SCRIPT = ScriptOptions.model_validate(
    {
        "start": "main",
        "keys": {"1": {"say": "You pressed one."}},
        "states": {"main": {"say": "How can I help?", "no_match": ["Please say that again."]}},
    }
)


async def answering(call: Call) -> None:
    """Bring the agent to speak."""
    await asyncio.sleep(0.1)
    await call.user_says("hello")
    await asyncio.sleep(0.7)
    assert call.bot._speaker.speaking


@virtual_time
@pytest.mark.parametrize(
    ("end_of_speech_ms", "expected_ms"), [(100, 224), (200, 224), (400, 424), (1000, 1024)]
)
async def test_the_silence_that_ends_a_turn(
    tmp_path: Path, end_of_speech_ms: int, expected_ms: float
) -> None:
    agent = make_agent(turns={"end_of_speech_ms": end_of_speech_ms})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        await asyncio.sleep(3)
        (metrics,) = call.of(TurnMetrics)
        assert metrics.response_ms == pytest.approx(expected_ms, abs=5)


@virtual_time
async def test_a_pause_within_a_number_does_not_end_the_turn(tmp_path: Path) -> None:
    async with make_call(make_agent(), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("nine eight four five")
        # 150 ms after voice activity ended, that is 374 ms of silence.
        await asyncio.sleep(0.15)
        await call.user_says("zero one two")
        await asyncio.sleep(8)
        assert call.context[0] == ("user", "nine eight four five zero one two")
        assert len(call.llm.asked) == 1


@virtual_time
async def test_any_voice_cuts_the_agent_off_by_default(tmp_path: Path) -> None:
    async with make_call(make_agent(), tmp_path) as call:
        await answering(call)
        await call.user_starts()
        await asyncio.sleep(0.05)
        assert len(call.of(Interrupted)) == 1
        assert not call.bot._speaker.speaking


@virtual_time
async def test_with_interruptions_off_the_agent_finishes(tmp_path: Path) -> None:
    agent = make_agent(turns={"interruptions": False})
    async with make_call(agent, tmp_path) as call:
        await answering(call)
        await call.user_says("stop", 0.3)
        await asyncio.sleep(5)
        assert call.spoken() == [(ANSWER, False)]
        assert call.of(Interrupted) == []
        assert len(call.llm.asked) == 1
        await call.user_says("and now")
        await asyncio.sleep(5)
        assert len(call.llm.asked) == 2


@virtual_time
async def test_two_words_to_interrupt(tmp_path: Path) -> None:
    agent = make_agent(turns={"interruption_min_words": 2})
    async with make_call(agent, tmp_path) as call:
        await answering(call)
        await call.user_says("haa", 0.2)
        await asyncio.sleep(0.2)
        assert call.of(Interrupted) == []
        await call.user_says("haa stop", 0.2)
        await asyncio.sleep(0.1)
        assert len(call.of(Interrupted)) == 1
        await asyncio.sleep(5)
        assert [message["content"] for message in call.llm.asked[-1]][-1] == "haa stop"


@virtual_time
async def test_one_word_is_enough_while_the_agent_is_silent(tmp_path: Path) -> None:
    agent = make_agent(turns={"interruption_min_words": 3})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("haa")
        await asyncio.sleep(5)
        assert call.spoken() == [(ANSWER, False)]


@virtual_time
async def test_speech_that_was_not_understood_is_asked_for_again(tmp_path: Path) -> None:
    async with make_call(make_agent(script=SCRIPT), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_starts()
        await asyncio.sleep(0.5)
        await call.user_stops()
        await call.stt.not_understood()
        await asyncio.sleep(3)
        assert call.spoken() == [("Please say that again.", False)]
        await call.user_says("still nothing")
        await asyncio.sleep(3)
        assert len(call.spoken()) == 2


@virtual_time
@pytest.mark.parametrize("turns", [{"interruptions": False}, {"interruption_min_words": 2}])
async def test_a_cough_is_not_answered_where_it_may_not_interrupt(
    tmp_path: Path, turns: dict[str, int]
) -> None:
    agent = make_agent(script=SCRIPT, turns=turns)
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.bot.say("One two three four five six seven eight nine ten.")
        await asyncio.sleep(0.5)
        await call.user_starts()
        await asyncio.sleep(0.3)
        await call.user_stops()
        await call.stt.not_understood()
        await asyncio.sleep(5)
        assert len(call.spoken()) == 1


def test_the_default_leaves_room_for_a_pause() -> None:
    assert TurnsConfig().end_of_speech_ms == 400


@virtual_time
async def test_a_text_right_behind_the_interim_that_begins_a_turn_is_answered(
    tmp_path: Path,
) -> None:
    """The interruption that a turn begins with empties the queues; what was said must stay."""
    async with make_call(make_agent(), tmp_path) as call:
        await asyncio.sleep(3)
        interim = InterimTranscriptionFrame("two", "caller", time_now_iso8601())
        await call.stt.push_frame(interim)
        await call.stt.heard("two tickets")
        await asyncio.sleep(3)
        assert call.llm.asked[0][-1] == {"role": "user", "content": "two tickets"}
