import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.agent import AgentConfig
from config.agent_file import build_agent, read_agent
from config.check import check
from config.documents import parse_document
from config.problems import ConfigFileError, Problem
from config.providers import ProviderCatalog
from config.resolve import provider_base_url, provider_language, provider_secret
from config.settings import Settings, load_settings
from tests.unit.config.catalog import ChatOptions, VoiceOptions
from tests.unit.config.conftest import KEYLESS

AgentOf = Callable[[str], AgentConfig]
ProblemsOf = Callable[[str], tuple[Problem, ...]]

SERVER = """
stt:
  provider: deepgram
  fallback: [offline]
  deepgram: {model: nova, language: hi, service_url: ws://config.example}
llm:
  provider: local
  local: {api_base: http://config.example, model: m, temperature: 0.1}
tts:
  provider: cartesia
  cartesia: {voice: asha, api_key: from-config}
server: {session_timeout: 77}
"""


def server(folder: Path, env: dict[str, str] | None = None) -> Settings:
    file = folder / "config.yaml"
    file.write_text(SERVER, encoding="utf-8")
    return load_settings(file, env or {"DEEPGRAM_API_KEY": "k"})


def layered(text: str, catalog: ProviderCatalog, settings: Settings) -> AgentConfig:
    return build_agent(parse_document(text, Path("agent.yaml")), catalog, settings)


def test_the_files_name_is_the_id(agent_of: AgentOf) -> None:
    agent = agent_of(KEYLESS)
    assert agent.agent_id == "agent"
    assert agent.title == "agent"
    assert agent.language == "en-IN"


def test_an_empty_agent_is_what_the_server_says(tmp_path: Path, catalog: ProviderCatalog) -> None:
    agent = layered("name: x", catalog, server(tmp_path))
    assert agent.stt.chain == ("deepgram", "offline")
    assert agent.language == "hi"
    assert agent.call.max_duration_seconds == 77
    options = agent.provider_options("tts", "cartesia")
    assert isinstance(options, VoiceOptions)
    assert options.voice == "asha"
    assert options.api_key == SecretStr("from-config")


def test_the_agents_options_win_one_by_one(tmp_path: Path, catalog: ProviderCatalog) -> None:
    agent = layered(
        "llm: {local: {temperature: 0.9, base_url: 'http://agent.example'}}\n"
        "tts: {cartesia: {voice_id: ravi}}\n",
        catalog,
        server(tmp_path),
    )
    chat = agent.provider_options("llm", "local")
    assert isinstance(chat, ChatOptions)
    assert (chat.model, chat.temperature, chat.base_url) == ("m", 0.9, "http://agent.example")
    voice = agent.provider_options("tts", "cartesia")
    assert isinstance(voice, VoiceOptions)
    assert voice.voice == "ravi"


def test_naming_a_provider_leaves_the_servers_fallback(
    tmp_path: Path, catalog: ProviderCatalog
) -> None:
    agent = layered("stt: {provider: ai4bharat}", catalog, server(tmp_path))
    assert agent.stt.chain == ("ai4bharat",)


@pytest.mark.parametrize(
    ("own", "env", "address"),
    [
        ("", {}, "ws://config.example"),
        ("", {"DEEPGRAM_BASE_URL": "ws://env.example"}, "ws://env.example"),
        (
            "stt: {deepgram: {base_url: 'ws://agent.example'}}",
            {"DEEPGRAM_BASE_URL": "ws://env.example"},
            "ws://agent.example",
        ),
    ],
)
def test_an_address_comes_from_the_agent_the_environment_or_the_server(
    own: str, env: dict[str, str], address: str, tmp_path: Path, catalog: ProviderCatalog
) -> None:
    settings = server(tmp_path, {"DEEPGRAM_API_KEY": "k", **env})
    agent = layered(f"name: x\n{own}", catalog, settings)
    spec = catalog.find("stt", "deepgram")
    assert spec is not None
    options = agent.provider_options("stt", "deepgram")
    assert provider_base_url(spec, options, settings) == address
    assert provider_secret(spec, options, settings) == SecretStr("k")


def test_a_vendors_own_address_serves_when_nobody_gives_one(catalog: ProviderCatalog) -> None:
    settings = load_settings(None, {"DEEPGRAM_API_KEY": "k"})
    spec = catalog.find("stt", "deepgram")
    assert spec is not None
    assert provider_base_url(spec, spec.options(), settings) == "wss://stt.example"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, ("hi", "hi")),
        ("Tamil", ("ta", "ta")),
        ("en-IN", ("en-IN", "en-IN")),
        ("en", ("en-IN", "en-IN")),
        ("multi", ("hi", "multi")),
    ],
)
def test_a_provider_can_have_a_language_of_its_own(
    written: str | None, expected: tuple[str, str], catalog: ProviderCatalog
) -> None:
    spec = catalog.find("stt", "deepgram")
    assert spec is not None
    assert provider_language(spec, spec.options(language=written), "hi") == expected


