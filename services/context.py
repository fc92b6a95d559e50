"""What a provider's factory is told about the call it is building a service for."""

from dataclasses import dataclass, field

import aiohttp
from pydantic import SecretStr

from config.agent import AgentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """Facts that a ``build`` or ``render`` function may need besides its own options.

    Attributes:
        agent: The frozen agent the service works for.
        language: Our language code; map it with the spec's ``languages``.
        vendor_language: The same, as the vendor writes it; None where it has no say.
        rate_hz: Sample rate of the audio to take (STT) or to give (TTS); 16-bit mono PCM.
        base_url: Where to connect, already resolved from agent file, config or environment;
            None for in-process providers.
        api_key: The credential, already resolved; None for keyless providers.
        http: The process's shared client session; never close it.
        session_id: For log lines; empty outside a call.
        variables: Values for ``{{name}}`` in prompts and phrases.
    """

    agent: AgentConfig
    language: str
    vendor_language: str | None
    rate_hz: int
    base_url: str | None
    api_key: SecretStr | None
    http: aiohttp.ClientSession
    session_id: str = ""
    variables: dict[str, str] = field(default_factory=dict)
