"""What an operator asks of one agent, validated and frozen.

A file is read by ``config.agent_file``; a call keeps the :class:`AgentConfig` it began with.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)

from config.errors import ConfigError
from config.languages import resolve_language
from config.phone import normalise_number
from config.phrases import phrases_for
from config.providers import ProviderKind, ProviderOptions
from config.templates import render_template, template_variables

#: What an agent may be called; the only form that reaches paths, URLs and XML.
AGENT_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
PROVIDER_KINDS: tuple[ProviderKind, ...] = ("stt", "llm", "tts")
#: What may stand in a stage's section beside the sections of its providers.
STAGE_KEYS = ("provider", "fallback", "deadlines", "languages")

_MAX_TEXT = 2_000
_MAX_PROMPT = 100_000


def _resolved_language(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return resolve_language(text)
    except ConfigError as error:
        raise ValueError(error.message) from error


def _resolved_number(text: str) -> str:
    try:
        return normalise_number(text)
    except ConfigError as error:
        raise ValueError(error.message) from error


LanguageCode = Annotated[str, BeforeValidator(_resolved_language)]
PhoneNumber = Annotated[str, AfterValidator(_resolved_number)]
Phrase = Annotated[str, Field(max_length=_MAX_TEXT)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SttDeadlines(_Section):
    """How long speech-to-text may take before the next provider does it."""

    connect_seconds: float = Field(
        default=2.0, ge=0.1, le=30, description="To be ready to hear, in seconds."
    )
    result_seconds: float = Field(
        default=1.4, ge=0.2, le=30, description="To give a text once the caller has stopped."
    )


class LlmDeadlines(_Section):
    """How long a language model may take before it is asked again, or the next one is."""

    first_token_seconds: float = Field(
        default=4.0, ge=0.2, le=60, description="To begin its answer, in seconds."
    )
    stall_seconds: float = Field(
        default=3.0, ge=0.2, le=60, description="Between two pieces of an answer."
    )


class TtsDeadlines(_Section):
    """How long text-to-speech may take before the next provider speaks."""

    connect_seconds: float = Field(
        default=2.0, ge=0.1, le=30, description="To be ready to speak, in seconds."
    )
    audio_seconds: float = Field(
        default=2.0, ge=0.2, le=30, description="Without audio while a sentence is to be spoken."
    )


class StageLanguage(BaseModel):
    """Who serves a stage in one further language; beside its keys, one section per provider.

    What is not said here is as for the agent's own language.
    """

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    __pydantic_extra__: dict[str, dict[str, Any]]

    provider: str | None = Field(default=None, description="Who serves it in this language.")
    fallback: tuple[str, ...] | None = Field(
        default=None, max_length=5, description="Who takes over, in this order, when it fails."
    )


class ProviderSection(BaseModel):
    """The ``stt``, ``llm`` or ``tts`` section; beside its keys, one section per provider."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    __pydantic_extra__: dict[str, dict[str, Any]]

    provider: str = Field(description="Who serves this stage.")
    fallback: tuple[str, ...] = Field(
        default=(), max_length=5, description="Who takes over, in this order, when it fails."
    )
    languages: dict[LanguageCode, StageLanguage] = Field(
        default_factory=dict,
        description="For a further language: a provider, its fallback, or options such as a voice.",
    )

    @property
    def chain(self) -> tuple[str, ...]:
        """The provider and its fallbacks, in order, each once."""
        return tuple(dict.fromkeys((self.provider, *self.fallback)))

    def named_for(self, language: str) -> tuple[str, ...]:
        """The providers that are written down for a further language, in order."""
        own = self.languages.get(language)
        if own is None:
            return ()
        return tuple(filter(None, (own.provider, *(own.fallback or ()))))

    def chain_for(self, language: str) -> tuple[str, ...]:
        """Who is to serve a language, in order, each once; some may lack it.

        A language that names a provider of its own does not inherit the stage's fallback.
        """
        own = self.languages.get(language)
        if own is None:
            return self.chain
        inherited = () if own.provider else self.fallback
        fallback = inherited if own.fallback is None else own.fallback
        return tuple(dict.fromkeys((own.provider or self.provider, *fallback)))


class SttSection(ProviderSection):
    """Who hears the caller."""

    deadlines: SttDeadlines = SttDeadlines()


class LlmSection(ProviderSection):
    """Who answers."""

    deadlines: LlmDeadlines = LlmDeadlines()