def test_all_mistakes_of_a_file_are_told_at_once(problems_of: ProblemsOf) -> None:
    problems = problems_of(
        "langage: hi\n"
        "greeting: Hello {{nam}}\n"
        "stt:\n"
        "  provider: deepgrm\n"
        "  deepgram: {modl: x}\n"
        "  cartesia: {}\n"
        "llm:\n"
        "  provider: script\n"
        "  script: {steps: {a: 3}}\n"
        "turns:\n"
        "  end_of_speech_ms: 3\n"
        "phone_numbers: [12]\n"
        "tools: [fly]\n"
    )
    found = {(p.line, p.field): p.message for p in problems}
    assert found[1, "langage"].startswith("unknown key 'langage'; did you mean 'language'?")
    assert found[2, "greeting"].startswith("unknown variable 'nam' (allowed: agent_name, ")
    assert (
        "did you mean 'deepgram'? (allowed: ai4bharat, deepgram, offline)"
        in (found[4, "stt.provider"])
    )
    assert found[5, "stt.deepgram.modl"].startswith("unknown key 'modl'; did you mean 'model'?")
    assert found[6, "stt.cartesia"].startswith("unknown key 'cartesia'")
    assert "valid string (found 3), or" in found[9, "llm.script.steps.a"]
    assert found[11, "turns.end_of_speech_ms"].endswith("equal to 100 (found 3)")
    assert found[12, "phone_numbers[0]"]
    assert found[13, "tools[0]"] == (
        "input should be 'end_call', 'transfer' or 'switch_language' (found 'fly')"
    )
    assert len(problems) == len(found) == 9
    assert [p.line for p in problems] == sorted(p.line or 0 for p in problems)


def test_json_mistakes_have_lines_too(catalog: ProviderCatalog, settings: Settings) -> None:
    text = json.dumps({"name": "x", "turns": {"interuptions": True}}, indent="\t")
    with pytest.raises(ConfigFileError, match=r"a\.json:4: turns\.interuptions: unknown key"):
        build_agent(parse_document(text, Path("a.json")), catalog, settings)


def test_an_unknown_key_deep_in_lists_and_unions_is_told_what_it_may_be(
    problems_of: ProblemsOf,
) -> None:
    (problem,) = problems_of(
        "llm:\n  provider: script\n  script:\n    steps: {a: b}\n    menus:\n"
        "      main:\n        - {key: '1', say: Hello, sy: Hello}\n"
    )
    assert (problem.line, problem.field) == (7, "llm.script.menus.main[0].sy")
    assert problem.message == "unknown key 'sy'; did you mean 'say'? (allowed: key, say)"


def test_mistakes_that_a_model_finds_itself_have_their_own_lines(
    problems_of: ProblemsOf,
) -> None:
    problems = problems_of(
        "llm:\n  provider: script\n  script:\n    steps:\n"
        "      a: TODO\n      b: x\n      c: TODO\n"
    )
    assert [(p.line, str(p)) for p in problems] == [
        (5, "llm.script.steps.a: has nothing to say"),
        (7, "llm.script.steps.c: has nothing to say"),
    ]


def test_options_that_do_not_fit_their_agent_are_refused(problems_of: ProblemsOf) -> None:
    text = (
        "variables: {shop: x}\ncall: {transfer_to: {desk: '+919812345678'}}\n"
        "llm:\n  script:\n    steps: {a: b}\n    desk: dsk\n"
    )
    (problem,) = problems_of(text)
    assert (problem.line, problem.field) == (6, "llm.script.desk")
    assert problem.message == "there is no 'dsk' among desk"


