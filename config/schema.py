"""Makes the JSON Schema of agent files, for editors, and ``env.example``, from the models.

docs/providers.md, which is made with them, is written in ``config.provider_page``.
"""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from config.agent import AgentConfig
from config.languages import LANGUAGES
from config.provider_page import PROVIDER_PAGE_FILE, provider_page
from config.providers import (
    PROVIDER_KINDS,
    ProviderCatalog,
    ProviderKind,
    ProviderSpec,
    option_spellings,
)
from config.settings import environment_fields, settings_field

AGENT_SCHEMA_FILE = Path("agent_configs/agent.schema.json")
ENV_EXAMPLE_FILE = Path("env.example")

_STAGES: dict[ProviderKind, str] = {
    "stt": "Speech to text",
    "llm": "Language model",
    "tts": "Text to speech",
}


def generated_files(catalog: ProviderCatalog) -> dict[Path, str]:
    """The files made here, by their place in the project, with their content."""
    schema = json.dumps(agent_json_schema(catalog), indent=2, ensure_ascii=False)
    return {
        AGENT_SCHEMA_FILE: f"{schema}\n",
        ENV_EXAMPLE_FILE: env_example(catalog),
        PROVIDER_PAGE_FILE: provider_page(catalog),
    }


def agent_json_schema(catalog: ProviderCatalog) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of an agent file, with the options of every provider.

    Nothing is required at the top, since the server's configuration lies under the file.
    """
    schema = AgentConfig.model_json_schema()
    definitions = schema["$defs"]
    for kind in PROVIDER_KINDS:
        del definitions[f"{kind.title()}Section"]
        definitions.pop("StageLanguage", None)
        definitions[kind] = _section(kind, catalog, definitions)
        schema["properties"][kind] = {"$ref": f"#/$defs/{kind}"}
    schema["properties"]["language"]["examples"] = list(LANGUAGES)
    schema["properties"]["$schema"] = {"type": "string", "description": "For editors; ignored."}
    del schema["required"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Agent",
        "$defs": dict(sorted(definitions.items())),
    }


def _section(
    kind: ProviderKind, catalog: ProviderCatalog, definitions: dict[str, Any]
) -> dict[str, Any]:
    specs = catalog.of_kind(kind)
    names = [name for spec in specs for name in (spec.name, *spec.aliases)]
    properties: dict[str, Any] = {
        "provider": {"enum": names, "description": "Who serves this stage."},
        "fallback": {
            "type": "array",
            "items": {"enum": names},
            "description": "Who takes over, in this order, when it fails.",
        },
        "deadlines": {"$ref": f"#/$defs/{kind.title()}Deadlines"},
    }
    in_language = {key: properties[key] for key in ("provider", "fallback")}
    for spec in specs:
        definitions[f"{kind}.{spec.name}"] = _options(spec, definitions)
        for name in (spec.name, *spec.aliases):
            properties[name] = {"$ref": f"#/$defs/{kind}.{spec.name}"}
            in_language[name] = properties[name]
    definitions[f"{kind}.languages"] = {
        "type": "object",
        "description": "In place of what the stage says, for one further language.",
        "properties": in_language,
        "additionalProperties": False,
    }
    properties["languages"] = {
        "type": "object",
        "description": "For a further language: a provider, its fallback, or options such as a "
        "voice.",
        "additionalProperties": {"$ref": f"#/$defs/{kind}.languages"},
    }
    return {
        "type": "object",
        "description": _STAGES[kind],
        "properties": properties,
        "additionalProperties": False,
    }


def _options(spec: ProviderSpec, definitions: dict[str, Any]) -> dict[str, Any]:
    prefix = f"{spec.kind}.{spec.name}"
    schema = spec.options.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    for name, inner in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = inner
    properties = schema.get("properties", {})
    by_field = {option_spellings(spec.options)[key]: key for key in properties}
    for spelling, field in option_spellings(spec.options).items():
        properties.setdefault(spelling, properties[by_field[field]])
    return {**schema, "title": spec.title}


def env_example(catalog: ProviderCatalog) -> str:
    """A file of every environment variable the server reads, each commented out."""
    lines = [
        "# Environment of the voice server. Copy to .env and uncomment what you need; a variable",
        "# of the process wins over this file, and both win over config/config.yaml.",
    ]
    heading = None
    for name, path in environment_fields().items():
        section = path[0] if len(path) > 1 else "general"
        if section != heading:
            heading = section
            lines += ["", f"# --- {section} ---"]
        info = settings_field(path)
        lines += _variable(name, _written(info.default), info.description or "")
    lines += ["", "# --- providers: keys, and addresses in place of the vendor's own ---"]
    for name, default, description in _provider_variables(catalog):
        lines += _variable(name, default, description)
    return "\n".join(lines) + "\n"


def _variable(name: str, default: str, description: str) -> list[str]:
    comment = textwrap.wrap(f"# {description}", 98, subsequent_indent="# ")
    return ["", *comment, f"#{name}={default}"]


def _written(default: object) -> str:
    if default in (None, ()) or isinstance(default, SecretStr | BaseModel):
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def _provider_variables(catalog: ProviderCatalog) -> Iterator[tuple[str, str, str]]:
    """Name, default and description of each, once even where two stages share it."""
    keys: dict[str, list[ProviderSpec]] = {}
    options: dict[str, tuple[str, list[ProviderSpec]]] = {}
    addresses: dict[str, list[ProviderSpec]] = {}
    for kind in PROVIDER_KINDS:
        for spec in catalog.of_kind(kind):
            if spec.secret_env:
                keys.setdefault(spec.secret_env, []).append(spec)
            for option, name in spec.option_env.items():
                options.setdefault(name, (option, []))[1].append(spec)
            if spec.base_url_env:
                addresses.setdefault(spec.base_url_env, []).append(spec)
    for name, specs in keys.items():
        yield name, "", f"Key of {_titles(specs)}."
    for name, (option, specs) in options.items():
        yield name, "", f"The {option} of {_titles(specs)}."
    for name, specs in addresses.items():
        yield name, specs[0].default_base_url or "", f"Address of {_titles(specs)}."


def _titles(specs: list[ProviderSpec]) -> str:
    return ", ".join(f"{spec.title} ({spec.kind})" for spec in specs)
