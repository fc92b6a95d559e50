"""The examples of agents whose vendors speak OpenAI's protocol."""

from pathlib import Path

import pytest

from config.agent_file import read_agent
from config.settings import load_settings
from services.registry import catalog

EXAMPLES = Path(__file__).parents[4] / "docs/examples"


@pytest.mark.parametrize(
    ("file", "provider"),
    [
        ("openai", "openai"),
        ("groq", "groq"),
        ("azure_openai", "azure_openai"),
        ("ollama", "ollama"),
        ("vllm", "openai_compatible"),
        ("openrouter", "openrouter"),
        ("xai", "xai"),
    ],
)
def test_the_example_is_good(file: str, provider: str) -> None:
    keys = {spec.secret_env: "x" * 32 for spec in catalog if spec.secret_env}
    agent = read_agent(EXAMPLES / f"{file}_agent.json", catalog, load_settings(None, keys))
    assert agent.llm.provider == provider
