"""A call changes its language: ears, instruction and voice at once, at a turn's boundary."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.chains.failures import Failure
from bot.events import AgentSpeech, CallerTranscript, Degraded, LanguageChanged
from bot.language import Outcome
from config.agent import AgentConfig
from config.phrases import phrases_for
from config.providers import ProviderSpec
from services.context import ServiceContext
from services.script.options import ScriptOptions
from tests.unit.bot.agents import Call, make_call
from tests.unit.bot.fake_services import (
    FakeLLMOptions,
    FakeSTT,
    FakeSTTOptions,
    FakeTTS,
    FakeTTSOptions,
)
from tests.virtual_time import virtual_time

SPOKEN = {"en-IN": "en", "hi": "hi", "ta": "ta"}
GREETING = "Welcome to the line."
#: Every service built for the fakes of this module, by stage, with its language.
MADE: dict[str, list[tuple[str, Any]]] = {}


def build_stt(options: FakeSTTOptions, context: ServiceContext) -> FakeSTT:
    service = FakeSTT(options, context.rate_hz)
    MADE.setdefault("stt", []).append((context.language, service))
    return service


def build_tts(options: FakeTTSOptions, context: ServiceContext) -> FakeTTS:
    service = FakeTTS(options, context.rate_hz)
    MADE.setdefault("tts", []).append((context.language, service))
    return service


EXTRA = (
    ProviderSpec(
        kind="stt",
        name="ears",
        title="Ears",
        options=FakeSTTOptions,
        build=f"{__name__}:build_stt",
        languages=SPOKEN,
        code_switching={"multi": frozenset({"en-IN", "hi"})},
    ),
    ProviderSpec(
        kind="tts",
        name="tongues",
        title="Tongues",
        options=FakeTTSOptions,
        build=f"{__name__}:build_tts",
        languages=SPOKEN,
    ),
)


@pytest.fixture(autouse=True)
def nothing_made() -> Iterator[None]:
    MADE.clear()
    yield
    MADE.clear()


def an_agent(
    *,
    llm: dict[str, Any] | None = None,
    stt: dict[str, Any] | None = None,
    **fields: Any,
) -> AgentConfig:
    """An agent of English that may turn to Hindi and Tamil."""
    base = AgentConfig.model_validate(
        {
            "agent_id": "tester",
            "language": "en-IN",
            "languages": ("hi", "ta"),
            "stt": {"provider": "ears"},
            "llm": {"provider": fields.pop("model", "fake")},
            "tts": {"provider": "tongues"},
            **{key: value for key, value in fields.items() if key != "script"},
        }
    )
    script = fields.get("script")
    options: dict[Any, Any] = {
        ("stt", "ears"): FakeSTTOptions(**(stt or {})),
        ("llm", "script" if script else "fake"): script or FakeLLMOptions(**(llm or {})),
        ("tts", "tongues"): FakeTTSOptions(),
    }
    return base.with_options(options)


def spoken_by(language: str) -> list[str]:
    """All that voices of one language have spoken."""
    return [text for code, tts in MADE["tts"] if code == language for text in tts.spoken]


async def says(call: Call, text: str, language: str) -> None:
    """The caller speaks and is understood by the newest ear of a language."""
    await call.user_starts()
    await asyncio.sleep(1)
    await call.user_stops()
    ear = [stt for code, stt in MADE["stt"] if code == language][-1]
    await ear.heard(text)


def notes(call: Call) -> list[str]:
    return [text for role, text in call.context if role == "developer"]


@virtual_time
async def test_by_tool_the_answer_of_the_same_turn_is_in_the_new_voice(tmp_path: Path) -> None:
    agent = an_agent(
        llm={
            "answers": ("One moment.", "Vanakkam, how can I help?", "Third answer."),
            "tool": "switch_language",
            "tool_arguments": {"language": "ta"},
        }
    )
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        await says(call, "can you speak tamil", "en-IN")
        await asyncio.sleep(8)
        assert spoken_by("en-IN") == ["One moment."]
        assert spoken_by("ta") == ["Vanakkam, how can I help?"]
        (changed,) = call.of(LanguageChanged)
        assert (changed.language, changed.previous, changed.reason) == ("ta", "en-IN", "tool")
        assert [(e.heard_text, e.language) for e in call.of(AgentSpeech)] == [
            ("One moment.", "en-IN"),
            ("Vanakkam, how can I help?", "ta"),
        ]
        assert len(notes(call)) == 1 and "Tamil (தமிழ்)" in notes(call)[0]
        await says(call, "ok", "ta")
        await asyncio.sleep(5)
        assert spoken_by("ta")[-1] == "Third answer."
        assert [e.language for e in call.of(CallerTranscript)] == ["en-IN", "ta"]
        assert call.of(Degraded) == []
        assert [code for code, _ in MADE["stt"]] == ["en-IN", "ta"]


@virtual_time
async def test_a_tools_wish_outlives_the_service_that_called_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's service fails just when somebody for the new language has been found."""
    agent = an_agent(
        llm={
            "answers": ("One moment.",),
            "tool": "switch_language",
            "tool_arguments": {"language": "ta"},
        }
    )
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        assert call.bot._built is not None
        languages, chain = call.bot._built.languages, call.bot._built.llm
        prepare = languages.prepare

        async def prepare_while_the_model_fails(language: str) -> Outcome:
            outcome = await prepare(language)
            assert chain.in_use is not None
            await chain._fail(chain.in_use, Failure("dropped", "it hung up"))
            return outcome

        monkeypatch.setattr(languages, "prepare", prepare_while_the_model_fails)
        await says(call, "tamil please", "en-IN")
        await asyncio.sleep(5)
        assert [event.language for event in call.of(LanguageChanged)] == ["ta"]
        assert (languages.language, chain.language) == ("ta", "ta")
        assert chain.settled.is_set(), "the next question does not wait for it"


