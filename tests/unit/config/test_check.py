"""What an agent is refused for at load: in any place of a chain, with a way out."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.agent_file import build_agent
from config.documents import parse_document
from config.errors import ConfigError
from config.problems import ConfigFileError, Problem
from config.providers import ProviderCatalog, ProviderKind, ProviderOptions, ProviderSpec
from config.settings import Settings, load_settings
from config.store import AgentStore
from tests.unit.config.catalog import ChatOptions
from tests.unit.config.conftest import KEYLESS

ProblemsOf = Callable[[str], tuple[Problem, ...]]

SCRIPT = "llm: {provider: script, script: {steps: {a: b}}}"

#: One cause each: YAML beside SCRIPT, the line and the key of the file, and the message.
CAUSES = {
    "language of the first": (
        "language: mr\nstt:\n  provider: deepgram\n  deepgram: {api_key: k}",
        (3, "stt.provider"),
        "Deepgram does not hear Marathi (mr); providers that do: ai4bharat, offline",
    ),
    "language of a fallback": (
        "language: mr\ntts:\n  provider: espeak\n  fallback:\n    - ai4bharat\n    - cartesia\n"
        "  cartesia: {api_key: k}",
        (6, "tts.fallback[1]"),
        "Cartesia does not speak Marathi (mr); providers that do: absent, ai4bharat, espeak; or "
        "take it out of tts.fallback",
    ),
    "key of the first": (
        "language: hi\nstt:\n  provider: deepgram",
        (3, "stt.provider"),
        "Deepgram needs a key; set DEEPGRAM_API_KEY in the environment or in .env, or "
        "stt.deepgram.api_key",
    ),
    "key of a fallback": (
        "language: hi\ntts:\n  provider: espeak\n  fallback: [cartesia]",
        (4, "tts.fallback[0]"),
        "Cartesia needs a key; set CARTESIA_API_KEY in the environment or in .env, or "
        "tts.cartesia.api_key; or take it out of tts.fallback",
    ),
    "package of the first": (
        "language: hi\ntts:\n  provider: absent",
        (3, "tts.provider"),
        "Absent needs the Python package a_package_that_is_not_there; install with: pip install "
        "'server[absent]'",
    ),
    "package of a fallback": (
        "language: hi\ntts:\n  provider: espeak\n  fallback: [ai4bharat, absent]",
        (4, "tts.fallback[1]"),
        "Absent needs the Python package a_package_that_is_not_there; install with: pip install "
        "'server[absent]'; or take it out of tts.fallback",
    ),
    "language in a fallback's section": (
        "language: hi\nstt:\n  provider: offline\n  fallback: [deepgram]\n"
        "  deepgram: {api_key: k, language: Telugu}",
        (5, "stt.deepgram.language"),
        "Deepgram does not hear Telugu (te); providers that do: ai4bharat, offline",
    ),
}

every_cause = pytest.mark.parametrize("cause", CAUSES)


async def _for_ever(_: float) -> None:
    await asyncio.Event().wait()


@every_cause
def test_it_is_told_where_why_and_how_to_mend_it(cause: str, problems_of: ProblemsOf) -> None:
    text, place, message = CAUSES[cause]
    (problem,) = problems_of(f"{text}\n{SCRIPT}")
    assert (problem.line, problem.field) == place
    assert problem.message == message


@every_cause
async def test_a_running_store_refuses_it_and_serves_what_was_good(
    cause: str, tmp_path: Path, catalog: ProviderCatalog, settings: Settings
) -> None:
    text, (line, field), message = CAUSES[cause]
    file = tmp_path / "a.yaml"
    file.write_text(KEYLESS + "greeting: as before\n", encoding="utf-8")
    store = AgentStore(tmp_path, catalog, settings, sleep=_for_ever)
    await store.start()
    good = store.get("a")
    file.write_text(f"{text}\n{SCRIPT}\n", encoding="utf-8")
    await store.refresh()
    assert store.get("a") is good
    assert store.rejects["a.yaml"].message == f"{file}:{line}: {field}: {message}"
    assert store.unequipped == {}
    file.write_text(KEYLESS + "greeting: mended\n", encoding="utf-8")
    await store.refresh()
    await store.stop()
    assert store.get("a").greeting == "mended"
    assert store.rejects == {}


@every_cause
async def test_a_store_that_starts_with_it_serves_the_others(
    cause: str, tmp_path: Path, catalog: ProviderCatalog, settings: Settings
) -> None:
    (tmp_path / "bad.yaml").write_text(f"{CAUSES[cause][0]}\n{SCRIPT}\n", encoding="utf-8")
    (tmp_path / "good.yaml").write_text(KEYLESS, encoding="utf-8")
    store = AgentStore(tmp_path, catalog, settings)
    await store.refresh()
    assert store.ids() == ("good",)
    assert list(store.rejects) == ["bad.yaml"]
    # A good file for another installation, or one that is wrong on every one.
    assert list(store.unequipped) == ([] if "language" in cause else ["bad.yaml"])
    with pytest.raises(ConfigError):
        store.get("bad")


def test_everything_wrong_with_a_chain_is_told_at_once(problems_of: ProblemsOf) -> None:
    problems = problems_of(
        "language: mr\nstt:\n  provider: deepgram\ntts:\n  provider: absent\n"
        f"  fallback: [cartesia]\n{SCRIPT}"
    )
    assert [(problem.line, problem.field) for problem in problems] == [
        (3, "stt.provider"),
        (3, "stt.provider"),
        (5, "tts.provider"),
        (6, "tts.fallback[0]"),
        (6, "tts.fallback[0]"),
    ]


def test_a_fallback_that_the_server_gives_is_told_with_its_place(
    tmp_path: Path, catalog: ProviderCatalog
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("tts:\n  provider: espeak\n  fallback: [cartesia]\n", encoding="utf-8")
    document = parse_document(f"language: hi\n{SCRIPT}", Path("a.yaml"))
    with pytest.raises(ConfigFileError) as caught:
        build_agent(document, catalog, load_settings(config, {}))
    assert "a.yaml: tts.fallback[0]: Cartesia needs a key; set CARTESIA_API_KEY" in str(
        caught.value
    )
    assert str(caught.value).endswith(f"(inherited from {config}:3)")


def test_a_key_anywhere_will_do(tmp_path: Path, catalog: ProviderCatalog) -> None:
    text = "language: hi\nstt: {provider: offline, fallback: [deepgram]}"
    config = tmp_path / "config.yaml"
    config.write_text("stt: {deepgram: {api_key: k}}", encoding="utf-8")
    document = parse_document(f"{text}\n{SCRIPT}", Path("a.yaml"))
    for settings in (load_settings(None, {"DEEPGRAM_API_KEY": "k"}), load_settings(config, {})):
        agent = build_agent(document, catalog, settings)
        assert agent.stt.chain == ("offline", "deepgram")


def chat(**more: Any) -> ProviderCatalog:
    """A catalog with one model that is worth a check."""
    spec = ProviderSpec(
        kind="llm", name="chat", title="Chat", options=ChatOptions, build="x:y", **more
    )
    kinds: tuple[tuple[ProviderKind, str], ...] = (("stt", "offline"), ("tts", "espeak"))
    keyless = [
        ProviderSpec(kind=kind, name=name, title=name, options=ProviderOptions, build="x:y")
        for kind, name in kinds
    ]
    return ProviderCatalog((spec, *keyless))


def test_an_address_that_nobody_knows_must_be_given() -> None:
    catalog = chat(base_url_env="CHAT_BASE_URL", address_required=True)
    document = parse_document("llm:\n  provider: chat", Path("a.yaml"))
    with pytest.raises(ConfigFileError) as caught:
        build_agent(document, catalog, load_settings(None, {}))
    assert caught.value.code == "unequipped"
    assert str(caught.value) == (
        "a.yaml:2: llm.provider: Chat needs an address; set CHAT_BASE_URL in the environment or "
        "in .env, or llm.chat.base_url"
    )
    build_agent(document, catalog, load_settings(None, {"CHAT_BASE_URL": "http://x.example"}))
    given = "llm: {provider: chat, chat: {base_url: 'http://x.example'}}"
    build_agent(parse_document(given, Path("a.yaml")), catalog, load_settings(None, {}))
    build_agent(document, chat(base_url_env="CHAT_BASE_URL"), load_settings(None, {}))


def test_an_option_is_named_under_the_name_that_the_file_uses(settings: Settings) -> None:
    catalog = chat(secret_env="CHAT_API_KEY", aliases=("talk",))
    document = parse_document("llm: {provider: talk}", Path("a.yaml"))
    with pytest.raises(ConfigFileError, match=r"in \.env, or llm\.talk\.api_key$"):
        build_agent(document, catalog, settings)
