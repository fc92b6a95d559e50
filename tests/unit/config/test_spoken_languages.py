"""Who serves an agent's further languages, and what is refused for lack of somebody."""

from collections.abc import Callable
from pathlib import Path

import pytest

from config.agent import AgentConfig
from config.agent_file import build_agent
from config.documents import parse_document
from config.problems import Problem
from config.providers import ProviderCatalog
from config.resolve import chain_in
from config.settings import load_settings

SCRIPT = "llm: {provider: script, script: {steps: {a: b}}}"
ProblemsOf = Callable[[str], tuple[Problem, ...]]


def agent_of(text: str, catalog: ProviderCatalog) -> AgentConfig:
    document = parse_document(f"{text}\n{SCRIPT}\n", Path("agent.yaml"))
    return build_agent(document, catalog, load_settings(env={"CARTESIA_API_KEY": "k"}))


@pytest.mark.parametrize(
    ("tts", "expected"),
    [
        ("{provider: espeak}", ("espeak",)),
        ("{provider: espeak, fallback: [ai4bharat]}", ("espeak", "ai4bharat")),
        # Cartesia lacks Tamil: the rest of the chain serves it.
        ("{provider: cartesia, fallback: [espeak]}", ("espeak",)),
        ("{provider: cartesia, languages: {ta: {provider: espeak}}}", ("espeak",)),
        ("{provider: espeak, languages: {Tamil: {provider: ai4bharat}}}", ("ai4bharat",)),
        (
            "{provider: espeak, languages: {ta: {provider: ai4bharat, fallback: [espeak]}}}",
            ("ai4bharat", "espeak"),
        ),
        ("{provider: espeak, languages: {ta: {fallback: [ai4bharat]}}}", ("espeak", "ai4bharat")),
    ],
)
def test_the_chain_of_a_further_language(
    tts: str, expected: tuple[str, ...], catalog: ProviderCatalog
) -> None:
    agent = agent_of(f"language: hi\nlanguages: [ta]\ntts: {tts}", catalog)
    assert chain_in(agent, "tts", "ta", catalog) == expected


def test_options_for_a_language_lie_over_the_stages_own(catalog: ProviderCatalog) -> None:
    agent = agent_of(
        "language: hi\nlanguages: [ta]\ntts:\n  provider: ai4bharat\n"
        "  ai4bharat: {base_url: 'http://127.0.0.1:1', language: hi}\n"
        "  languages: {ta: {ai4bharat: {voice: Jaya}}}",
        catalog,
    )
    own = agent.provider_options("tts", "ai4bharat")
    tamil = agent.provider_options("tts", "ai4bharat", "ta")
    assert own.model_dump()["language"] == "hi" and tamil.language is None
    assert tamil.base_url == own.base_url
    assert tamil.model_dump()["voice"] == "Jaya" != own.model_dump()["voice"]
    assert chain_in(agent, "tts", "ta", catalog) == ("ai4bharat",)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            "language: hi\nlanguages: [ta]\ntts:\n  provider: cartesia\n  cartesia: {api_key: k}",
            4,
            "tts.provider: Cartesia does not speak Tamil (ta); providers that do: absent, "
            "ai4bharat, espeak; name one for Tamil alone in tts.languages.ta",
        ),
        (
            "language: hi\nlanguages: [ta]\ntts:\n  provider: espeak\n  languages:\n    ta:\n"
            "      provider: cartesia\n      cartesia: {api_key: k}",
            7,
            "tts.languages.ta.provider: Cartesia does not speak Tamil (ta)",
        ),
        (
            "language: hi\nlanguages: [ta]\ntts:\n  provider: espeak\n  languages:\n    ta:\n"
            "      fallback: [cartesia]\n      cartesia: {api_key: k}",
            7,
            "tts.languages.ta.fallback[0]: Cartesia does not speak Tamil (ta); providers that do: "
            "absent, ai4bharat, espeak; or take it out of tts.languages.ta.fallback",
        ),
        (
            "language: hi\nlanguages: [en]\ntts:\n  provider: espeak\n  languages:\n    en-IN:\n"
            "      provider: cartesia",
            7,
            "tts.languages.en-IN.provider: Cartesia needs a key; set CARTESIA_API_KEY",
        ),
        (
            "language: hi\nlanguages: [ta]\ntts:\n  provider: espeak\n  languages:\n    ta:\n"
            "      provider: absent",
            7,
            "tts.languages.ta.provider: Absent needs the Python package",
        ),
        (
            "language: hi\nlanguages: [ta]\nstt:\n  provider: deepgram\n"
            "  deepgram: {api_key: k, language: hi}",
            4,
            "stt.provider: Deepgram is held to the language hi by its section; name one for "
            "Tamil alone in stt.languages.ta",
        ),
        (
            "language: hi\nlanguages: [ta]\ntts:\n  provider: espeak\n  languages:\n"
            "    mr: {provider: espeak}",
            6,
            "tts.languages.mr: the agent does not turn to Marathi; add it to languages",
        ),
        (
            "language: hi\nlanguages: [ta]\ntts:\n  provider: espeak\n  languages:\n"
            "    hi: {provider: espeak}",
            6,
            "tts.languages.hi: hi is the agent's own language",
        ),
        (
            "language: hi\nlanguages: [ta]\ntts:\n  provider: espeak\n  languages:\n"
            "    ta: {providr: espeak}",
            6,
            "tts.languages.ta.providr: unknown key 'providr'; did you mean 'provider'?",
        ),
        (
            "language: hi\nlanguages: [ta]\ntts:\n  provider: espeak\n  languages:\n"
            "    ta: {ai4bharat: {voic: a}}",
            6,
            "tts.languages.ta.ai4bharat.voic: unknown key 'voic'; did you mean 'voice'?",
        ),
        (
            "language: hi\nlanguages: [ta]\nlanguage_switching: {keys: {'1': te}}",
            None,
            "language_switching.keys has te, which is not among languages",
        ),
        (
            "language: hi\ntools: [switch_language]",
            None,
            "the tool switch_language needs further languages in languages",
        ),
        (
            "language: hi\nlanguages: [ta]\ntranslations: {ta: {apology: 'Sorry {{nam}}'}}",
            3,
            "translations.ta.apology: unknown variable 'nam'",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_place(
    text: str, line: int | None, message: str, problems_of: ProblemsOf
) -> None:
    problems = problems_of(f"{text}\n{SCRIPT}")
    assert any(message in str(p) and (line is None or p.line == line) for p in problems), problems


def test_phrases_of_a_further_language(catalog: ProviderCatalog) -> None:
    agent = agent_of(
        "language: hi\nlanguages: [ta]\ngreeting: नमस्ते\n"
        "translations: {ta: {apology: மன்னிக்கவும், hold_messages: [ஒன்று, இரண்டு]}}",
        catalog,
    )
    assert agent.phrases("hi") == agent.phrases()
    tamil = agent.phrases("ta")
    assert (tamil["greeting"], tamil["apology"]) == ("", "மன்னிக்கவும்")
    assert (tamil["hold_0"], tamil["hold_1"]) == ("ஒன்று", "இரண்டு")
    assert "farewell" in agent.fixed_phrases("ta") and "busy" not in agent.fixed_phrases("ta")
    assert agent.may_switch_by_tool
    assert not agent_of("language: hi", catalog).may_switch_by_tool