@virtual_time
async def test_a_tool_call_without_words_before_it(tmp_path: Path) -> None:
    agent = an_agent(
        llm={
            "answers": ("", "Namaste."),
            "tool": "switch_language",
            "tool_arguments": {"language": "Hindi"},
        }
    )
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        await says(call, "hindi please", "en-IN")
        await asyncio.sleep(5)
        assert spoken_by("en-IN") == [] and spoken_by("hi") == ["Namaste."]


@virtual_time
@pytest.mark.parametrize("wanted", ["te", "Klingon", "None"])
async def test_a_tool_that_asks_for_what_is_not_spoken_is_told_so(
    tmp_path: Path, wanted: str
) -> None:
    agent = an_agent(
        llm={
            "answers": ("Moment.", "I cannot."),
            "tool": "switch_language",
            "tool_arguments": {"language": wanted},
        }
    )
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        await says(call, "telugu please", "en-IN")
        await asyncio.sleep(6)
        assert spoken_by("en-IN") == ["Moment.", "I cannot."]
        assert call.of(LanguageChanged) == [] and notes(call) == []
        assert "not spoken here" in str(call.llm.asked[-1])


@virtual_time
async def test_by_api_the_utterance_under_way_ends_in_its_own_language(tmp_path: Path) -> None:
    agent = an_agent(llm={"answers": ("One two three four five. Six seven eight.", "Aam.")})
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        await says(call, "hello", "en-IN")
        await asyncio.sleep(1)
        assert await call.bot.switch_language("ta") == "ready"
        assert await call.bot.switch_language("ta") == "already"
        assert await call.bot.switch_language("te") == "not_spoken"
        assert call.of(LanguageChanged) == []
        await asyncio.sleep(5)
        assert spoken_by("en-IN") == ["One two three four five.", "Six seven eight."]
        assert call.of(AgentSpeech)[0].language == "en-IN"
        assert len(call.of(LanguageChanged)) == 1
        await says(call, "vanakkam", "ta")
        await asyncio.sleep(5)
        assert spoken_by("ta") == ["Aam."]