class TtsSection(ProviderSection):
    """Who speaks."""

    deadlines: TtsDeadlines = TtsDeadlines()


class TurnsConfig(_Section):
    """Who speaks when."""

    interruptions: bool = Field(
        default=True, description="The caller may cut the agent off by speaking."
    )
    interruption_min_words: int = Field(
        default=1, ge=1, le=20, description="Words it takes to cut the agent off."
    )
    ignore_speech_before_greeting: bool = Field(
        default=True, description="Nothing is heard until the greeting was spoken; keys are."
    )
    # Callers pause between the groups of a number they dictate, and being cut off there is a
    # complaint heard often: 200 ms, where voice activity itself can tell, is too eager. 400 ms
    # costs no more than most recognisers' own wait, and leaves a second's answer well in reach.
    end_of_speech_ms: int = Field(
        default=400, ge=100, le=5000, description="Silence that ends the caller's turn, in ms."
    )
    no_input_seconds: float = Field(
        default=10, ge=0, le=600, description="Silence before the caller is prompted; 0 is never."
    )
    no_input_prompt: Phrase = Field(
        default="", description="That prompt; by default one in the agent's language."
    )
    max_no_input: int = Field(
        default=2, ge=1, le=20, description="Prompts without an answer before the call ends."
    )
    hold_messages: tuple[Phrase, ...] = Field(
        default=(),
        max_length=20,
        description="Said in turn while an answer is slow to come; by default one in the "
        "agent's language.",
    )
    hold_after_seconds: float = Field(
        default=1.5, ge=0, le=30, description="How slow, in seconds; 0 says none."
    )


class CallConfig(_Section):
    """How long a call lasts and what is said at its end."""

    max_duration_seconds: float = Field(
        default=1800, gt=0, le=86_400, description="Longest call; by default the server's."
    )
    silence_hangup_seconds: float = Field(
        default=60, ge=0, le=3600, description="Silence of both sides that ends it; 0 is never."
    )
    farewell: Phrase = Field(default="", description="Said before the server ends the call.")
    apology: Phrase = Field(default="", description="Said when every provider has failed.")
    busy: Phrase = Field(default="", description="Said when no more calls can be taken.")
    transfer_to: dict[str, PhoneNumber] = Field(
        default_factory=dict, description="Where a call may be handed to: a name, a number."
    )


RetentionDays = Annotated[int | None, Field(ge=1, le=36_500)]


class RecordingConfig(_Section):
    """What is kept of a call."""

    enabled: bool = Field(default=True, description="Keep the sound.")
    stereo: bool = Field(default=True, description="Caller left, agent right; else one channel.")
    format: Literal["wav", "flac", "opus"] = Field(
        default="wav",
        description="wav; flac (the same sound in about half the size); opus (in Ogg, about a "
        "tenth of the size, not quite the same sound).",
    )
    carrier: bool = Field(
        default=False,
        description="Have the carrier (Vobiz) record telephone calls too, and keep its MP3 beside "
        "our own recording; needs VOBIZ_AUTH_ID and VOBIZ_AUTH_TOKEN.",
    )
    retention_days: RetentionDays = Field(
        default=None, description="Delete the sound after so many days; by default never."
    )
    transcript_retention_days: RetentionDays = Field(
        default=None, description="Delete the transcript after so many days; by default never."
    )
    record_retention_days: RetentionDays = Field(
        default=None,
        description="Delete all of the call, its record too, after so many days; by default never.",
    )


class LanguageSwitchingConfig(_Section):
    """How the language may change in a call of an agent with further languages."""

    by_tool: bool = Field(
        default=True, description="The language model may, with the tool switch_language."
    )
    by_speech: bool = Field(
        default=False, description="It follows what the caller is heard to speak."
    )
    keys: dict[Annotated[str, Field(pattern=r"^[0-9*#]$")], LanguageCode] = Field(
        default_factory=dict, description="Keys of the telephone: a key, a language."
    )


class Translation(_Section):
    """The agent's own words in a further language; by default ours in that language."""

    no_input_prompt: Phrase = Field(default="", description="Said to a caller who stays silent.")
    hold_messages: tuple[Phrase, ...] = Field(
        default=(), max_length=20, description="Said in turn while an answer is slow to come."
    )
    farewell: Phrase = Field(default="", description="Said before the server ends the call.")
    apology: Phrase = Field(default="", description="Said when every provider has failed.")


ToolName = Literal["end_call", "transfer", "switch_language"]


class AgentConfig(_Section):
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
