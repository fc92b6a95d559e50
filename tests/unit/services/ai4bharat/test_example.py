"""The example of an agent that hears and speaks Bhili on a server of one's own."""

from pathlib import Path

from config.agent_file import read_agent
from config.settings import load_settings
from services.registry import catalog

FILE = Path(__file__).parents[4] / "docs/examples/ai4bharat_bhili_agent.json"


def test_the_example_needs_no_key() -> None:
    agent = read_agent(FILE, catalog, load_settings(None, {}))
    assert agent.language == "bhb"
    assert [agent.section(kind).provider for kind in ("stt", "tts")] == ["ai4bharat"] * 2
