"""Keyless language model: a dialogue that the operator writes in the agent file."""

from config.providers import ProviderSpec
from services.script.options import ScriptOptions

SPECS: tuple[ProviderSpec, ...] = (
    ProviderSpec(
        kind="llm",
        name="script",
        title="Scripted dialogue",
        options=ScriptOptions,
        build="services.script.llm:build_llm",
        languages=None,
    ),
)
