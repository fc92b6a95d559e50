"""Whole calls with services that do as they are told, on virtual time."""

import asyncio
from pathlib import Path

import pytest

from bot.events import (
    AgentStateChanged,
    AgentText,
    Degraded,
    DtmfReceived,
    Interrupted,
    TurnMetrics,
)
from config.phrases import phrases_for
from serializer.codecs import MULAW_8K
from services.script.options import ScriptOptions
from tests.unit.bot.agents import make_agent, make_call
from tests.unit.bot.fake_services import FakeTTS
from tests.virtual_time import virtual_time

GREETING = "Welcome to the line."
APOLOGY = phrases_for("en-IN").apology
HOLD = phrases_for("en-IN").hold
SILENCE = MULAW_8K.silence(20)


@virtual_time
async def test_the_greeting_is_on_the_line_at_once_however_slow_the_vendors(
    tmp_path: Path,
) -> None:
    agent = make_agent(greeting=GREETING, stt={"connect_seconds": 1.9})
    async with make_call(agent, tmp_path) as call:
        began = asyncio.get_running_loop().time()
        assert call.line.packets[0][0] - began < 0.001
        await asyncio.sleep(1.5)
        assert call.spoken() == [(GREETING, False)]
        await asyncio.sleep(1.0)
        assert call.context == [("assistant", GREETING)]
        await call.user_says("hello")
        await asyncio.sleep(5)
        assert call.llm.asked == [
            [
                {"role": "assistant", "content": GREETING},
                {"role": "user", "content": "hello"},
            ]
        ]


@virtual_time
async def test_what_the_caller_says_while_vendors_connect_is_heard(tmp_path: Path) -> None:
    async with make_call(make_agent(stt={"connect_seconds": 1.8}), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_starts()
        for _ in range(40):
            await call.bot.hear(SILENCE)
            await asyncio.sleep(0.02)
        await call.user_stops()
        await call.bot.press("5")
        assert call.stt.audio == b""
        await asyncio.sleep(1.5)
        assert len(call.stt.audio) == 40 * 20 * 16
        await call.stt.heard("hello")
        await asyncio.sleep(1)
        assert call.llm.asked[0][-1] == {"role": "user", "content": "hello"}
        assert call.of(Degraded) == []


@virtual_time
async def test_a_model_that_fails_is_apologised_for(tmp_path: Path) -> None:
    agent = make_agent(
        greeting=GREETING, call={"apology": "Sorry about that."}, llm={"fails": True}
    )
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(5)
        await call.user_says("hello")
        await asyncio.sleep(5)
        assert call.spoken() == [(GREETING, False), ("Sorry about that.", False)]
        assert call.of(Degraded)[-1].stage == "llm"
        assert call.ends == []


@virtual_time
async def test_a_recogniser_that_never_connects_ends_the_call_with_an_apology(
    tmp_path: Path,
) -> None:
    agent = make_agent(greeting=GREETING, stt={"never_ready": True})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(5)
        assert call.ends == []
        await asyncio.sleep(5)
        assert call.ends == [("provider_failed", None)]
        assert call.spoken()[0] == (GREETING, False)
        assert len(call.spoken()) == 2
        assert (call.of(Degraded)[-1].stage, call.of(Degraded)[-1].kind) == ("stt", "exhausted")


@virtual_time
async def test_an_answer_is_heard_and_remembered(tmp_path: Path) -> None:
    async with make_call(make_agent(), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        await asyncio.sleep(10)
        assert call.spoken() == [("One two three four five. Six seven eight nine ten.", False)]
        assert call.context == [
            ("user", "hello"),
            ("assistant", "One two three four five. Six seven eight nine ten."),
        ]
        (metrics,) = call.of(TurnMetrics)
        assert metrics.turn == 1
        # 224 ms until voice activity ended, 200 ms more of silence; nothing else takes time.
        assert metrics.response_ms == pytest.approx(424, abs=5)
        states = [event.state for event in call.of(AgentStateChanged)]
        assert states == ["listening", "thinking", "speaking", "listening"]
        assert [(e.text, e.final) for e in call.of(AgentText)] == [
            ("One two three four five.", False),
            ("Six seven eight nine ten.", True),
        ]


@virtual_time
@pytest.mark.parametrize("word_times", [False, True])
async def test_only_what_was_heard_is_remembered_when_the_caller_cuts_in(
    tmp_path: Path, word_times: bool
) -> None:
    agent = make_agent(tts={"word_times": word_times})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        # 424 ms later the answer begins; the second sentence begins a second after that.
        await asyncio.sleep(0.2 + 1.0 + 0.5)
        await call.user_starts()
        await asyncio.sleep(0.1)
        heard = "One two three four five. Six seven" + (" eight" if word_times else "")
        assert call.spoken() == [(heard, True)]
        assert len(call.of(Interrupted)) == 1
        assert len(call.line.cleared_at) == 1
        await asyncio.sleep(1)
        await call.user_stops()
        await call.stt.heard("stop")
        await asyncio.sleep(5)
        assert call.context[:3] == [("user", "hello"), ("assistant", heard), ("user", "stop")]


@virtual_time
async def test_a_greeting_that_is_cut_is_remembered_as_far_as_it_was_heard(
    tmp_path: Path,
) -> None:
    agent = make_agent(greeting=GREETING, turns={"ignore_speech_before_greeting": False})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.5)
        await call.user_starts()
        await asyncio.sleep(0.5)
        assert call.spoken() == [("Welcome to", True)]
        assert call.context == [("assistant", "Welcome to")]


@virtual_time
async def test_typed_text_cuts_the_agent_off_and_stands_behind_what_was_heard(
    tmp_path: Path,
) -> None:
    async with make_call(make_agent(greeting=GREETING), tmp_path) as call:
        await asyncio.sleep(0.5)
        await call.bot.read("opening hours")
        await asyncio.sleep(10)
        assert call.context[:2] == [("assistant", "Welcome to"), ("user", "opening hours")]
        assert call.context[2][0] == "assistant"
        assert [interrupted for _, interrupted in call.spoken()] == [True, False]


@virtual_time
async def test_typed_before_the_vendors_are_there(tmp_path: Path) -> None:
    agent = make_agent(greeting=GREETING, stt={"connect_seconds": 2.0})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.3)
        await call.bot.read("opening hours")
        await call.bot.say("One moment.")
        assert call.spoken() == [("Welcome", True)]
        await asyncio.sleep(10)
        assert ("user", "opening hours") in call.context
        assert ("One moment.", False) in call.spoken()
        assert len(call.llm.asked) == 1


