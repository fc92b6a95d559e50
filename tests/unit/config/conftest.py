from collections.abc import Callable
from pathlib import Path

import pytest

from config.agent import AgentConfig
from config.agent_file import build_agent
from config.documents import parse_document
from config.problems import ConfigFileError, Problem
from config.providers import ProviderCatalog
from config.settings import Settings, load_settings
from tests.unit.config.catalog import small_catalog

KEYLESS = """
stt: {provider: offline}
llm: {provider: script, script: {steps: {a: b}}}
tts: {provider: espeak}
"""


@pytest.fixture
def catalog() -> ProviderCatalog:
    return small_catalog()


@pytest.fixture
def settings() -> Settings:
    return load_settings(None, {})


@pytest.fixture
def agent_of(catalog: ProviderCatalog, settings: Settings) -> Callable[[str], AgentConfig]:
    """Reads text as the YAML file of an agent."""

    def read(text: str) -> AgentConfig:
        return build_agent(parse_document(text, Path("agent.yaml")), catalog, settings)

    return read


@pytest.fixture
def problems_of(
    agent_of: Callable[[str], AgentConfig],
) -> Callable[[str], tuple[Problem, ...]]:
    """Reads text as the YAML file of an agent that must be refused."""

    def read(text: str) -> tuple[Problem, ...]:
        with pytest.raises(ConfigFileError) as caught:
            agent_of(text)
        return caught.value.problems

    return read
