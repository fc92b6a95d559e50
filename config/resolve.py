"""What a provider is finally given: its address, its credential and its language."""

import re

from pydantic import SecretStr

from config.agent import AgentConfig
from config.errors import ConfigError
from config.languages import is_language, resolve_language
from config.providers import ProviderCatalog, ProviderKind, ProviderOptions, ProviderSpec
from config.settings import Settings

_VENDOR_CODE = re.compile(r"[a-z]{2,5}(?:-[A-Za-z0-9]{1,8})*")


def provider_base_url(
    spec: ProviderSpec, options: ProviderOptions, settings: Settings
) -> str | None:
    """Where to connect: the agent's file, else the environment, ``config.yaml``, the default.

    ``options`` must come from ``config.agent_file``, which leaves an address of ``config.yaml``
    out of them where the environment has one.
    """
    if options.base_url:
        return options.base_url
    from_env = settings.env_text(spec.base_url_env) if spec.base_url_env else None
    return from_env or spec.default_base_url


def provider_secret(
    spec: ProviderSpec, options: ProviderOptions, settings: Settings
) -> SecretStr | None:
    """The credential: the agent's file, else ``config.yaml``, else the environment."""
    if spec.secret_env is None and options.secret_field is None:
        return None
    own = getattr(options, options.secret_field) if options.secret_field else None
    if isinstance(own, SecretStr) and own.get_secret_value():
        return own
    return settings.env_value(spec.secret_env) if spec.secret_env else None


def comes_from_backend(
    spec: ProviderSpec, options: ProviderOptions, agent: AgentConfig, settings: Settings
) -> bool:
    """Whether the backend is asked for what this provider lacks: a key, or all of a server's.

    Nothing has been asked yet: whether it has any, only a call (or the loading of the agent,
    see ``services.credentials``) finds out.
    """
    if agent.org_id is None or not settings.backend.is_usable:
        return False
    if backend_config_id(options) is not None:
        return True
    return spec.backend_model is not None and provider_secret(spec, options, settings) is None


def backend_config_id(options: ProviderOptions) -> str | None:
    """Under which id the backend knows the provider's server; None for one described here."""
    field = options.backend_config_field
    value = getattr(options, field) if field else None
    return value if isinstance(value, str) and not options.base_url else None


def provider_language(
    spec: ProviderSpec, options: ProviderOptions, language: str
) -> tuple[str, str | None]:
    """The language a provider works in for an agent that speaks ``language``.

    A code in the section that is not one of ours, such as Deepgram's ``multi``, is taken to be
    the vendor's.

    Returns:
        Our code, and the vendor's own (None for a provider that has no say in it).

    Raises:
        ConfigError: The section's ``language`` names none, or the vendor lacks it.
    """
    if options.language:
        if spec.languages is not None:
            for code, vendor_code in spec.languages.items():
                if vendor_code.casefold() == options.language.casefold():
                    return code, vendor_code
            if _VENDOR_CODE.fullmatch(options.language) and not is_language(options.language):
                return language, options.language
        language = resolve_language(options.language)
    if spec.languages is None:
        return language, None
    if language not in spec.languages:
        raise ConfigError(f"{spec.title} does not have the language {language}")
    return language, spec.languages[language]


def serves(spec: ProviderSpec, options: ProviderOptions, language: str) -> bool:
    """Whether a provider with these options serves ``language``, a code of ours.

    One that is held to a language by its section serves no other; one that is held to a code
    under which the vendor serves several, such as ``multi``, serves those.
    """
    if not options.language:
        return spec.supports(language)
    try:
        code, vendor_code = provider_language(spec, options, language)
    except ConfigError:
        return False
    if vendor_code is not None and vendor_code in spec.code_switching:
        return language in spec.code_switching[vendor_code]
    return code == language and not (spec.languages and vendor_code not in spec.languages.values())


def chain_in(
    agent: AgentConfig, kind: ProviderKind, language: str, catalog: ProviderCatalog
) -> tuple[str, ...]:
    """Who serves a stage in one of the agent's languages, in order.

    In a further language, those of the stage's own chain that lack it are passed over; empty
    where nobody is left, which is refused when the agent is loaded.
    """
    section = agent.section(kind)
    if language == agent.language:
        return section.chain
    named = section.named_for(language)
    return tuple(
        name
        for name in section.chain_for(language)
        if name in named or _has(agent, kind, name, language, catalog)
    )


def _has(
    agent: AgentConfig, kind: ProviderKind, name: str, language: str, catalog: ProviderCatalog
) -> bool:
    spec = catalog.find(kind, name)
    if spec is None or not agent.has_options(kind, name, language):
        return False
    return serves(spec, agent.provider_options(kind, name, language), language)
