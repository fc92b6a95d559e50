"""Providers that fail in ways no vendor's simulator can, and a catalog that knows them."""

import asyncio
from typing import Any

from pipecat.frames.frames import EndFrame, Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from config.errors import ConfigError
from config.providers import ProviderCatalog, ProviderOptions, ProviderSpec
from services.registry import catalog


class StuckLLM(FrameProcessor):
    """Passes everything on but the end of the call."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Wait for ever where the pipeline ends."""
        await super().process_frame(frame, direction)
        if isinstance(frame, EndFrame):
            await asyncio.Event().wait()
        await self.push_frame(frame, direction)


def build_stuck(_options: ProviderOptions, _context: Any) -> FrameProcessor:
    """A model that blocks the end of its pipeline."""
    return StuckLLM()


def build_unusable(_options: ProviderOptions, _context: Any) -> FrameProcessor:
    """A model that says, too late, that it cannot be used."""
    raise ConfigError("the test's model cannot be used")


def build_crashing(_options: ProviderOptions, _context: Any) -> FrameProcessor:
    """A model with a mistake in it."""
    raise RuntimeError("the test's model has a mistake in it")


def faulty_catalog() -> ProviderCatalog:
    """All providers there are, and three models: ``stuck``, ``unusable`` and ``crashing``."""
    return ProviderCatalog(
        [
            *catalog,
            *(
                ProviderSpec(
                    kind="llm",
                    name=name,
                    title=name,
                    options=ProviderOptions,
                    build=f"{__name__}:build_{name}",
                )
                for name in ("stuck", "unusable", "crashing")
            ),
        ]
    )
