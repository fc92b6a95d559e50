"""What the first call would otherwise have to wait for: vendors' packages, and first greetings."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from loguru import logger

from bot.phrases import PhraseCache
from config.agent import AgentConfig
from config.errors import ConfigError
from config.providers import ProviderCatalog
from services.factory import ServiceFactory

#: How long the first start may wait for greetings of keyless agents, so that the first call
#: after ``make run`` already has them; vendors that are away delay nothing.
FIRST_PHRASES_SECONDS = 3.0
LOAD_SECONDS = 15.0


async def get_ready(
    agents: Sequence[AgentConfig],
    factory: ServiceFactory,
    phrases: PhraseCache,
    providers: ProviderCatalog,
) -> None:
    """Have calls to ``agents`` begin at once, as far as that can be had within seconds."""
    await _load_providers(agents, factory)
    keyless = [agent for agent in agents if _is_local(agent, providers)]
    waits = [phrases.prepared(agent.agent_id) for agent in keyless]
    try:
        async with asyncio.timeout(FIRST_PHRASES_SECONDS):
            await asyncio.gather(*waits)
    except TimeoutError:
        logger.info("greetings are still being prepared; calls are answered meanwhile")


async def _load_providers(agents: Sequence[AgentConfig], factory: ServiceFactory) -> None:
    """Import what the agents need before the first call comes, and not in its loop.

    It would stand still for up to a second, and a caller's sound would not be read.
    """

    def load() -> None:
        for agent in agents:
            # Told by whoever makes its phrases.
            with suppress(ConfigError, ImportError, OSError):
                factory.load(agent)

    with suppress(TimeoutError):
        async with asyncio.timeout(LOAD_SECONDS):
            await asyncio.to_thread(load)


def _is_local(agent: AgentConfig, providers: ProviderCatalog) -> bool:
    spec = providers.find("tts", agent.tts.provider)
    return spec is not None and spec.default_base_url is None and spec.base_url_env is None
