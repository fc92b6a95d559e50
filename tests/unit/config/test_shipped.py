"""The files that ship, against the providers that ship."""

import json
from pathlib import Path

import jsonschema
import pytest

from config.agent_file import read_agent
from config.defaults import require_usable_defaults
from config.documents import read_document
from config.folder import is_agent_file
from config.schema import agent_json_schema, generated_files
from config.settings import Settings, load_settings
from services.registry import catalog

ROOT = Path(__file__).parents[3]
AGENTS = ROOT / "agent_configs"
KEYLESS = ("default_agent.json", "helpline_hi.yaml")
SHIPPED = sorted(file.name for file in AGENTS.iterdir() if is_agent_file(file.name))
KEYS = {spec.secret_env: "k" for spec in catalog if spec.secret_env}

#: The configuration that VoiceERA's voice server documents, unchanged.
VOICERA_EXAMPLE = """\
stt:
  provider: deepgram          # or ai4bharat, google, azure
  deepgram:
    api_key: ${DEEPGRAM_API_KEY}
    model: nova-2
    language: en
  ai4bharat:
    service_url: http://ai4bharat_stt_server:8001
    language: hi

llm:
  provider: openai            # or anthropic, local
  openai:
    api_key: ${OPENAI_API_KEY}
    model: gpt-4
    temperature: 0.7
    max_tokens: 200
  local:
    api_base: http://localhost:8000
    model: mistral-7b

tts:
  provider: cartesia          # or google, ai4bharat
  cartesia:
    api_key: ${CARTESIA_API_KEY}
    voice: english_male
    sample_rate: 16000
  ai4bharat:
    service_url: http://ai4bharat_tts_server:8002
    language: hi
    voice: female

server:
  host: 0.0.0.0
  port: 7860
  max_connections: 100
  session_timeout: 1800       # 30 minutes

backend:
  api_url: http://backend:8000
  upload_recordings: true
  upload_transcripts: true
"""


@pytest.fixture
def with_keys() -> Settings:
    return load_settings(None, {name: value for name, value in KEYS.items() if name})


@pytest.fixture
def voicera_example(tmp_path: Path) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(VOICERA_EXAMPLE, encoding="utf-8")
    return load_settings(file, {name: value for name, value in KEYS.items() if name})


def test_the_four_agents_ship() -> None:
    assert {*KEYLESS, "sales_agent.json", "indic_english.json"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_agent_loads(name: str, with_keys: Settings) -> None:
    agent = read_agent(AGENTS / name, catalog, with_keys)
    assert agent.name
    assert agent.greeting
    assert "greeting" in agent.fixed_phrases()


@pytest.mark.parametrize("name", KEYLESS)
def test_a_keyless_agent_needs_nothing(name: str) -> None:
    agent = read_agent(AGENTS / name, catalog, load_settings(None, {}))
    assert (agent.stt.chain, agent.llm.chain, agent.tts.chain) == (
        ("offline",),
        ("script",),
        ("espeak",),
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_agent_passes_the_editors_schema(name: str) -> None:
    data = read_document(AGENTS / name).data
    jsonschema.validate(data, agent_json_schema(catalog), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("place", generated_files(catalog), ids=str)
def test_generated_files_are_what_the_models_say(place: Path) -> None:
    assert (ROOT / place).read_text(encoding="utf-8") == generated_files(catalog)[place], (
        f"{place} is out of date; make it anew with `python main.py schema`"
    )


def test_the_schema_is_valid_json() -> None:
    schema = json.loads((AGENTS / "agent.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_example_configuration_suits_the_providers() -> None:
    settings = load_settings(ROOT / "config" / "config.example.yaml", {})
    require_usable_defaults(settings, catalog)


def test_voiceras_example_loads_unchanged(voicera_example: Settings, tmp_path: Path) -> None:
    require_usable_defaults(voicera_example, catalog)
    assert voicera_example.server.session_timeout_seconds == 1800
    file = tmp_path / "agent.yaml"
    file.write_text("greeting: Hello\n", encoding="utf-8")
    agent = read_agent(file, catalog, voicera_example)
    assert agent.language == "en-IN"
    assert (agent.stt.provider, agent.llm.provider, agent.tts.provider) == (
        "deepgram",
        "openai",
        "cartesia",
    )


def test_voiceras_other_providers_can_be_chosen(voicera_example: Settings, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(
        "language: Hindi\nstt: {provider: ai4bharat}\nllm: {provider: local}\n"
        "tts: {provider: ai4bharat}\n",
        encoding="utf-8",
    )
    agent = read_agent(file, catalog, voicera_example)
    assert agent.provider_options("stt", "ai4bharat").base_url == "http://ai4bharat_stt_server:8001"
    assert agent.provider_options("llm", "local").base_url == "http://localhost:8000"
    assert agent.provider_options("tts", "ai4bharat").base_url == "http://ai4bharat_tts_server:8002"
