import json
from pathlib import Path

import pytest

from config.problems import ConfigFileError
from config.providers import ProviderCatalog
from config.report import checked_file
from config.settings import Settings
from tests.unit.config.conftest import KEYLESS
from tests.unit.config.test_voicera import FLAT


def test_a_good_agent_is_one_line(
    tmp_path: Path, catalog: ProviderCatalog, settings: Settings
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(KEYLESS, encoding="utf-8")
    text = checked_file(file, catalog, settings)
    assert text == f"{file}: good: agent a (en-IN; stt offline, llm script, tts espeak)"


def test_a_voicera_agent_is_shown_converted_and_without_keys(
    tmp_path: Path, catalog: ProviderCatalog, settings: Settings
) -> None:
    stt = {**FLAT["stt_model"], "args": {"api_key": "hidden-key"}}
    file = tmp_path / "a.json"
    file.write_text(json.dumps({**FLAT, "stt_model": stt}), encoding="utf-8")
    text = checked_file(file, catalog, settings, installation=False)
    converted = json.loads(text[text.index("{") :])
    assert converted["greeting"] == "नमस्ते"
    assert converted["llm"]["openai"]["model"] == "gpt-4o"
    assert "hidden" not in text


def test_the_converted_form_is_an_agent_file_of_ours(
    tmp_path: Path, catalog: ProviderCatalog, settings: Settings
) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(FLAT), encoding="utf-8")
    text = checked_file(file, catalog, settings, installation=False)
    file.write_text(text[text.index("{") :], encoding="utf-8")
    again = checked_file(file, catalog, settings, installation=False)
    assert again == text.splitlines()[0]


def test_what_the_server_passes_over_is_passed_over(
    tmp_path: Path, catalog: ProviderCatalog, settings: Settings
) -> None:
    file = tmp_path / "agent.schema.json"
    file.write_text("{}", encoding="utf-8")
    assert "passed over" in checked_file(file, catalog, settings)


def test_a_bad_agent_is_an_error(
    tmp_path: Path, catalog: ProviderCatalog, settings: Settings
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("stt: {provider: deepgram}\nllm: {script: {steps: {a: b}}}", encoding="utf-8")
    with pytest.raises(ConfigFileError, match="DEEPGRAM_API_KEY"):
        checked_file(file, catalog, settings)
    assert "good" in checked_file(file, catalog, settings, installation=False)
