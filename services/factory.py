"""Builds the services that an agent names, each from its vendor's registration."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

import aiohttp

from config.agent import AgentConfig
from config.errors import ConfigError
from config.providers import (
    PROVIDER_KINDS,
    ProviderCatalog,
    ProviderKind,
    ProviderOptions,
    ProviderSpec,
)
from config.resolve import chain_in, provider_base_url, provider_language, provider_secret
from config.settings import Settings
from services.candidates import Candidate
from services.context import ServiceContext
from services.credentials import Credentials

#: What a telephone line carries.
LINE_RATE_HZ = 8000


class ServiceFactory:
    """Turns agent files into Pipecat services.

    Args:
        catalog: Every provider known.
        settings: Where keys and addresses come from when the agent does not say.
        http: The process's shared client session.
        credentials: Keys that the backend keeps; None where there is no backend.
    """

    def __init__(
        self,
        catalog: ProviderCatalog,
        settings: Settings,
        http: aiohttp.ClientSession,
        credentials: Credentials | None = None,
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._http = http
        self._credentials = credentials

    async def ready(
        self, agent: AgentConfig, kinds: Collection[ProviderKind] = PROVIDER_KINDS
    ) -> None:
        """Have the keys that the backend keeps for ``agent``; bounded in time, never raises.

        To be awaited before services are built. It costs nothing where all keys are known.

        Args:
            kinds: Stages that are about to be built.
        """
        if self._credentials is not None:
            await self._credentials.ready(agent, kinds)

    def rejected(self, kind: ProviderKind, name: str, agent: AgentConfig) -> None:
        """A vendor has refused its key: if it came from the backend, ask for another."""
        if self._credentials is not None:
            self._credentials.rejected(kind, name, agent)

    def build(
        self,
        kind: ProviderKind,
        agent: AgentConfig,
        *,
        rate_hz: int,
        candidate: Candidate | None = None,
        session_id: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> Any:
        """A new service of a provider of ``kind``.

        Args:
            kind: ``stt``, ``llm`` or ``tts``.
            agent: The agent of the call.
            rate_hz: Audio the service takes or gives, 16-bit mono.
            candidate: Which one; by default the agent's first, in its language.
            session_id: For log lines.
            variables: The call's values for ``{{name}}``.

        Raises:
            ConfigError: The provider is unknown or its package is not installed.
            ProviderError: Its key is the backend's to give, and it has given none.
        """
        spec, options = self.chosen(kind, agent, candidate)
        options = self._completed(spec, options, agent)
        language = candidate.language if candidate is not None else agent.language
        context = self._context(spec, options, agent, language, rate_hz, session_id, variables)
        return _load(spec, spec.build)(options, context)

    def candidates(
        self, kind: ProviderKind, agent: AgentConfig, language: str | None = None
    ) -> tuple[Candidate, ...]:
        """Who may serve a stage of the agent's calls, in its file's order.

        Args:
            language: One of the agent's; by default its own.
        """
        language = language or agent.language
        names = chain_in(agent, kind, language, self._catalog)
        return tuple(self._candidate(kind, agent, name, language) for name in names)

    def stand_in_voice(self, language: str) -> Candidate | None:
        """A voice of this process that needs no key, for phrases that nobody else speaks."""
        for spec in self._catalog.of_kind("tts"):
            keyless = spec.secret_env is None and not spec.option_env
            in_process = spec.base_url_env is None and not spec.address_required
            if keyless and in_process and spec.render and spec.supports(language):
                return Candidate(
                    kind="tts", provider=spec.name, language=language, account="", remote=False
                )
        return None

    def _candidate(
        self, kind: ProviderKind, agent: AgentConfig, name: str, language: str
    ) -> Candidate:
        spec, options = self._spec(kind, name), agent.provider_options(kind, name, language)
        language = _first_alike(spec, agent, name, language)
        if self._credentials is not None:
            options = self._credentials.known(spec, options, agent)
        secret = provider_secret(spec, options, self._settings)
        key = secret.get_secret_value() if secret is not None else ""
        address = provider_base_url(spec, options, self._settings) or ""
        account = hashlib.sha256(f"{address}\n{key}".encode()).hexdigest()[:16]
        return Candidate(
            kind=kind, provider=name, language=language, account=account, remote=bool(address)
        )

    def load(self, agent: AgentConfig) -> None:
        """Import everything that the agent's providers need, those of its fallbacks too.

        Takes up to a second the first time, which would otherwise be a caller's: run it in a
        thread when an agent is loaded.

        Raises:
            ConfigError: A provider is unknown, or its package is not installed or cannot be
                imported; told of all such at once.
        """
        wrong: list[ConfigError] = []
        for kind in PROVIDER_KINDS:
            section = agent.section(kind)
            further = [name for code in section.languages for name in section.named_for(code)]
            for name in dict.fromkeys((*section.chain, *further)):
                try:
                    spec = self._spec(kind, name)
                    for target in filter(None, (spec.build, spec.render, spec.prepare)):
                        _load(spec, target)
                except ConfigError as error:
                    wrong.append(error)
        if wrong:
            raise ConfigError("; ".join(error.message for error in wrong), code=wrong[0].code)

    def can_render(self, agent: AgentConfig, candidate: Candidate | None = None) -> bool:
        """Whether the agent's synthesiser has its own way to speak a phrase outside a call."""
        return self.chosen("tts", agent, candidate)[0].render is not None

    async def render(
        self, agent: AgentConfig, text: str, rate_hz: int, candidate: Candidate | None = None
    ) -> bytes:
        """Speak one phrase outside a call, the vendor's own way.

        Args:
            candidate: Whose way, and in which language; by default the agent's first.

        Returns:
            16-bit little-endian mono samples at ``rate_hz``.

        Raises:
            ProviderError: The vendor failed.
            ConfigError: The vendor has no such way; see :meth:`can_render`.
        """
        spec, options = self.chosen("tts", agent, candidate)
        if spec.render is None:
            raise ConfigError(f"tts provider {spec.name} cannot speak outside a call")
        options = self._completed(spec, options, agent)
        language = candidate.language if candidate is not None else agent.language
        context = self._context(spec, options, agent, language, rate_hz, "", None)
        pcm: bytes = await _load(spec, spec.render)(options, context, text)
        return pcm

    async def prepare(self, agent: AgentConfig) -> None:
        """Have each provider do early what the agent's first call should not wait for.

        Raises:
            VoiceServerError: A provider could not make itself ready.
        """
        for kind in PROVIDER_KINDS:
            spoken = agent.spoken_languages
            firsts = [self.candidates(kind, agent, language)[0] for language in spoken]
            for candidate in dict.fromkeys(firsts):
                spec, options = self.chosen(kind, agent, candidate)
                if spec.prepare is not None:
                    await self.ready(agent, (kind,))
                    options = self._completed(spec, options, agent)
                    language = candidate.language
                    context = self._context(spec, options, agent, language, LINE_RATE_HZ, "", None)
                    await _load(spec, spec.prepare)(options, context)

    def chosen(
        self, kind: ProviderKind, agent: AgentConfig, candidate: Candidate | None = None
    ) -> tuple[ProviderSpec, ProviderOptions]:
        """A provider of the agent's chain, by default its first, and its options.

        One that stands in without being in the chain has its default options.
        """
        if candidate is None:
            name = agent.section(kind).provider
            return self._spec(kind, name), agent.provider_options(kind, name)
        spec = self._spec(kind, candidate.provider)
        if not agent.has_options(kind, candidate.provider, candidate.language):
            return spec, spec.options()
        return spec, agent.provider_options(kind, candidate.provider, candidate.language)

    def _completed(
        self, spec: ProviderSpec, options: ProviderOptions, agent: AgentConfig
    ) -> ProviderOptions:
        """A provider's options with what the backend adds to them: a key, a server's address.

        Raises:
            ProviderError: They need the backend, and it has given nothing (``stt_no_key``, …).
        """
        if self._credentials is None:
            return options
        return self._credentials.complete(spec, options, agent)

    def _spec(self, kind: ProviderKind, name: str) -> ProviderSpec:
        spec = self._catalog.find(kind, name)
        if spec is None:
            raise ConfigError(f"there is no {kind} provider {name!r}", code="unknown_provider")
        return spec

    def _context(
        self,
        spec: ProviderSpec,
        options: ProviderOptions,
        agent: AgentConfig,
        language: str,
        rate_hz: int,
        session_id: str,
        variables: Mapping[str, str] | None,
    ) -> ServiceContext:
        language, vendor_language = provider_language(spec, options, language)
        return ServiceContext(
            agent=agent,
            language=language,
            vendor_language=vendor_language,
            rate_hz=rate_hz,
            base_url=provider_base_url(spec, options, self._settings),
            api_key=provider_secret(spec, options, self._settings),
            http=self._http,
            session_id=session_id,
            variables=dict(variables or {}),
        )


