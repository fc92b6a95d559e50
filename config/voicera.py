"""Reads a VoiceERA agent file, flat or as its backend answers, as one of our own.

Every key is carried over, kept under ``metadata``, or refused with the reason. Languages are
names there (``Hindi``), provider names go in any case, a model's ``args`` win over the keys
beside them, and numbers that a file leaves out are VoiceERA's defaults, not ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.agent import AgentConfig
from config.documents import Document
from config.errors import ConfigError
from config.languages import resolve_language
from config.problems import ConfigFileError, KeyPath, Problem, nearest, unknown
from config.providers import ProviderCatalog, ProviderKind, ProviderSpec, option_spellings

_MODELS: Mapping[str, ProviderKind] = {"stt_model": "stt", "llm_model": "llm", "tts_model": "tts"}

#: Keys that mean the same here, and where they stand.
_SAME: Mapping[str, KeyPath] = {
    "agent_id": ("agent_id",),
    "name": ("name",),
    "system_prompt": ("system_prompt",),
    "greeting_message": ("greeting",),
    "user_silence_hangup_seconds": ("call", "silence_hangup_seconds"),
    "interruption_min_words": ("turns", "interruption_min_words"),
    "ignore_user_speech_before_greeting": ("turns", "ignore_speech_before_greeting"),
    "hold_messages": ("turns", "hold_messages"),
    "hold_message_timeout_seconds": ("turns", "hold_after_seconds"),
}

#: Words that the backend and the carriers use among themselves; kept as they are.
_METADATA = (
    "agent_type",
    "org_id",
    "agent_category",
    "app_id",
    "telephony_provider",
    "vobiz_app_id",
    "vobiz_answer_url",
    "plivo_app_id",
    "plivo_answer_url",
    "created_at",
    "updated_at",
)

_DEFAULTS: Mapping[KeyPath, Any] = {
    ("call", "max_duration_seconds"): 600,
    ("call", "silence_hangup_seconds"): 0,
    ("turns", "interruption_min_words"): 1,
    ("turns", "ignore_speech_before_greeting"): True,
    ("turns", "no_input_seconds"): 0,
    ("turns", "hold_after_seconds"): 0.3,
}

#: What VoiceERA calls an option, and what a provider here may call it.
_OPTION_NAMES: Mapping[str, tuple[str, ...]] = {
    "voice_id": ("voice_id", "voice"),
    "speaker": ("speaker", "voice"),
}
_KNOWLEDGE = ("knowledge_base_enabled", "knowledge_document_ids", "knowledge_top_k")
_MIN_CALL_SECONDS = 60

#: Names of its own wrapper around a Qwen model on vLLM, and the numbers that it uses.
_QWEN = ("qwen", "localqwen", "vllm")
_QWEN_DEFAULTS: Mapping[str, Any] = {
    "temperature": 0.7,
    "top_p": 0.8,
    "max_tokens": 200,
    "top_k": 20,
}
#: Arguments of a model that say when it waits, which is decided elsewhere here.
_MODEL_TIMING = ("aggregation_timeout", "retry_timeout_secs", "retry_on_timeout")


def is_voicera(data: Mapping[str, Any]) -> bool:
    """Whether ``data`` is the content of a VoiceERA agent file or backend answer."""
    inner = data.get("agent_config")
    return isinstance(inner, dict) or any(model in data for model in _MODELS)


def convert(document: Document, catalog: ProviderCatalog) -> Document:
    """``document`` as an agent file of ours; its lines still point into the original.

    Raises:
        ConfigFileError: It says something that has no counterpart here.
    """
    conversion = _Conversion(document, catalog)
    conversion.run()
    if conversion.problems:
        problems = [p.at(document.line(p.path)) for p in conversion.problems]
        raise ConfigFileError(document.file, problems)
    keys = [key for key in AgentConfig.model_fields if key in conversion.data]
    data = {key: conversion.data[key] for key in keys}
    return Document(document.file, data, conversion.lines)


@dataclass(slots=True)
class _Conversion:
    """One file on its way; ``put`` is the only place that writes the result."""

    document: Document
    catalog: ProviderCatalog
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def run(self) -> None:
        outer = self.document.data
        inner = outer.get("agent_config")
        if isinstance(inner, dict):
            rest = {key: value for key, value in outer.items() if key != "agent_config"}
            # The backend's own words stand outside and win over copies inside.
            self._agent(inner, ("agent_config",), {**inner, **rest})
            self._agent(rest, (), {**inner, **rest})
        else:
            self._agent(outer, (), outer)
        for path, value in _DEFAULTS.items():
            section = self.data.get(str(path[0]), {})
            if path[1] not in section:
                self.put(path, value, ())
        self._name()

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
        self.problems.append(Problem(path=path, message=message))

    def _agent(self, keys: Mapping[str, Any], at: KeyPath, everything: Mapping[str, Any]) -> None:
        for key, value in keys.items():
            origin = (*at, key)
            if value is None:
                continue
            if key in _SAME:
                self.put(_SAME[key], value, origin)
            elif key in _METADATA:
                self.put(("metadata", key), str(value), origin)
            elif key in _MODELS:
                self._model(_MODELS[key], value, origin, everything)
            elif key in _SPECIAL:
                _SPECIAL[key](self, value, origin, everything)
            elif key in _KNOWLEDGE:
                self._knowledge(key, value, origin, everything)
            else:
                self._unknown(key, origin)

    def _unknown(self, key: str, origin: KeyPath) -> None:
        known = [*_MODELS, *_SAME, *_SPECIAL, *_METADATA, *_KNOWLEDGE, "agent_config"]
        guess = nearest(key, known)
        hint = f"; did you mean {guess!r}?" if guess else ""
        self.refuse(origin, f"unknown key {key!r} of a VoiceERA agent{hint}")

    def _name(self) -> None:
        agent_type = self.data.get("metadata", {}).get("agent_type")
        if agent_type and "name" not in self.data:
            self.put(("name",), agent_type, ("agent_type",))

    def _language(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        self.put(("language",), _code(value), origin)

    def _phone(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        if value != "":
            self.put(("phone_numbers",), [value], origin)

    def _mode(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        if value != "conversational":
            self.refuse(
                origin,
                f"{value!r} has no counterpart: an agent here always listens; write the "
                "announcement as the greeting of an llm.script that ends the call, or use "
                "'conversational'",
            )

    def _call_timeout(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        seconds = max(_MIN_CALL_SECONDS, value) if isinstance(value, int | float) else value
        self.put(("call", "max_duration_seconds"), seconds, origin)

    def _session_timeout(self, value: Any, origin: KeyPath, keys: Mapping[str, Any]) -> None:
        if keys.get("call_timeout_seconds") is None:
            seconds = value * 60 if isinstance(value, int | float) else value
            self._call_timeout(seconds, origin, keys)

    def _online_enabled(self, value: Any, origin: KeyPath, keys: Mapping[str, Any]) -> None:
        if value is True:
            seconds = keys.get("user_online_detection_seconds", 10)
            self.put(("turns", "no_input_seconds"), seconds, origin)
            # There the prompt is repeated for as long as the call lasts.
            self.put(("turns", "max_no_input"), 20, origin)
        elif value is not False:
            self.refuse(origin, f"must be true or false, not {value!r}")

    def _online_message(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        self.put(("turns", "no_input_prompt"), value, origin)

    def _online_seconds(self, value: Any, origin: KeyPath, keys: Mapping[str, Any]) -> None:
        if keys.get("user_online_detection_enabled") is not True:
            self.put(("metadata", "user_online_detection_seconds"), str(value), origin)

    def _knowledge(
        self, key: str, value: Any, origin: KeyPath, everything: Mapping[str, Any]
    ) -> None:
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

    def _model(
        self, kind: ProviderKind, value: Any, origin: KeyPath, everything: Mapping[str, Any]
    ) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            self.refuse(origin, "must be a mapping with the name of a provider")
            return
        args = value.get("args") or {}
        if not isinstance(args, dict):
            self.refuse((*origin, "args"), "must be a mapping")
            return
        provider = self._provider(kind, value, args, origin)
        if provider is None:
            return
        self.put((kind, "provider"), provider, (*origin, "name"))
        places = {key: (*origin, key) for key in value if key not in ("name", "args")}
        places |= {key: (*origin, "args", key) for key in args}
        spec = self.catalog.find(kind, provider)
        for key, place in places.items():
            option = args[key] if key in args else value[key]
            if option is None or (key == "custom_llm_id" and provider != "local"):
                continue
            if key in _KNOWLEDGE:
                self._knowledge(key, option, place, everything)
            elif key == "language":
                self._model_language((kind, provider), option, place, everything)
            elif kind == "llm" and key in _MODEL_TIMING:
                self.put(("metadata", key), str(option), place)
            else:
                self.put((kind, provider, _option_name(key, spec)), option, place)
        if kind == "llm" and spec is not None:
            self._own_server((kind, provider), _folded(value["name"]), spec, origin)

    def _own_server(self, section: KeyPath, name: str, spec: ProviderSpec, origin: KeyPath) -> None:
        """What VoiceERA adds by itself for models on servers of one's own: not to think first."""
        if name not in (*_QWEN, "custom_llm"):
            return
        wanted = {"thinking": False, **(_QWEN_DEFAULTS if name in _QWEN else {})}
        given = self.data.get(str(section[0]), {}).get(section[1], {})
        extra = given.pop("extra", None)
        if isinstance(extra, dict):
            wanted |= {key: extra[key] for key in extra if key != "chat_template_kwargs"}
        known = option_spellings(spec.options)
        for key, value in wanted.items():
            if key in known and key not in given:
                self.put((*section, key), value, origin)

    def _provider(
        self, kind: ProviderKind, value: dict[str, Any], args: dict[str, Any], origin: KeyPath
    ) -> str | None:
        name = _folded(value["name"])
        if kind == "llm" and name in _QWEN:
            return "local"
        if name == "custom_llm":
            given = {**value, **args}
            if any(given.get(key) for key in ("base_url", "api_base", "custom_llm_id")):
                return "local"
            self.refuse(
                (*origin, "name"),
                "a custom_llm needs its custom_llm_id in the VoiceERA backend, or its address as "
                "args.base_url",
            )
            return None
        if self.catalog.find(kind, name) is None:
            names = self.catalog.names(kind)
            self.refuse((*origin, "name"), unknown(f"{kind} provider", str(value["name"]), names))
            return None
        return name

    def _model_language(
        self, section: KeyPath, value: Any, origin: KeyPath, everything: Mapping[str, Any]
    ) -> None:
        code = _code(value)
        agent_language = everything.get("language")
        if agent_language is None:
            agent_language = self.data.setdefault("language", code)
            line = self.document.line(origin)
            if line is not None:
                self.lines.setdefault(("language",), line)
        if code != _code(agent_language):
            self.put((*section, "language"), code, origin)


_Special = Callable[[_Conversion, Any, KeyPath, Mapping[str, Any]], None]

#: Keys that need more than a new name.
_SPECIAL: Mapping[str, _Special] = {
    "language": _Conversion._language,
    "phone_number": _Conversion._phone,
    "interaction_mode": _Conversion._mode,
    "call_timeout_seconds": _Conversion._call_timeout,
    "session_timeout_minutes": _Conversion._session_timeout,
    "user_online_detection_enabled": _Conversion._online_enabled,
    "user_online_detection_message": _Conversion._online_message,
    "user_online_detection_seconds": _Conversion._online_seconds,
}


def _folded(name: Any) -> str:
    return str(name).strip().casefold()


def _code(value: Any) -> Any:
    """The code of a language; what names none is left for the agent model to refuse."""
    try:
        return resolve_language(value) if isinstance(value, str) else value
    except ConfigError:
        return value


def _option_name(key: str, spec: ProviderSpec | None) -> str:
    if spec is None:
        return key
    known = option_spellings(spec.options)
    return next((name for name in _OPTION_NAMES.get(key, ()) if name in known), key)