@virtual_time
async def test_a_greeting_that_is_not_ready_is_spoken_live(tmp_path: Path) -> None:
    agent = make_agent(greeting=GREETING)
    async with make_call(agent, tmp_path, cached=False) as call:
        await asyncio.sleep(3)
        assert call.spoken() == [(GREETING, False)]
        assert call.context == [("assistant", GREETING)]


@virtual_time
async def test_nothing_is_heard_before_the_greeting_but_keys_are(tmp_path: Path) -> None:
    loud = b"\x55\xd5" * 80
    async with make_call(make_agent(greeting=GREETING), tmp_path) as call:
        for _ in range(30):
            await call.bot.hear(loud)
            await asyncio.sleep(0.02)
        await call.bot.press("1")
        assert set(call.stt.audio) == {0}
        await asyncio.sleep(1)
        assert [event.digit for event in call.of(DtmfReceived)] == ["1"]
        await call.bot.hear(loud * 2)
        await call.bot.hear(loud * 2)
        await asyncio.sleep(0.1)
        assert set(call.stt.audio) != {0}


@virtual_time
async def test_a_live_greeting_keeps_the_caller_unheard_but_not_for_ever(tmp_path: Path) -> None:
    loud = b"\x55\xd5" * 80
    agent = make_agent(greeting=GREETING, tts={"silent": True})
    async with make_call(agent, tmp_path, cached=False) as call:
        for _ in range(49 * 5):
            await call.bot.hear(loud)
            await asyncio.sleep(0.02)
        assert set(call.stt.audio) == {0}
        for _ in range(50):
            await call.bot.hear(loud)
            await asyncio.sleep(0.02)
        assert set(call.stt.audio) != {0}


@virtual_time
async def test_a_key_cuts_the_greeting_off(tmp_path: Path) -> None:
    script = ScriptOptions.model_validate(
        {
            "start": "main",
            "keys": {"1": {"say": "You pressed one."}},
            "states": {"main": {"say": "How can I help?"}},
        }
    )
    agent = make_agent(greeting=GREETING, script=script)
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.5)
        await call.bot.press("1")
        await asyncio.sleep(3)
        assert call.spoken() == [("Welcome to", True), ("You pressed one.", False)]


