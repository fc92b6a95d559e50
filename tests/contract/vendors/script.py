"""What the contract tests must know of the model that follows a script."""

from pathlib import Path

from config.documents import read_document

_DEFAULT_AGENT = Path(__file__).parents[3] / "agent_configs/default_agent.json"

LEAST = {("llm", "script"): read_document(_DEFAULT_AGENT).data["llm"]["script"]}
