"""An agent in Bhili that says ``bhashini`` is given the models that know Bhili."""

from pathlib import Path

import pytest

from config.agent_file import read_agent
from config.errors import ConfigError
from config.settings import load_settings
from services.bhashini import BhiliSTTOptions
from services.registry import catalog

FILE = Path(__file__).parents[4] / "docs/examples/bhashini_bhili_agent.json"
ENV = {
    "BHASHINI_BHILI_STT_AUTH_TOKEN": "any",
    "BHASHINI_BHILI_STT_FUNCTION_ID": "f-stt",
    "BHASHINI_TTS_AUTH_TOKEN": "any",
    "BHASHINI_TTS_FUNCTION_ID": "f-tts",
}


def test_it_is_served_with_the_accounts_in_the_environment_alone() -> None:
    agent = read_agent(FILE, catalog, load_settings(None, ENV))
    assert agent.stt.chain == ("bhashini_bhili", "ai4bharat")
    assert agent.tts.chain == ("bhashini_parler", "ai4bharat")
    options = agent.provider_options("stt", "bhashini_bhili")
    assert isinstance(options, BhiliSTTOptions)
    assert options.function_id == "f-stt"


@pytest.mark.parametrize("name", ENV)
def test_what_is_missing_is_told_with_the_way_out(name: str) -> None:
    rest = {key: value for key, value in ENV.items() if key != name}
    with pytest.raises(ConfigError, match=f"set {name} in the environment"):
        read_agent(FILE, catalog, load_settings(None, rest))


def test_another_language_is_left_to_the_usual_service(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    text = FILE.read_text(encoding="utf-8").replace('"bhb"', '"hi"')
    file.write_text(text.replace("kenpath_bhili", "openai"), encoding="utf-8")
    agent = read_agent(file, catalog, load_settings(None, {}), check_installation=False)
    assert (agent.stt.provider, agent.tts.provider) == ("bhashini", "bhashini")
