"""What ``main.py check`` says of an agent file that can be served."""

import json
from pathlib import Path

from config.agent_file import native_document, read_agent
from config.documents import read_document
from config.folder import is_agent_file
from config.providers import ProviderCatalog
from config.secrets import without_secrets
from config.settings import Settings
from config.voicera import is_voicera


def checked_file(
    file: Path, catalog: ProviderCatalog, settings: Settings, *, installation: bool = True
) -> str:
    """A line on the agent, and for a VoiceERA file its form in our own keys.

    Args:
        installation: Also mind keys and packages that are missing here.

    Raises:
        ConfigError: With everything that is wrong with the file.
    """
    if not is_agent_file(file.name):
        return f"{file}: passed over: the server does not take a file of that name for an agent's"
    agent = read_agent(file, catalog, settings, check_installation=installation)
    stages = ", ".join(f"{kind} {agent.section(kind).provider}" for kind in ("stt", "llm", "tts"))
    lines = [f"{file}: good: agent {agent.agent_id} ({agent.language}; {stages})"]
    document = read_document(file)
    if is_voicera(document.data):
        converted = without_secrets(native_document(document, catalog).data)
        lines += [
            "converted from VoiceERA's keys (API keys left out):",
            json.dumps(converted, indent=2, ensure_ascii=False),
        ]
    return "\n".join(lines)
