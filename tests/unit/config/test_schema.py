from pathlib import Path

import jsonschema
import pytest
import yaml

from config.providers import ProviderCatalog
from config.schema import agent_json_schema, env_example, generated_files
from config.settings import load_settings
from tests.unit.config.conftest import KEYLESS


def errors(text: str, catalog: ProviderCatalog) -> list[str]:
    schema = agent_json_schema(catalog)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


def test_a_sound_agent_passes(catalog: ProviderCatalog) -> None:
    text = (
        "language: hi\nphone_numbers: ['+919812345678']\nturns: {interruptions: false}\n"
        f"$schema: x\n{KEYLESS}"
    )
    assert errors(text, catalog) == []


def test_older_spellings_of_options_pass(catalog: ProviderCatalog) -> None:
    text = "llm: {local: {api_base: 'http://x'}}\ntts: {cartesia: {voice_id: v}}"
    assert errors(text, catalog) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("langage: hi", "langage"),
        ("stt: {provider: deepgrm}", "deepgrm"),
        ("stt: {deepgram: {modl: x}}", "modl"),
        ("llm: {openai: {temperature: 3}}", "maximum"),
        ("llm: {script: {}}", "steps"),
        ("turns: {end_of_speech_ms: soon}", "soon"),
    ],
)
def test_mistakes_are_marked(text: str, word: str, catalog: ProviderCatalog) -> None:
    assert any(word in message for message in errors(text, catalog))


def test_env_example_lists_settings_and_providers_once(catalog: ProviderCatalog) -> None:
    names = [
        line[1:].split("=")[0]
        for line in env_example(catalog).splitlines()
        if line.startswith("#") and not line.startswith("# ")
    ]
    assert len(names) == len(set(names))
    assert {"HOST", "PORT", "MINIO_ENDPOINT", "DEEPGRAM_API_KEY", "DEEPGRAM_BASE_URL"} <= set(names)


def test_env_example_changes_nothing_when_all_of_it_is_uncommented(
    catalog: ProviderCatalog,
) -> None:
    pairs = [
        line[1:].split("=", 1)
        for line in env_example(catalog).splitlines()
        if line.startswith("#") and not line.startswith("# ")
    ]
    env = {name: value for name, value in pairs if name != "ENVIRONMENT"}
    assert load_settings(None, env).model_dump() == load_settings(None, {}).model_dump()


def test_the_files_are_made(catalog: ProviderCatalog) -> None:
    files = generated_files(catalog)
    assert set(files) == {
        Path("agent_configs/agent.schema.json"),
        Path("env.example"),
        Path("docs/providers.md"),
    }
    assert all(text.endswith("\n") for text in files.values())