@virtual_time
async def test_hanging_up_reports_what_had_been_heard(tmp_path: Path) -> None:
    async with make_call(make_agent(greeting=GREETING), tmp_path) as call:
        await asyncio.sleep(0.5)
        await call.bot.stop()
        assert call.spoken() == [("Welcome to", True)]
        assert call.of(Interrupted) == []
        await call.bot.stop()
        await call.bot.hear(SILENCE * 3)
        await call.bot.press("1")
        await call.bot.read("late")
        await call.bot.say("late")
        assert len(call.spoken()) == 1


@virtual_time
async def test_stopping_while_vendors_connect_and_before_anything_began(tmp_path: Path) -> None:
    agent = make_agent(greeting=GREETING, stt={"never_ready": True})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        await call.bot.stop()
        assert asyncio.get_running_loop().time() - began < 1
    async with make_call(agent, tmp_path, start=False) as call:
        await call.bot.stop()
    async with make_call(agent, tmp_path, start=False) as call:
        call.bot.connect()
        call.bot.connect()
        await asyncio.sleep(0.1)


@virtual_time
async def test_goodbye_lets_everything_be_heard(tmp_path: Path) -> None:
    agent = make_agent(greeting=GREETING, call={"farewell": "Goodbye now."})
    async with make_call(agent, tmp_path, acks=False) as call:
        assert await call.bot.goodbye("farewell")
        assert call.spoken() == [(GREETING, False), ("Goodbye now.", False)]


@virtual_time
async def test_a_farewell_that_is_not_ready_is_spoken_live(tmp_path: Path) -> None:
    agent = make_agent(call={"farewell": "Goodbye now."}, tts={"seconds_per_word": 0.3})
    async with make_call(agent, tmp_path, cached=False) as call:
        await asyncio.sleep(0.1)
        assert await call.bot.goodbye("farewell")
        assert call.spoken() == [("Goodbye now.", False)]


@virtual_time
async def test_goodbye_does_not_wait_for_vendors_that_are_not_there(tmp_path: Path) -> None:
    agent = make_agent(stt={"never_ready": True})
    async with make_call(agent, tmp_path, cached=False, start=False) as call:
        began = asyncio.get_running_loop().time()
        starting = asyncio.create_task(call.start())
        await asyncio.sleep(0)
        assert await call.bot.goodbye("farewell")
        assert asyncio.get_running_loop().time() - began < 0.1
        await starting


@virtual_time
@pytest.mark.parametrize("cached", [True, False])
async def test_a_silent_caller_is_asked_twice_and_then_let_go(tmp_path: Path, cached: bool) -> None:
    agent = make_agent(
        greeting=GREETING,
        turns={"no_input_seconds": 5, "no_input_prompt": "Still there?", "max_no_input": 2},
        call={"farewell": "Bye now."},
    )
    async with make_call(agent, tmp_path, cached=cached) as call:
        await asyncio.sleep(30)
        assert [text for text, _ in call.spoken()] == [
            GREETING,
            "Still there?",
            "Still there?",
            "Bye now.",
        ]
        assert call.ends == [("silence", None)]


@virtual_time
async def test_a_caller_who_answers_is_not_counted_as_silent(tmp_path: Path) -> None:
    agent = make_agent(greeting=GREETING, turns={"no_input_seconds": 5, "max_no_input": 1})
    async with make_call(agent, tmp_path) as call:
        for _ in range(3):
            await asyncio.sleep(8)
            await call.user_says("yes")
        await asyncio.sleep(8)
        assert call.ends == []


@virtual_time
async def test_a_script_has_its_own_answer_to_silence(tmp_path: Path) -> None:
    script = ScriptOptions.model_validate(
        {
            "start": "main",
            "keys": {"1": {"say": "You pressed one."}},
            "states": {"main": {"say": "How can I help?", "no_input": ["Anybody there?"]}},
        }
    )
    agent = make_agent(greeting=GREETING, script=script, turns={"no_input_seconds": 5})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(7)
        assert call.spoken()[:2] == [(GREETING, False), ("Anybody there?", False)]


