"""Builds the services that an agent names, each from its vendor's registration."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import aiohttp
from pydantic import SecretStr

from config.agent import AgentConfig
from config.errors import ConfigError
from config.languages import resolve_language
from config.providers import ProviderCatalog, ProviderKind, ProviderOptions, ProviderSpec
from config.settings import Settings
from services.context import ServiceContext


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

    def chosen(
        self, kind: ProviderKind, agent: AgentConfig
    ) -> tuple[ProviderSpec, ProviderOptions]:
        """The agent's first provider of ``kind`` and its options."""
        name = agent.section(kind).provider
        spec = self._catalog.find(kind, name)
        if spec is None:
            raise ConfigError(f"there is no {kind} provider {name!r}", code="unknown_provider")
        return spec, agent.provider_options(kind, name)

    def _context(
        self,
        spec: ProviderSpec,
        options: ProviderOptions,
        agent: AgentConfig,
        rate_hz: int,
        session_id: str,
        variables: Mapping[str, str] | None,
    ) -> ServiceContext:
        language = agent.language
        return ServiceContext(
            agent=agent,
            language=language,
            vendor_language=_vendor_language(spec, options.language or language),
            rate_hz=rate_hz,
            base_url=self._base_url(spec, options),
            api_key=self._api_key(spec, options),
            http=self._http,
            session_id=session_id,
            variables=dict(variables or {}),
        )

    def _base_url(self, spec: ProviderSpec, options: ProviderOptions) -> str | None:
        if options.base_url:
            return options.base_url
        from_env = self._settings.env_text(spec.base_url_env) if spec.base_url_env else None
        return from_env or spec.default_base_url

    def _api_key(self, spec: ProviderSpec, options: ProviderOptions) -> SecretStr | None:
        field = options.secret_field
        own: SecretStr | None = getattr(options, field) if field else None
        if own is not None:
            return own
        return self._settings.env_value(spec.secret_env) if spec.secret_env else None


def _vendor_language(spec: ProviderSpec, language: str) -> str | None:
    """How the vendor writes ``language``; a code that is not ours is taken for the vendor's."""
    if spec.languages is None:
        return None
    try:
        return spec.languages.get(resolve_language(language), language)
    except ConfigError:
        return language


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
