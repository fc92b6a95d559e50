"""Builds the services that an agent names, each from its vendor's registration."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import aiohttp

from config.agent import PROVIDER_KINDS, AgentConfig
from config.errors import ConfigError
from config.providers import ProviderCatalog, ProviderKind, ProviderOptions, ProviderSpec
from config.resolve import provider_base_url, provider_language, provider_secret
from config.settings import Settings
from services.context import ServiceContext

#: What a telephone line carries.
LINE_RATE_HZ = 8000


class ServiceFactory:
    """Turns agent files into Pipecat services.

    Args:
        catalog: Every provider known.
        settings: Where keys and addresses come from when the agent does not say.
        http: The process's shared client session.
    """

    def __init__(
        self, catalog: ProviderCatalog, settings: Settings, http: aiohttp.ClientSession
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._http = http

    def build(
        self,
        kind: ProviderKind,
        agent: AgentConfig,
        *,
        rate_hz: int,
        session_id: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> Any:
        """A new service of the agent's first provider of ``kind``.

        Args:
            kind: ``stt``, ``llm`` or ``tts``.
            agent: The agent of the call.
            rate_hz: Audio the service takes or gives, 16-bit mono.
            session_id: For log lines.
            variables: The call's values for ``{{name}}``.

        Raises:
            ConfigError: The provider is unknown or its package is not installed.
        """
        spec, options = self.chosen(kind, agent)
        context = self._context(spec, options, agent, rate_hz, session_id, variables)
        return _load(spec, spec.build)(options, context)

    def load(self, agent: AgentConfig) -> None:
        """Import everything that the agent's providers need, those of its fallbacks too.

        Takes up to a second the first time, which would otherwise be a caller's: run it in a
        thread when an agent is loaded.

        Raises:
            ConfigError: A provider is unknown or its package is not installed.
        """
        for kind in PROVIDER_KINDS:
            for name in agent.section(kind).chain:
                spec = self._spec(kind, name)
                _load(spec, spec.build)

    def can_render(self, agent: AgentConfig) -> bool:
        """Whether the agent's synthesiser has its own way to speak a phrase outside a call."""
        return self.chosen("tts", agent)[0].render is not None

    async def render(self, agent: AgentConfig, text: str, rate_hz: int) -> bytes:
        """Speak one phrase outside a call, the vendor's own way.

        Returns:
            16-bit little-endian mono samples at ``rate_hz``.

        Raises:
            ProviderError: The vendor failed.
            ConfigError: The vendor has no such way; see :meth:`can_render`.
        """
        spec, options = self.chosen("tts", agent)
        if spec.render is None:
            raise ConfigError(f"tts provider {spec.name} cannot speak outside a call")
        context = self._context(spec, options, agent, rate_hz, "", None)
        pcm: bytes = await _load(spec, spec.render)(options, context, text)
        return pcm

    async def prepare(self, agent: AgentConfig) -> None:
        """Have each provider do early what the agent's first call should not wait for.

        Raises:
            VoiceServerError: A provider could not make itself ready.
        """
        for kind in PROVIDER_KINDS:
            spec, options = self.chosen(kind, agent)
            if spec.prepare is not None:
                context = self._context(spec, options, agent, LINE_RATE_HZ, "", None)
                await _load(spec, spec.prepare)(options, context)

    def chosen(
        self, kind: ProviderKind, agent: AgentConfig
    ) -> tuple[ProviderSpec, ProviderOptions]:
        """The agent's first provider of ``kind`` and its options."""
        name = agent.section(kind).provider
        return self._spec(kind, name), agent.provider_options(kind, name)

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
        rate_hz: int,
        session_id: str,
        variables: Mapping[str, str] | None,
    ) -> ServiceContext:
        language, vendor_language = provider_language(spec, options, agent.language)
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


def _load(spec: ProviderSpec, target: str) -> Callable[..., Any]:
    """Import ``package.module:function`` and name the cure when a package is missing."""
    module_name, _, function_name = target.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if spec.install is None or (error.name or "").split(".")[0] == "services":
            raise
        raise ConfigError(
            f"{spec.kind} provider {spec.name} needs the package {error.name}: run {spec.install}",
            code="package_missing",
        ) from error
    function: Callable[..., Any] = getattr(module, function_name)
    return function
