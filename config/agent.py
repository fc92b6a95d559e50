"""What an operator asks of one agent, validated and frozen.

Its stages are in ``config.agent_stages``, how its calls go in ``config.agent_call``. A file is read
by ``config.agent_file``; a call keeps the :class:`AgentConfig` it began with.
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from config.agent_call import (
    CallConfig,
    LanguageSwitchingConfig,
    RecordingConfig,
    Translation,
    TurnsConfig,
)
from config.agent_fields import AgentSection, LanguageCode, PhoneNumber, Phrase
from config.agent_stages import LlmSection, ProviderSection, SttSection, TtsSection
from config.errors import ConfigError
from config.phrases import phrases_for
from config.providers import ProviderKind, ProviderOptions
from config.templates import render_template, template_variables

#: What an agent may be called; the only form that reaches paths, URLs and XML.
AGENT_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

_MAX_PROMPT = 100_000

ToolName = Literal["end_call", "transfer", "switch_language"]


class AgentConfig(AgentSection):
    """One agent, as its file and the server's defaults describe it."""

    agent_id: str = Field(pattern=AGENT_ID_PATTERN, description="By default the file's name.")
    name: str = Field(default="", max_length=200, description="For people.")
    language: LanguageCode = Field(description="What it speaks and hears: a code or a name.")
    languages: tuple[LanguageCode, ...] = Field(
        default=(), max_length=24, description="Further languages it may turn to."
    )
    system_prompt: str = Field(
        default="", max_length=_MAX_PROMPT, description="What the language model is told."
    )
    greeting: Phrase = Field(default="", description="Its first words; none, and it waits.")
    phone_numbers: tuple[PhoneNumber, ...] = Field(
        default=(), max_length=1000, description="Numbers it answers."
    )
    stt: SttSection
    llm: LlmSection
    tts: TtsSection
    turns: TurnsConfig = TurnsConfig()
    call: CallConfig = CallConfig()
    recording: RecordingConfig = RecordingConfig()
    language_switching: LanguageSwitchingConfig = LanguageSwitchingConfig()
    translations: dict[LanguageCode, Translation] = Field(
        default_factory=dict,
        description="Its apology, farewell, no_input_prompt and hold_messages in further "
        "languages, by language.",
    )
    tools: tuple[ToolName, ...] = Field(
        default=(),
        description="What the language model may do: end_call, transfer, switch_language.",
    )
    variables: dict[str, str] = Field(
        default_factory=dict, description="Values for {{name}}; a call may bring its own."
    )
    metadata: dict[str, str] = Field(
        default_factory=dict, description="Words kept for the backend, such as org_id."
    )

    _options: dict[tuple[ProviderKind, str], ProviderOptions] = PrivateAttr(default_factory=dict)
    _language_options: dict[tuple[ProviderKind, str, str], ProviderOptions] = PrivateAttr(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _transfer_has_a_target(self) -> Self:
        if "transfer" in self.tools and not self.call.transfer_to:
            raise ValueError("the tool transfer needs a number in call.transfer_to")
        return self

    @model_validator(mode="after")
    def _languages_are_spoken(self) -> Self:
        if "switch_language" in self.tools and len(self.spoken_languages) < 2:
            raise ValueError("the tool switch_language needs further languages in languages")
        for place, codes in (
            ("language_switching.keys", self.language_switching.keys.values()),
            ("translations", self.translations),
        ):
            for code in codes:
                if code not in self.spoken_languages:
                    raise ValueError(f"{place} has {code}, which is not among languages")
        return self

    @property
    def may_switch_by_tool(self) -> bool:
        """Whether the language model is offered the tool ``switch_language``."""
        allowed = self.language_switching.by_tool or "switch_language" in self.tools
        return allowed and len(self.spoken_languages) > 1

    @property
    def title(self) -> str:
        """Its name, or its id where it has none."""
        return self.name or self.agent_id

    @property
    def org_id(self) -> str | None:
        """Whose it is in VoiceERA's backend, which keeps keys by it; None where nobody said."""
        return self.metadata.get("org_id") or None

    @property
    def spoken_languages(self) -> tuple[str, ...]:
        """Its language and the further ones, each once."""
        return tuple(dict.fromkeys((self.language, *self.languages)))

    def section(self, kind: ProviderKind) -> ProviderSection:
        """The section of one stage."""
        sections: dict[ProviderKind, ProviderSection] = {
            "stt": self.stt,
            "llm": self.llm,
            "tts": self.tts,
        }
        return sections[kind]

    def provider_options(
        self, kind: ProviderKind, name: str, language: str | None = None
    ) -> ProviderOptions:
        """The validated options of a provider in this agent's chain.

        Args:
            language: Those for a further language, where it has any of its own.

        Raises:
            ConfigError: The agent does not use that provider.
        """
        if language is not None and (kind, name, language) in self._language_options:
            return self._language_options[(kind, name, language)]
        try:
            return self._options[(kind, name)]
        except KeyError:
            raise ConfigError(
                f"agent {self.agent_id} has no {kind} provider {name!r}", code="unknown_provider"
            ) from None

    def has_options(self, kind: ProviderKind, name: str, language: str | None = None) -> bool:
        """Whether that provider is in use (in a language) and its options are valid."""
        return (kind, name) in self._options or (
            language is not None and (kind, name, language) in self._language_options
        )

    def with_options(
        self,
        options: Mapping[tuple[ProviderKind, str], ProviderOptions],
        by_language: Mapping[tuple[ProviderKind, str, str], ProviderOptions] | None = None,
    ) -> "AgentConfig":
        """A copy that holds validated provider options, also those of further languages."""
        copy = self.model_copy()
        copy._options = dict(options)
        copy._language_options = dict(by_language or {})
        return copy

    def values(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """Everything ``{{name}}`` may refer to; ``variables`` are the call's own."""
        return {"agent_name": self.title, **self.variables, **(variables or {})}

    def render(self, text: str, variables: Mapping[str, str] | None = None) -> str:
        """``text`` with this agent's and the call's variables; a number unknown is empty."""
        return render_template(
            text, {"caller_number": "", "called_number": "", **self.values(variables)}
        )

    def phrases(self, language: str | None = None) -> dict[str, str]:
        """The texts that every call may need, with ``{{name}}`` as written.

        Args:
            language: One of the agent's further languages; by default its own.

        Returns:
            ``greeting`` (may be empty), ``apology``, ``no_input``, ``farewell``, ``busy`` and
            ``hold_0``, ``hold_1`` and so on. A call begins in the agent's own language: in
            others ``greeting`` and ``busy`` are empty.
        """
        if language is not None and language != self.language:
            return self._translated_phrases(language)
        default = phrases_for(self.language)
        holds = self.turns.hold_messages or (default.hold,)
        return {
            "greeting": self.greeting,
            "apology": self.call.apology or default.apology,
            "no_input": self.turns.no_input_prompt or default.no_input,
            "farewell": self.call.farewell or default.farewell,
            "busy": self.call.busy or default.busy,
            **{f"hold_{i}": text for i, text in enumerate(holds)},
        }

    def _translated_phrases(self, language: str) -> dict[str, str]:
        default = phrases_for(language)
        own = self.translations.get(language, Translation())
        holds = own.hold_messages or (default.hold,)
        return {
            "greeting": "",
            "apology": own.apology or default.apology,
            "no_input": own.no_input_prompt or default.no_input,
            "farewell": own.farewell or default.farewell,
            "busy": "",
            **{f"hold_{i}": text for i, text in enumerate(holds)},
        }

    def fixed_phrases(self, language: str | None = None) -> dict[str, str]:
        """The phrases whose words are known before a call, rendered: to be made ready early.

        A phrase that speaks of the caller's number, or is empty, is left out.
        """
        known = self.values()
        return {
            name: render_template(text, known)
            for name, text in self.phrases(language).items()
            if text and all(v in known for v in template_variables(text))
        }
