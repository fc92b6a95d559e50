"""The example of an agent that Kenpath answers for."""

from pathlib import Path

import pytest

from config.agent_file import read_agent
from config.errors import ConfigError
from config.settings import load_settings
from services.kenpath import VistaarLLMOptions
from services.registry import catalog

FILE = Path(__file__).parents[4] / "docs/examples/kenpath_agent.json"


def test_the_example_is_good() -> None:
    agent = read_agent(FILE, catalog, load_settings(None, {}), check_installation=False)
    options = agent.provider_options("llm", "kenpath")
    assert isinstance(options, VistaarLLMOptions)
    assert (agent.llm.provider, agent.language) == ("kenpath", "mr")
    assert agent.turns.hold_messages


def test_a_language_that_vistaar_lacks_is_told_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    file.write_text(FILE.read_text(encoding="utf-8").replace('"mr"', '"ta"'), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"does not speak Tamil .*openai"):
        read_agent(file, catalog, load_settings(None, {}), check_installation=False)


def test_a_missing_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set KENPATH_JWT_PRIVATE_KEY_PATH in the environment"):
        read_agent(FILE, catalog, load_settings(None, {}))