@virtual_time
async def test_the_caller_in_mid_utterance_is_heard_to_the_end_in_the_old_language(
    tmp_path: Path,
) -> None:
    async with make_call(an_agent(), tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        await call.user_starts()
        await asyncio.sleep(0.5)
        assert await call.bot.switch_language("hi") == "ready"
        await asyncio.sleep(0.5)
        english = MADE["stt"][0][1]
        await call.user_stops()
        await english.heard("what are your opening hours")
        await asyncio.sleep(6)
        assert [e.text for e in call.of(CallerTranscript)] == ["what are your opening hours"]
        # The turn's answer is in the new language already.
        assert spoken_by("hi") and not spoken_by("en-IN")


@virtual_time
async def test_by_key_the_agent_falls_silent_and_goes_on_in_the_other_language(
    tmp_path: Path,
) -> None:
    agent = an_agent(
        greeting=GREETING,
        llm={"answers": ("Vanakkam.", "Again.")},
        language_switching={"keys": {"1": "en-IN", "2": "ta"}},
    )
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.5)
        await call.bot.press("2")
        await asyncio.sleep(4)
        assert call.spoken() == [("Welcome to", True), ("Vanakkam.", False)]
        assert spoken_by("ta") == ["Vanakkam."]
        assert call.of(LanguageChanged)[0].reason == "key"
        assert "Tamil" in notes(call)[0] and "pressing a key" in notes(call)[0]
        # The same key again: no change, but an answer; another key does nothing here.
        await call.bot.press("2")
        await asyncio.sleep(4)
        assert spoken_by("ta") == ["Vanakkam.", "Again."]
        assert len(notes(call)) == 1
        await call.bot.press("3")
        await asyncio.sleep(4)
        assert len(call.of(LanguageChanged)) == 1


@virtual_time
async def test_a_script_keeps_its_keys_and_has_its_texts_in_each_language(tmp_path: Path) -> None:
    script = ScriptOptions.model_validate(
        {
            "keys": {"1": {"say": {"en-IN": "You pressed one.", "ta": "Ondru."}}},
            "states": {"main": {"say": {"en-IN": "How can I help?", "ta": "Enna vendum?"}}},
        }
    )
    agent = an_agent(
        greeting=GREETING,
        model="script",
        script=script,
        language_switching={"keys": {"1": "hi", "2": "ta"}},
    )
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(2)
        await call.bot.press("1")
        await asyncio.sleep(3)
        assert spoken_by("en-IN") == ["You pressed one."] and call.of(LanguageChanged) == []
        await call.bot.press("2")
        await asyncio.sleep(3)
        await call.bot.press("1")
        await asyncio.sleep(3)
        assert spoken_by("ta")[-1] == "Ondru."


