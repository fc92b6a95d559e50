"""The example of an agent that hears and speaks through Bhashini."""

from pathlib import Path

import pytest

from config.agent_file import read_agent
from config.errors import ConfigError
from config.settings import load_settings
from services.bhashini import BhashiniSTTOptions, BhashiniTTSOptions
from services.registry import catalog

FILE = Path(__file__).parents[4] / "docs/examples/bhashini_agent.json"


def test_the_example_is_good() -> None:
    agent = read_agent(FILE, catalog, load_settings(None, {}), check_installation=False)
    stt, tts = (agent.provider_options(kind, "bhashini") for kind in ("stt", "tts"))
    assert isinstance(stt, BhashiniSTTOptions)
    assert isinstance(tts, BhashiniTTSOptions)
    assert (stt.mode, tts.gender) == ("streaming", "female")


def test_a_language_that_is_heard_but_not_spoken_is_told_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    text = FILE.read_text(encoding="utf-8").replace('"language": "hi"', '"language": "ur"')
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tts.*does not speak Urdu .*ai4bharat"):
        read_agent(file, catalog, load_settings(None, {}), check_installation=False)


def test_a_missing_key_is_told() -> None:
    with pytest.raises(ConfigError, match="set BHASHINI_API_KEY in the environment"):
        read_agent(FILE, catalog, load_settings(None, {}))