def _first_alike(spec: ProviderSpec, agent: AgentConfig, name: str, language: str) -> str:
    """The first of the agent's languages in which a service would be just the same.

    A model that any language goes with, or a recogniser of several at once, need not be opened
    anew when the language changes.
    """

    def service(code: str) -> tuple[object, ...] | None:
        try:
            options = agent.provider_options(spec.kind, name, code)
            return options, provider_language(spec, options, code)[1]
        except ConfigError:
            return None

    mine = service(language)
    return next((code for code in agent.spoken_languages if service(code) == mine), language)


def _load(spec: ProviderSpec, target: str) -> Callable[..., Any]:
    """Import ``package.module:function`` and name the cure when that cannot be done."""
    module_name, _, function_name = target.partition(":")
    try:
        module = import_module(module_name)
    # A package may be there and yet lack a library of the system (OSError) or fit no other.
    except (ImportError, OSError) as error:
        at_fault = getattr(error, "name", None) or ""
        if spec.install is None or at_fault.partition(".")[0] == "services":
            raise
        if isinstance(error, ModuleNotFoundError):
            code, trouble = "package_missing", f"needs the package {at_fault}"
        else:
            code, trouble = "package_broken", f"cannot be imported ({error})"
        raise ConfigError(
            f"{spec.kind} provider {spec.name} {trouble}: run {spec.install}", code=code
        ) from error
    function: Callable[..., Any] = getattr(module, function_name)
    return function