@virtual_time
async def test_by_speech_the_answer_follows_the_caller(tmp_path: Path) -> None:
    agent = an_agent(
        llm={"answers": ("Aam.", "Sari.")},
        language_switching={"by_speech": True, "by_tool": False},
    )
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        await says(call, "எனக்கு நாளைக்கு டாக்டர் அப்பாயின்மென்ட் வேண்டும்", "en-IN")
        await asyncio.sleep(5)
        assert spoken_by("ta") == ["Aam."] and spoken_by("en-IN") == []
        assert call.of(LanguageChanged)[0].reason == "speech"
        roles = [role for role, _ in call.context]
        assert roles == ["developer", "user", "assistant"]
        # Without leave it does not follow.
    MADE.clear()
    async with make_call(an_agent(llm={"answers": ("Aam.",)}), tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        await says(call, "எனக்கு நாளைக்கு டாக்டர் அப்பாயின்மென்ட் வேண்டும்", "en-IN")
        await asyncio.sleep(5)
        assert call.of(LanguageChanged) == []


@virtual_time
async def test_where_nobody_can_be_opened_the_language_stays_and_that_is_told(
    tmp_path: Path,
) -> None:
    agent = an_agent(llm={"answers": ("Still English.",)})
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        slow = FakeSTT.setup

        async def never(self: FakeSTT, setup: Any) -> None:
            await slow(self, setup)
            await asyncio.sleep(1e6)

        FakeSTT.setup = never  # type: ignore[method-assign]
        try:
            assert await call.bot.switch_language("ta") == "unavailable"
        finally:
            FakeSTT.setup = slow  # type: ignore[method-assign]
        assert [e.kind for e in call.of(Degraded)] == ["connect_timeout", "unavailable"]
        await says(call, "hello", "en-IN")
        await asyncio.sleep(5)
        assert spoken_by("en-IN") == ["Still English."]
        assert call.of(LanguageChanged) == []


@virtual_time
async def test_a_recogniser_of_several_languages_stays_connected(tmp_path: Path) -> None:
    agent = an_agent(stt={"language": "multi"})
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        assert await call.bot.switch_language("hi") == "ready"
        await asyncio.sleep(1)
        assert [code for code, _ in MADE["stt"]] == ["en-IN"]
        await says(call, "namaste", "en-IN")
        await asyncio.sleep(5)
        assert spoken_by("hi") and call.of(CallerTranscript)[0].language == "hi"


@virtual_time
async def test_there_and_back_again(tmp_path: Path) -> None:
    agent = an_agent(llm={"answers": ("A.", "B.", "C.", "D.")})
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        for language in ("ta", "hi", "en-IN"):
            assert await call.bot.switch_language(language) == "ready"
            await asyncio.sleep(1)
            await says(call, "x", language)
            await asyncio.sleep(4)
        assert (spoken_by("ta"), spoken_by("hi"), spoken_by("en-IN")) == (["A."], ["B."], ["C."])
        assert len(notes(call)) == 1 and "English" in notes(call)[0]


@virtual_time
async def test_phrases_are_those_of_the_language_spoken(tmp_path: Path) -> None:
    agent = an_agent(
        greeting=GREETING,
        translations={"ta": {"no_input_prompt": "Irukkireergala?"}},
        turns={"no_input_seconds": 4},
    )
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(2)
        assert await call.bot.switch_language("ta") == "ready"
        await asyncio.sleep(8)
        said = [(e.heard_text, e.language) for e in call.of(AgentSpeech)]
        assert said[0] == (GREETING, "en-IN")
        assert said[1] == ("Irukkireergala?", "ta")
        assert call.bot._announcer.text("apology") == phrases_for("ta").apology
        # All of it was ready: no voice was asked for it.
        assert spoken_by("ta") == []


@virtual_time
async def test_a_caller_who_cuts_in_before_the_change_gets_it_nonetheless(tmp_path: Path) -> None:
    agent = an_agent(llm={"answers": ("One two three four five. Six seven eight.", "Aam.")})
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.1)
        await says(call, "hello", "en-IN")
        await asyncio.sleep(1)
        assert await call.bot.switch_language("ta") == "ready"
        await call.user_starts()
        await asyncio.sleep(0.5)
        assert call.of(LanguageChanged) != []
        await call.user_stops()
        # What cut in was said to the old ear.
        await MADE["stt"][0][1].heard("wait a moment")
        await asyncio.sleep(5)
        assert call.of(AgentSpeech)[0].interrupted
        assert spoken_by("ta") == ["Aam."]
        await says(call, "sari", "ta")
        assert [e.text for e in call.of(CallerTranscript)] == ["hello", "wait a moment", "sari"]


@virtual_time
async def test_of_two_wishes_at_once_the_later_one_counts(tmp_path: Path) -> None:
    agent = an_agent(llm={"answers": ("Haan.",)}, stt={"connect_seconds": 0.5})
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(1)
        outcomes = await asyncio.gather(
            call.bot.switch_language("ta"), call.bot.switch_language("hi")
        )
        assert list(outcomes) == ["ready", "ready"]
        await asyncio.sleep(2)
        assert [e.language for e in call.of(LanguageChanged)] == ["ta", "hi"]
        await says(call, "namaste", "hi")
        await asyncio.sleep(4)
        assert spoken_by("hi") == ["Haan."] and spoken_by("ta") == []


@virtual_time
async def test_the_greeting_is_ended_before_another_language_is_spoken(tmp_path: Path) -> None:
    agent = an_agent(greeting="One two three four five six seven eight.")
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(0.3)
        assert await call.bot.switch_language("ta") == "ready"
        await asyncio.sleep(0.5)
        assert call.of(LanguageChanged) == []
        await asyncio.sleep(2)
        assert call.spoken() == [("One two three four five six seven eight.", False)]
        assert len(call.of(LanguageChanged)) == 1


@virtual_time
async def test_who_waits_for_another_language_as_the_call_ends_is_told_so(tmp_path: Path) -> None:
    agent = an_agent(stt={"connect_seconds": 1.0})
    async with make_call(agent, tmp_path, extra=EXTRA) as call:
        await asyncio.sleep(3)
        asked = asyncio.create_task(call.bot.switch_language("ta"))
        await asyncio.sleep(0.1)
        assert not asked.done()
        await call.bot.stop()
        call.bot.let_go()
        assert await asked == "unavailable"
