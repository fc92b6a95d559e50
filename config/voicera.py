"""Reads a VoiceERA agent file, flat or as its backend answers, as one of our own.

Every key is carried over, kept under ``metadata``, or refused with the reason. Languages are
names there (``Hindi``), provider names go in any case, a model's ``args`` win over the keys
beside them, and numbers that a file leaves out are VoiceERA's defaults, not ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config.agent import AgentConfig
from config.documents import Document
from config.problems import ConfigFileError, KeyPath, nearest
from config.providers import ProviderCatalog, ProviderKind
from config.voicera_draft import KNOWLEDGE, Draft, language_code
from config.voicera_models import ModelConversion

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

_MIN_CALL_SECONDS = 60


def is_voicera(data: Mapping[str, Any]) -> bool:
    """Whether ``data`` is the content of a VoiceERA agent file or backend answer."""
    inner = data.get("agent_config")
    return isinstance(inner, dict) or any(model in data for model in _MODELS)


def convert(document: Document, catalog: ProviderCatalog) -> Document:
    """``document`` as an agent file of ours; its lines still point into the original.

    Raises:
        ConfigFileError: It says something that has no counterpart here.
    """
    draft = Draft(document)
    _Conversion(draft, ModelConversion(draft, catalog)).run()
    if draft.problems:
        problems = [p.at(document.line(p.path)) for p in draft.problems]
        raise ConfigFileError(document.file, problems)
    keys = [key for key in AgentConfig.model_fields if key in draft.data]
    data = {key: draft.data[key] for key in keys}
    return Document(document.file, data, draft.lines)


@dataclass(slots=True)
class _Conversion:
    """The keys of one file, each to its place; models have a conversion of their own."""

    draft: Draft
    models: ModelConversion

    def run(self) -> None:
        outer = self.draft.document.data
        inner = outer.get("agent_config")
        if isinstance(inner, dict):
            rest = {key: value for key, value in outer.items() if key != "agent_config"}
            # The backend's own words stand outside and win over copies inside.
            self._agent(inner, ("agent_config",), {**inner, **rest})
            self._agent(rest, (), {**inner, **rest})
        else:
            self._agent(outer, (), outer)
        for path, value in _DEFAULTS.items():
            section = self.draft.data.get(str(path[0]), {})
            if path[1] not in section:
                self.draft.put(path, value, ())
        self._name()

    def _agent(self, keys: Mapping[str, Any], at: KeyPath, everything: Mapping[str, Any]) -> None:
        for key, value in keys.items():
            origin = (*at, key)
            if value is None:
                continue
            if key in _SAME:
                self.draft.put(_SAME[key], value, origin)
            elif key in _METADATA:
                self.draft.put(("metadata", key), str(value), origin)
            elif key in _MODELS:
                self.models.convert(_MODELS[key], value, origin, everything)
            elif key in _SPECIAL:
                _SPECIAL[key](self, value, origin, everything)
            elif key in KNOWLEDGE:
                self.draft.put_knowledge(key, value, origin, everything)
            else:
                self._unknown(key, origin)

    def _unknown(self, key: str, origin: KeyPath) -> None:
        known = [*_MODELS, *_SAME, *_SPECIAL, *_METADATA, *KNOWLEDGE, "agent_config"]
        guess = nearest(key, known)
        hint = f"; did you mean {guess!r}?" if guess else ""
        self.draft.refuse(origin, f"unknown key {key!r} of a VoiceERA agent{hint}")

    def _name(self) -> None:
        agent_type = self.draft.data.get("metadata", {}).get("agent_type")
        if agent_type and "name" not in self.draft.data:
            self.draft.put(("name",), agent_type, ("agent_type",))

    def _language(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        self.draft.put(("language",), language_code(value), origin)

    def _phone(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        if value != "":
            self.draft.put(("phone_numbers",), [value], origin)

    def _mode(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        if value != "conversational":
            self.draft.refuse(
                origin,
                f"{value!r} has no counterpart: an agent here always listens; write the "
                "announcement as the greeting of an llm.script that ends the call, or use "
                "'conversational'",
            )

    def _call_timeout(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        seconds = max(_MIN_CALL_SECONDS, value) if isinstance(value, int | float) else value
        self.draft.put(("call", "max_duration_seconds"), seconds, origin)

    def _session_timeout(self, value: Any, origin: KeyPath, keys: Mapping[str, Any]) -> None:
        if keys.get("call_timeout_seconds") is None:
            seconds = value * 60 if isinstance(value, int | float) else value
            self._call_timeout(seconds, origin, keys)

    def _online_enabled(self, value: Any, origin: KeyPath, keys: Mapping[str, Any]) -> None:
        if value is True:
            seconds = keys.get("user_online_detection_seconds", 10)
            self.draft.put(("turns", "no_input_seconds"), seconds, origin)
            # There the prompt is repeated for as long as the call lasts.
            self.draft.put(("turns", "max_no_input"), 20, origin)
        elif value is not False:
            self.draft.refuse(origin, f"must be true or false, not {value!r}")

    def _online_message(self, value: Any, origin: KeyPath, _: Mapping[str, Any]) -> None:
        self.draft.put(("turns", "no_input_prompt"), value, origin)

    def _online_seconds(self, value: Any, origin: KeyPath, keys: Mapping[str, Any]) -> None:
        if keys.get("user_online_detection_enabled") is not True:
            self.draft.put(("metadata", "user_online_detection_seconds"), str(value), origin)


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
