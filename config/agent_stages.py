"""Who hears, answers and speaks for an agent, who takes over from whom, and how soon."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from config.agent_fields import AgentSection, LanguageCode

#: What may stand in a stage's section beside the sections of its providers.
STAGE_KEYS = ("provider", "fallback", "deadlines", "languages")


class SttDeadlines(AgentSection):
    """How long speech-to-text may take before the next provider does it."""

    connect_seconds: float = Field(
        default=2.0, ge=0.1, le=30, description="To be ready to hear, in seconds."
    )
    result_seconds: float = Field(
        default=1.4, ge=0.2, le=30, description="To give a text once the caller has stopped."
    )


class LlmDeadlines(AgentSection):
    """How long a language model may take before it is asked again, or the next one is."""

    first_token_seconds: float = Field(
        default=4.0, ge=0.2, le=60, description="To begin its answer, in seconds."
    )
    stall_seconds: float = Field(
        default=3.0, ge=0.2, le=60, description="Between two pieces of an answer."
    )


class TtsDeadlines(AgentSection):
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
