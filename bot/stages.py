"""The chains of one call's three stages, each with whoever may serve it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.chains.chain import OnExhausted, Vendors
from bot.chains.llm import LlmChain
from bot.chains.stt import SttChain
from bot.chains.tts import TtsChain
from bot.reporter import CallReporter
from config.agent import AgentConfig
from config.providers import ProviderKind
from services.breakers import BreakerBoard
from services.factory import ServiceFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Builds the chains of a call.

    Attributes:
        agent: Says who serves, and how long they may take.
        factory: Builds services.
        breakers: Which vendors are in trouble.
        session_id: For a vendor's own records.
        variables: The call's values for ``{{name}}``.
        reporter: Told of every failure.
        on_exhausted: Awaited when nobody is left for a piece of a stage's work.
    """

    agent: AgentConfig
    factory: ServiceFactory
    breakers: BreakerBoard
    session_id: str
    variables: Mapping[str, str]
    reporter: CallReporter
    on_exhausted: OnExhausted

    def stt(self, rate_hz: int, on_unheard: Callable[[], Awaitable[None]]) -> SttChain:
        """Who hears the caller.

        Args:
            rate_hz: Of the caller's audio.
            on_unheard: Awaited when the caller spoke, and nobody gave a text of it.

        Raises:
            ConfigError: No provider can be built; likewise for the other stages.
        """
        return SttChain(
            self._vendors("stt", rate_hz),
            language=self.agent.language,
            reporter=self.reporter,
            on_exhausted=self.on_exhausted,
            deadlines=self.agent.stt.deadlines,
            rate_hz=rate_hz,
            on_unheard=on_unheard,
        )

    def llm(self, rate_hz: int) -> LlmChain:
        """Who answers.

        Args:
            rate_hz: Of the caller's audio.
        """
        return LlmChain(
            self._vendors("llm", rate_hz),
            language=self.agent.language,
            reporter=self.reporter,
            on_exhausted=self.on_exhausted,
            deadlines=self.agent.llm.deadlines,
        )

    def tts(self, rate_hz: int, ahead_ms: Callable[[], float]) -> TtsChain:
        """Who speaks.

        Args:
            rate_hz: Of the line.
            ahead_ms: How much audio waits to be heard.
        """
        return TtsChain(
            self._vendors("tts", rate_hz),
            language=self.agent.language,
            reporter=self.reporter,
            on_exhausted=self.on_exhausted,
            deadlines=self.agent.tts.deadlines,
            ahead_ms=ahead_ms,
        )

    def _vendors(self, kind: ProviderKind, rate_hz: int) -> Vendors:
        """Who may serve a stage of this call."""
        agent, factory = self.agent, self.factory
        return Vendors(
            kind=kind,
            candidates=lambda language: factory.candidates(kind, agent, language),
            build=lambda candidate: factory.build(
                kind,
                agent,
                rate_hz=rate_hz,
                candidate=candidate,
                session_id=self.session_id,
                variables=self.variables,
            ),
            breakers=self.breakers,
            rejected=lambda candidate: factory.rejected(kind, candidate.provider, agent),
        )
