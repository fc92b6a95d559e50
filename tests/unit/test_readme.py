"""What the README promises a newcomer."""

import re
from pathlib import Path

from config.agent_file import read_agent
from config.check import language_problems
from config.folder import is_agent_file
from config.providers import ProviderKind
from config.settings import load_settings
from services.registry import catalog

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")


def languages(kind: ProviderKind, name: str) -> int:
    spec = catalog.find(kind, name)
    assert spec is not None and spec.languages is not None
    return len(spec.languages)


def test_its_agent_can_be_served(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n# agent_configs/(\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in blocks] == ["my_agent.yaml"]
    file = tmp_path / blocks[0][0]
    file.write_text(blocks[0][1], encoding="utf-8")
    env = {spec.secret_env: "k" for spec in catalog if spec.secret_env}
    agent = read_agent(file, catalog, load_settings(None, env))
    assert agent.fixed_phrases()["greeting"] == ("Namaste, this is Lakshmi Books. How can I help?")
    assert language_problems(agent, catalog) == []


def test_its_table_of_providers_is_that_of_the_registry() -> None:
    table = PAGE.split("| | speech to text |")[1].split("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", table))
    known = {name for spec in catalog for name in (spec.name, *spec.aliases)}
    assert named <= known
    assert {"offline", "script", "espeak", "deepgram", "openai", "cartesia"} <= named
    assert f"`espeak`: {languages('tts', 'espeak')} languages" in table
    assert f"`ai4bharat`: {languages('stt', 'ai4bharat')} languages" in table
    assert f"`ai4bharat`: {languages('tts', 'ai4bharat')} languages" in table


def test_the_agents_it_speaks_of_ship() -> None:
    shipped = {p.stem for p in (ROOT / "agent_configs").iterdir() if is_agent_file(p.name)}
    for name in ("default_agent", "helpline_hi", "indic_english"):
        assert f"agent loaded: {name}" in PAGE
        assert name in shipped


def test_every_page_can_be_reached_from_it() -> None:
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert {page for page in pages if f"]({page}" not in PAGE} == set()
