"""What the README promises a newcomer."""

import re
from pathlib import Path

from config.agent_file import read_agent
from config.check import language_problems
from config.folder import is_agent_file
from config.languages import LANGUAGES
from config.provider_report import is_remote
from config.settings import load_settings
from services.registry import catalog

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_agent_can_be_served(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n# agent_configs/(\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in blocks] == ["my_agent.yaml"]
    file = tmp_path / blocks[0][0]
    file.write_text(blocks[0][1], encoding="utf-8")
    env = {spec.secret_env: "k" for spec in catalog if spec.secret_env}
    agent = read_agent(file, catalog, load_settings(None, env))
    assert agent.fixed_phrases()["greeting"] == ("Namaste, this is Lakshmi Books. How can I help?")
    assert language_problems(agent, catalog) == []


def test_the_providers_it_names_are_in_the_registry() -> None:
    section = PAGE.split("**Who hears, thinks and speaks.**")[1].split("**A phone number.**")[0]
    known = {name for spec in catalog for name in (spec.name, *spec.aliases)}
    words = set(re.findall(r"`([a-z0-9_]+)`", section)) - {"provider"}
    assert words <= known
    assert words >= {"offline", "script", "espeak", "ai4bharat", "local"}
    assert f"which of {len(LANGUAGES)} languages" in section


def test_those_it_says_need_no_key_need_none() -> None:
    line = PAGE.split("- in this machine, without account and key:")[1].split("\n")[0]
    named = re.findall(r"`(\w+)`", line)
    assert len(named) == 5
    for spec in (spec for spec in catalog if spec.name in named):
        assert spec.secret_env is None
        assert not is_remote(spec)


def test_the_agents_it_speaks_of_ship() -> None:
    shipped = {p.stem for p in (ROOT / "agent_configs").iterdir() if is_agent_file(p.name)}
    for name in ("default_agent", "helpline_hi", "indic_english"):
        assert f"agent loaded: {name}" in PAGE
        assert name in shipped


def test_every_page_can_be_reached_from_it() -> None:
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert {page for page in pages if f"]({page}" not in PAGE} == set()