def test_a_required_option_that_is_missing_is_named(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of("llm:\n  provider: script\n")
    assert (problem.line, str(problem)) == (1, "llm.script.steps: is missing")


def test_a_mistake_inherited_from_the_server_says_so(
    tmp_path: Path, catalog: ProviderCatalog
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("stt:\n  provider: nobody\n", encoding="utf-8")
    with pytest.raises(ConfigFileError, match=rf"agent\.yaml: stt.*\(inherited from {file}:2\)"):
        layered(KEYLESS.replace("{provider: offline}", "{}"), catalog, load_settings(file, {}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "language: mr\nstt: {provider: deepgram, deepgram: {api_key: k}}",
            "stt.provider: Deepgram does not hear Marathi (mr); providers that do: ai4bharat, off",
        ),
        (
            "language: hi\nlanguages: [ta]\ntts: {provider: cartesia, cartesia: {api_key: k}}",
            "tts.provider: Cartesia does not speak Tamil (ta)",
        ),
        (
            "language: sat\ntts: {fallback: [ai4bharat]}",
            "tts.fallback[0]: Ai4Bharat does not speak Santali (sat); no provider here does",
        ),
        (
            "language: hi\nstt: {provider: deepgram}",
            "stt.provider: Deepgram needs a key; set DEEPGRAM_API_KEY in the environment or "
            "in .env, or stt.deepgram.api_key",
        ),
        (
            "language: hi\ntts: {provider: absent}",
            "tts.provider: Absent needs the Python package a_package_that_is_not_there; install "
            "with: pip install 'server[absent]'",
        ),
        (
            "language: hi\nstt: {provider: ai4bharat, ai4bharat: {language: en}}",
            "stt.ai4bharat.language: Ai4Bharat does not hear English (en-IN); providers that do: "
            "deepgram, offline",
        ),
    ],
)
def test_what_this_installation_cannot_serve_is_refused_with_a_way_out(
    text: str, message: str, problems_of: ProblemsOf
) -> None:
    script = "\nllm: {provider: script, script: {steps: {a: b}}}"
    assert any(str(p).startswith(message) for p in problems_of(text + script))


def test_the_check_of_the_installation_can_be_made_apart(
    catalog: ProviderCatalog, settings: Settings
) -> None:
    text = (
        "language: hi\nstt: {provider: deepgram}\nllm: {provider: script, script: {steps: {a: b}}}"
    )
    document = parse_document(text, Path("a.yaml"))
    agent = build_agent(document, catalog, settings, check_installation=False)
    (problem,) = check(agent, catalog, settings)
    assert problem.path == ("stt", "provider")
    with_key = load_settings(None, {"DEEPGRAM_API_KEY": "k"})
    assert check(agent, catalog, with_key) == []


def test_a_missing_language_is_refused_even_where_nothing_is_installed(
    catalog: ProviderCatalog, settings: Settings
) -> None:
    text = "language: mr\nstt: {provider: deepgram}\nllm: {script: {steps: {a: b}}}"
    with pytest.raises(ConfigFileError) as caught:
        build_agent(
            parse_document(text, Path("a.yaml")), catalog, settings, check_installation=False
        )
    assert [p.path for p in caught.value.problems] == [("stt", "provider")]


def test_an_agent_file_does_not_reach_into_the_environment(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(
        "stt: {offline: {base_url: 'http://x/${JWT_SECRET}'}}\nllm: {script: {steps: {a: b}}}\n"
    )
    assert problem.path == ("stt", "offline", "base_url")
    assert "config.yaml only" in problem.message


def test_numbers_in_messages_are_masked(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(f"phone_numbers: ['+91 98123 4567 89 00 11 22 33']\n{KEYLESS}")
    assert "98123" not in problem.message
    assert "+** *****" in problem.message


def test_keys_in_messages_are_hidden(problems_of: ProblemsOf) -> None:
    problems = problems_of(
        "stt: {provider: deepgram, deepgram: {api_key: [hidden-key]}}\n"
        "llm: {script: {steps: {a: b}}}\n"
    )
    assert "hidden" not in "".join(map(str, problems))


def test_keys_cannot_forge_lines_of_a_log(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(f'"a\\nb\\e[31m": 1\n{KEYLESS}')
    assert str(problem).isprintable()


def test_the_editors_schema_key_is_ignored(agent_of: AgentOf) -> None:
    assert agent_of(f"$schema: ./agent.schema.json\n{KEYLESS}").agent_id == "agent"


def test_a_transfer_needs_a_target(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(f"tools: [transfer]\n{KEYLESS}")
    assert "call.transfer_to" in problem.message


def test_a_transfer_target_is_a_number(agent_of: AgentOf) -> None:
    agent = agent_of(f"tools: [transfer]\ncall: {{transfer_to: {{desk: 098123 45678}}}}\n{KEYLESS}")
    assert agent.call.transfer_to == {"desk": "+919812345678"}


@pytest.mark.parametrize("agent_id", ["../x", "a/b", "a b", "", "-x", "x" * 65, "a\n"])
def test_ids_that_could_leave_their_place_are_refused(
    agent_id: str, problems_of: ProblemsOf
) -> None:
    (problem,) = problems_of(f"agent_id: {json.dumps(agent_id)}\n{KEYLESS}")
    assert problem.path == ("agent_id",)


def test_reading_from_disk(tmp_path: Path, catalog: ProviderCatalog, settings: Settings) -> None:
    file = tmp_path / "helpline.yaml"
    file.write_text(f"language: हिन्दी\n{KEYLESS}", encoding="utf-8")
    agent = read_agent(file, catalog, settings)
    assert (agent.agent_id, agent.language) == ("helpline", "hi")
