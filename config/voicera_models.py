"""The models of a VoiceERA agent as sections of ours: providers, their options, their language."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.problems import KeyPath, unknown
from config.providers import ProviderCatalog, ProviderKind, ProviderSpec, option_spellings
from config.voicera_draft import KNOWLEDGE, Draft, language_code

#: What VoiceERA calls an option, and what a provider here may call it.
_OPTION_NAMES: Mapping[str, tuple[str, ...]] = {
    "voice_id": ("voice_id", "voice"),
    "speaker": ("speaker", "voice"),
}

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


@dataclass(frozen=True, slots=True)
class ModelConversion:
    """Carries over ``stt_model``, ``llm_model`` and ``tts_model``."""

    draft: Draft
    catalog: ProviderCatalog

    def convert(
        self, kind: ProviderKind, value: Any, origin: KeyPath, everything: Mapping[str, Any]
    ) -> None:
        """Write one model's provider and options.

        Args:
            value: What the file says of it.
            origin: Where that stands.
            everything: All keys of the agent.
        """
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            self.draft.refuse(origin, "must be a mapping with the name of a provider")
            return
        args = value.get("args") or {}
        if not isinstance(args, dict):
            self.draft.refuse((*origin, "args"), "must be a mapping")
            return
        provider = self._provider(kind, value, args, origin)
        if provider is None:
            return
        self.draft.put((kind, "provider"), provider, (*origin, "name"))
        places = {key: (*origin, key) for key in value if key not in ("name", "args")}
        places |= {key: (*origin, "args", key) for key in args}
        spec = self.catalog.find(kind, provider)
        for key, place in places.items():
            option = args[key] if key in args else value[key]
            if option is None or (key == "custom_llm_id" and provider != "local"):
                continue
            if key in KNOWLEDGE:
                self.draft.put_knowledge(key, option, place, everything)
            elif key == "language":
                self._model_language((kind, provider), option, place, everything)
            elif kind == "llm" and key in _MODEL_TIMING:
                self.draft.put(("metadata", key), str(option), place)
            else:
                self.draft.put((kind, provider, _option_name(key, spec)), option, place)
        if kind == "llm" and spec is not None:
            self._own_server((kind, provider), _folded(value["name"]), spec, origin)

    def _own_server(self, section: KeyPath, name: str, spec: ProviderSpec, origin: KeyPath) -> None:
        """What VoiceERA adds by itself for models on servers of one's own: not to think first."""
        if name not in (*_QWEN, "custom_llm"):
            return
        wanted = {"thinking": False, **(_QWEN_DEFAULTS if name in _QWEN else {})}
        given = self.draft.data.get(str(section[0]), {}).get(section[1], {})
        extra = given.pop("extra", None)
        if isinstance(extra, dict):
            wanted |= {key: extra[key] for key in extra if key != "chat_template_kwargs"}
        known = option_spellings(spec.options)
        for key, value in wanted.items():
            if key in known and key not in given:
                self.draft.put((*section, key), value, origin)

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
            self.draft.refuse(
                (*origin, "name"),
                "a custom_llm needs its custom_llm_id in the VoiceERA backend, or its address as "
                "args.base_url",
            )
            return None
        if self.catalog.find(kind, name) is None:
            names = self.catalog.names(kind)
            self.draft.refuse(
                (*origin, "name"), unknown(f"{kind} provider", str(value["name"]), names)
            )
            return None
        return name

    def _model_language(
        self, section: KeyPath, value: Any, origin: KeyPath, everything: Mapping[str, Any]
    ) -> None:
        code = language_code(value)
        agent_language = everything.get("language")
        if agent_language is None:
            agent_language = self.draft.data.setdefault("language", code)
            line = self.draft.document.line(origin)
            if line is not None:
                self.draft.lines.setdefault(("language",), line)
        if code != language_code(agent_language):
            self.draft.put((*section, "language"), code, origin)


def _folded(name: Any) -> str:
    return str(name).strip().casefold()


def _option_name(key: str, spec: ProviderSpec | None) -> str:
    if spec is None:
        return key
    known = option_spellings(spec.options)
    return next((name for name in _OPTION_NAMES.get(key, ()) if name in known), key)
