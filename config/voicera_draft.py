"""A VoiceERA agent on its way to being one of ours: what is written so far, and what is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.documents import Document
from config.errors import ConfigError
from config.languages import resolve_language
from config.problems import KeyPath, Problem

#: Keys about a knowledge base, which stand in an agent or in its language model.
KNOWLEDGE = ("knowledge_base_enabled", "knowledge_document_ids", "knowledge_top_k")


@dataclass(slots=True)
class Draft:
    """One file on its way; ``put`` writes the result.

    Attributes:
        document: The original.
        data: The agent as it will be.
        lines: Where in the original each part of it stood.
        problems: What has no counterpart here.
    """

    document: Document
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def put(self, path: KeyPath, value: Any, origin: KeyPath) -> None:
        """Write ``value`` at ``path``, remembering where in the original it stood."""
        target = self.data
        for part in path[:-1]:
            target = target.setdefault(str(part), {})
        target[str(path[-1])] = value
        line = self.document.line(origin)
        if line is not None:
            self.lines[path] = line

    def refuse(self, path: KeyPath, message: str) -> None:
        """Note what at ``path`` of the original cannot be carried over, and why."""
        self.problems.append(Problem(path=path, message=message))

    def put_knowledge(
        self, key: str, value: Any, origin: KeyPath, everything: Mapping[str, Any]
    ) -> None:
        """Keep a key about a knowledge base as metadata; refuse one that wants its answers."""
        model = everything.get("llm_model")
        wanted = any(
            isinstance(keys, dict | Mapping) and keys.get("knowledge_base_enabled")
            for keys in (everything, model)
        )
        if wanted and key == "knowledge_base_enabled" and value:
            self.refuse(
                origin,
                "answers from a knowledge base are not available; set it to false and put what "
                "the agent must know into system_prompt",
            )
        elif value not in (False, [], ""):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            self.put(("metadata", key), text, origin)


def language_code(value: Any) -> Any:
    """The code of a language; what names none is left for the agent model to refuse."""
    try:
        return resolve_language(value) if isinstance(value, str) else value
    except ConfigError:
        return value