@virtual_time
async def test_pause_and_resume(tmp_path: Path) -> None:
    async with make_call(make_agent(greeting=GREETING), tmp_path) as call:
        await asyncio.sleep(0.1)
        call.bot.pause(True)
        await call.bot.hear(SILENCE * 4)
        await asyncio.sleep(5)
        assert call.spoken() == [] and call.stt.audio == b""
        call.bot.pause(False)
        await asyncio.sleep(2)
        assert call.spoken() == [(GREETING, False)]
        states = [event.state for event in call.of(AgentStateChanged)]
        assert states == ["listening", "speaking", "paused", "speaking", "listening"]


@virtual_time
async def test_a_voice_that_gives_nothing_leaves_nothing_hanging(tmp_path: Path) -> None:
    async with make_call(make_agent(tts={"silent": True}), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        await asyncio.sleep(20)
        assert [words for words, _ in call.spoken()] == [HOLD, APOLOGY, "Are you still there?"]
        assert call.bot._speaker._unreported == type(call.bot._speaker._unreported)()
        assert await call.bot.goodbye()
        assert any(event.stage == "tts" for event in call.of(Degraded))


@virtual_time
async def test_a_voice_that_fails_does_not_lend_its_words_to_the_next_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_call(make_agent(tts={"fails": True}), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        await asyncio.sleep(10)
        monkeypatch.setattr(FakeTTS, "mended", True)
        await call.bot.say("Something else.")
        await asyncio.sleep(10)
        assert call.spoken() == [(APOLOGY, False), ("Something else.", False)]


@pytest.mark.parametrize("word_times", [False, True])
@virtual_time
async def test_a_voice_that_breaks_off_is_apologised_for_behind_what_was_heard(
    tmp_path: Path, word_times: bool
) -> None:
    """The transcript holds what two tries said of the sentence and no more, then the apology."""
    answer = "one two three four five six seven eight nine ten eleven twelve."
    voice = {"breaks_off_after": 4, "word_times": word_times}
    async with make_call(make_agent(tts=voice, llm={"answers": [answer]}), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        await asyncio.sleep(10)
        # Without word times it is judged by the pace: a word less of each try.
        heard = "one two three four five six" + (" seven eight" if word_times else "")
        assert call.spoken() == [(heard, False), (APOLOGY, False)]


@virtual_time
async def test_a_voice_that_never_ends_its_utterance_is_ended(tmp_path: Path) -> None:
    """It has said as much as such words take, so nothing of it is said again."""
    answer = "A bb ccc dd e. F gg hhh ii j."
    agent = make_agent(tts={"unfinished": True}, llm={"answers": [answer]})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        await asyncio.sleep(12)
        assert call.spoken() == [(answer, False)]
        assert not call.bot._speaker.speaking


@virtual_time
async def test_audio_at_another_rate_is_brought_to_the_lines_and_told_once(
    tmp_path: Path,
) -> None:
    async with make_call(make_agent(tts={"rate_hz": 24000}), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        await asyncio.sleep(10)
        assert call.line.sent_ms == pytest.approx(2000, abs=40)
        (degraded,) = call.of(Degraded)
        assert (degraded.stage, degraded.kind) == ("tts", "wrong_rate")


@virtual_time
async def test_a_line_that_is_gone_harms_nothing(tmp_path: Path) -> None:
    async with make_call(make_agent(greeting=GREETING), tmp_path) as call:
        await asyncio.sleep(0.2)
        call.line.gone = OSError("gone")
        await asyncio.sleep(1)
        await call.user_says("hello")
        await asyncio.sleep(3)
        assert await call.bot.goodbye("farewell")


@virtual_time
async def test_more_sound_at_once_than_is_listened_to_is_told_once(tmp_path: Path) -> None:
    async with make_call(make_agent(greeting=GREETING), tmp_path) as call:
        await asyncio.sleep(0.1)
        for _ in range(2):
            await call.bot.hear(MULAW_8K.silence(4400))
        (full,) = call.of(Degraded)
        assert (full.stage, full.kind) == ("pipeline", "voice_activity_full")
        # As much of it as there is room for, and no less, is heard.
        await asyncio.sleep(1)
        await call.bot.hear(MULAW_8K.silence(1000))
        assert len(call.of(Degraded)) == 1
